"""Specs in TOML: each key by its effect, and what is wrong with its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Folder

from respool.batch.declaration import Mode
from respool.batch.model import Kind
from respool.cli.spec import KEYS, read_spec
from respool.errors import RespoolError, UsageError

FULL = """
name = "squares"
task = "tasks.py:square"
version = "7"
workers = 3
limits = ["30/s", "1000/day"]
max_pause = "2m"
job_timeout = "1h"
cache = false
then = ["tasks.py:publish", { task = "tasks.py:square", on = "finish" }]

[items]
file = "items.jsonl"
key = "n"

[retry]
attempts = 5
base = "2s"
kinds = ["raised", "timeout"]

[breaker]
quota = 1
"""


def test_every_key_of_a_function(folder: Folder) -> None:
    found = read_spec(folder.write("full.toml", FULL))
    task = found.task
    assert (found.name, found.workers, found.job_timeout, task.version) == ("squares", 3, 3600.0, "7")
    assert [str(limit) for limit in task.limits] == ["30/s, 1000/day"]
    assert (task.max_pause, task.cache, task.mode) == (120.0, False, Mode.THREAD)
    assert (task.retry.attempts, task.retry.base) == (5, 2.0)
    assert task.retry.kinds == {Kind.RAISED, Kind.TIMEOUT}
    assert (task.breaker.quota, task.breaker.unauthorised) == (1, 3)
    rules = [(rule.name.rpartition(":")[2], on) for rule, on in found.then]
    assert rules == [("publish", "success"), ("square", "finish")]
    source = found.open_source()
    assert [row.key for span in source.spans("x") for row in source.rows(span, task)] == ["1", "2", "3"]
    source.close()


def test_every_key_of_a_command(folder: Folder) -> None:
    text = """
