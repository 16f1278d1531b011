"""`respool jobs` through the real command line."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from program import Folder

RUN = ("run", "tasks.py:square", "--items", "items.jsonl")


@pytest.fixture
def ran(folder: Folder) -> Folder:
    folder.items(a=1, b=-1, c=-2)
    folder.run(*RUN, code=1)
    return folder


def test_the_list(ran: Folder) -> None:
    listed = ran.run("jobs", code=0).out
    assert listed == ran.run("jobs", "list", code=0).out
    assert listed.splitlines()[1].split(maxsplit=2) == ["1", "failed", "tasks.py:square items.jsonl  1 done, 2 failed"]
    (job,) = ran.run("jobs", "--json", code=0).data["jobs"]
    assert (job["id"], job["state"], job["total"]) == (1, "failed", 3)


def test_looking_imports_nothing_that_draws_or_runs(ran: Folder) -> None:
    code = "import sys, runpy; sys.argv = ['respool', 'jobs', 'list']\ntry:\n from respool.cli import main; main()\n"
    code += "except SystemExit: pass\nprint(*[m for m in ('rich', 'respool.batch.runner', 'respool.batch.spool',"
    code += " 'multiprocessing', 'concurrent.futures.process', 'distributed') if m in sys.modules], sep=',')"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], cwd=ran.path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_items_by_state_kind_and_key(ran: Folder) -> None:
    lines = ran.run("jobs", "items", "1", code=0).out.splitlines()
    assert [line.split()[:2] for line in lines] == [["done", "a"], ["failed", "b"], ["failed", "c"]]
    assert "raised: is negative" in lines[1]
    assert ran.run("jobs", "items", "1", "--state", "failed", "--limit", "1", code=0).out.split()[1] == "b"
    assert ran.run("jobs", "items", "1", "--kind", "timeout", code=0).out == ""
    (item,) = ran.run("jobs", "items", "1", "--key", "a", "--json", code=0).data["items"]
    assert (item["result"], item["payload"], item["attempts"]) == (1, {"key": "a", "n": 1}, 1)
    ran.run("jobs", "items", "1", "--key", "nope", code=3)
    ran.run("jobs", "items", "1", "--state", "fine", code=2)


def test_events_go_on_where_they_ended(ran: Folder) -> None:
    first = ran.run("jobs", "events", "1", "--limit", "2", "--json", code=0).data
    assert [event["type"] for event in first["events"]] == ["job_created", "job_sealed"]
    more = ran.run("jobs", "events", "--after", str(first["last"]), "--json", code=0).data["events"]
    assert more[-1]["type"] == "job_ended"
    assert "item_failed" in ran.run("jobs", "events", code=0).out


def test_events_name_items_as_people_do(ran: Folder) -> None:
    events = ran.run("jobs", "events", "1", "--json", code=0).data["events"]
    ended = {event["key"]: event["type"] for event in events if event["item"] is not None}
    assert ended.keys() == {item["key"] for item in ran.run("jobs", "items", "1", "--json", code=0).data["items"]}
    told = ran.run("jobs", "events", "1", code=0).out
    assert all(f"job 1 item {key}  {kind}" in told for key, kind in ended.items())


def test_retry_then_run(ran: Folder) -> None:
    ran.write("mended", "")
    ran.run("jobs", "retry", "1", "--key", "nope", code=3)
    assert ran.run("jobs", "retry", "1", "--kind", "timeout", "--json", code=0).data["items"] == 0
    assert "1 item is pending again" in ran.run("jobs", "retry", "1", "--key", "b", code=0).err
    ran.run("run", code=1)  # c failed before
    assert ran.run("jobs", "retry", "1", "--kind", "raised", "--json", code=0).data["items"] == 1
    ran.run("run", code=0)
    assert ran.calls == ["a", "b", "c", "b", "c"]


@pytest.mark.parametrize("command", ["show", "items", "events", "retry", "cancel", "watch"])
def test_an_unknown_job(ran: Folder, command: str) -> None:
    done = ran.run("jobs", command, "9", code=3)
    assert "no job '9'" in done.err
    assert "respool jobs list" in done.err


def test_a_job_is_found_by_number_name_and_the_path_of_its_spec(folder: Folder) -> None:
    folder.write("pyproject.toml", "")
    folder.write("sub/batch.toml", 'task = "../tasks.py:square"\n[items]\nfile = "../items.jsonl"\n')
    folder.run("run", "batch.toml", cwd=folder.path / "sub", code=0)
    for name, cwd in (("1", "."), ("sub/batch.toml", "."), ("batch.toml", "sub")):
        assert folder.run("jobs", "show", name, "--json", cwd=folder.path / cwd, code=0).data["job"]["id"] == 1


def test_cancel_and_revive(folder: Folder) -> None:
    folder.run(*RUN, "--only", "a", code=0)
    assert folder.run("jobs", "cancel", "1", "--json", code=0).data["items"] == 2
    assert folder.states() == {"a": "done", "b": "cancelled", "c": "cancelled"}
    assert "nothing to do" in folder.run("run", code=0).err
    folder.run(*RUN, code=0)
    assert folder.calls == ["a", "b", "c"]


def test_cancel_reaches_a_live_runner(folder: Folder, until: Callable[[Callable[[], bool]], None]) -> None:
    folder.write("items.jsonl", '{"key": "a", "n": 1, "wait_for": "go"}\n{"key": "b", "n": 2, "wait_for": "go"}\n')
    program = folder.start(*RUN)
    until(lambda: folder.calls == ["a"])
    assert "live runner was asked" in folder.run("jobs", "cancel", "1", code=0).err
    until(lambda: folder.states()["b"] == "cancelled")
    folder.write("go", "")
    program.communicate(timeout=60)
    assert folder.calls == ["a"]


def test_watch_ends_with_the_code_of_the_run(ran: Folder) -> None:
    assert "1 done, 2 failed" in ran.run("jobs", "watch", "1", code=1).err
    ran.run("jobs", "retry", "1", code=0)
    assert "nobody runs this spool" in ran.run("jobs", "watch", "1", code=6).err


@pytest.mark.parametrize("command", ["lst", "shw"])
def test_a_typing_error(folder: Folder, command: str) -> None:
    assert "did you mean" in folder.run("jobs", command, code=2).err