command = ["prog", "{}", "{n}"]
timeout = "5s"
memory = "100MB"
cwd = "inner"
outputs = ["{}.out"]
marker = "done"
limits = { openai = ["30/min", "10/s"], other = "1/s" }
env = { MODE = "fast" }
items = { from = "tasks.py:numbers" }
"""
    found = read_spec(folder.write("command.toml", text))
    command = found.task.command
    assert command is not None
    assert (command.argv, command.outputs, command.marker) == (("prog", "{}", "{n}"), ("{}.out",), "done")
    assert command.cwd == str(folder.path / "inner")
    assert command.env == (("MODE", "fast"),)
    assert (found.task.timeout, found.task.memory) == (5.0, 100_000_000)
    assert {limit.key: str(limit) for limit in found.task.limits} == {"openai": "10/s, 30/min", "other": "1/s"}


def test_a_spec_runs_from_any_folder(folder: Folder) -> None:
    folder.write("pyproject.toml", "")
    folder.write("sub/batch.toml", 'task = "../tasks.py:square"\nitems = { from = "../tasks.py:numbers" }\n')
    assert "sub/batch.toml #1: 3 done" in folder.run("run", "sub/batch.toml", code=0).err
    inner = folder.path / "sub"
    data = folder.run("run", "batch.toml", "--json", cwd=inner, code=0).data
    assert [(job["id"], job["name"]) for job in data["jobs"]] == [(1, "sub/batch.toml")]
    assert folder.calls == ["k0", "k1", "k2"]


def test_a_followup_of_a_spec_runs_once(folder: Folder) -> None:
    folder.write("b.toml", 'task = "tasks.py:square"\nthen = ["tasks.py:publish"]\nitems = { file = "items.jsonl" }\n')
    for _ in range(2):
        folder.run("run", "b.toml", code=0)
    assert folder.calls.count("published") >= 1
    first = folder.calls.count("published")
    folder.run("run", "b.toml", code=0)
    assert folder.calls.count("published") == first


def test_options_win_over_the_spec(folder: Folder) -> None:
    folder.write("b.toml", 'task = "tasks.py:square"\nversion = "1"\nworkers = 2\nitems = { file = "items.jsonl" }\n')
    folder.run("run", "b.toml", code=0)
    assert folder.run("jobs", "show", "1", "--json", code=0).data["parallel"] == 2
    folder.run("run", "b.toml", "--version", "2", "--workers", "1", code=0)
    assert len(folder.calls) == 6
    assert folder.run("jobs", "show", "1", "--json", code=0).data["parallel"] == 1


def test_a_glob_and_the_commands_folder(folder: Folder) -> None:
    folder.write("sub/in/a.txt", "hello")
    text = 'command = ["cp", "{}", "{}.copy"]\noutputs = ["{}.copy"]\nitems = { glob = "in/*.txt" }\n'
    folder.write("sub/b.toml", text)
    folder.run("run", "sub/b.toml", code=0)
    assert (folder.path / "sub/in/a.txt.copy").read_text() == "hello"


GOOD = 'task = "tasks.py:square"\nitems = { file = "items.jsonl" }\n'
BAD = {
    "no TOML": ('task = "x"\nworkers = = 3\n', "b.toml:2:11", "no TOML"),
    "torn": ('task = "tasks.py:square', "b.toml:1", "no TOML"),
    "unknown key": ("workrs = 3\n" + GOOD, "b.toml:1", "did you mean workers"),
    "unknown inner key": (GOOD + "[retry]\ntries = 3\n", "b.toml:4", "retry.tries"),
    "no task": ('items = { file = "items.jsonl" }\n', "b.toml", "either task"),
    "both": ('command = ["x"]\n' + GOOD, "b.toml", "either task"),
    "no items": ('task = "tasks.py:square"\n', "b.toml", "[items]"),
    "two sources": ('task = "tasks.py:square"\n[items]\nfile = "a"\nglob = "b"\n', "b.toml:2", "one of"),
    "wrong type": ('version = 2\n' + GOOD, "b.toml:1", "version must be text"),
    "workers": ("workers = 0\n" + GOOD, "b.toml:1", "workers"),
    "workers true": ("workers = true\n" + GOOD, "b.toml:1", "workers"),
    "timeout": ('timeout = "soon"\n' + GOOD, "b.toml:1", "timeout"),
    "limit": ('limits = ["lots"]\n' + GOOD, "b.toml:1", "no rate"),
    "retry": (GOOD + "[retry]\nattempts = 0\n", "b.toml:3", "at least 1"),
    "kinds": (GOOD + '[retry]\nkinds = ["bad"]\n', "b.toml:4", "no kind 'bad'"),
    "breaker": (GOOD + "[breaker]\nquota = -1\n", "b.toml:4", "at least 0"),
    "then": ('then = [{ on = "finish" }]\n' + GOOD, "b.toml:1", "must name a task"),
    "then on": ('then = [{ task = "tasks.py:publish", on = "x" }]\n' + GOOD, "b.toml:1", "must name a task"),
    "command key": ('marker = "x"\n' + GOOD, "b.toml:1", "for commands"),
    "env": ('command = ["x"]\nitems = { glob = "*" }\n[env]\nA = 1\n', "b.toml:4", "env.A must be text"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_and_where(folder: Folder, name: str) -> None:
    text, where, what = BAD[name]
    folder.write("b.toml", text)
    with pytest.raises(UsageError) as raised:
        read_spec(folder.path / "b.toml")
    assert where in str(raised.value)
    assert what in str(raised.value)


def test_bad_specs_through_the_command_line(folder: Folder) -> None:
    folder.write("b.toml", 'task = "x"\nworkers = = 3\n')
    assert "b.toml:2:11: workers = = 3" in folder.run("run", "b.toml", code=2).err
    folder.write("b.toml", GOOD.replace("square", "sqare"))
    assert "square" in folder.run("run", "b.toml", code=2).err
    folder.write("b.toml", 'task = "tasks.py:square"\nitems = { from = "tasks.py:flaky" }\n')
    assert "the items cannot be made" in folder.run("run", "b.toml", code=2).err
    folder.write("b.toml", GOOD)
    assert "a spec says itself" in folder.run("run", "b.toml", "--items", "items.jsonl", code=2).err
    assert json.loads(folder.run("run", "b.toml", "--json", code=0).out)["exit"] == 0


@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"[", b"a = 1\n" * 3])
def test_any_bytes_get_an_error_of_ours(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "b.toml").write_bytes(data)
    with pytest.raises(RespoolError):
        read_spec(tmp_path / "b.toml")


def test_the_page_names_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "spec.md").read_text("utf-8")
    assert [key for key in KEYS if f"`{key}`" not in page and f"\n{key} =" not in page and f"[{key}]" not in page] == []
