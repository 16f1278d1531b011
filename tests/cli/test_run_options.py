"""What the options of `run` are turned into, and what they do."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest
from program import Folder

from respool.cli.line import Line, Overrides
from respool.cli.run_options import COMMAND, TakesCommand, names_a_job, wishes_of
from respool.errors import UsageError

NONE: dict[str, Any] = dict.fromkeys(("retry_failed", "no_resume", "no_cache", "force", "rerun_changed"), False)


def test_what_follows_the_dashes_is_the_command() -> None:
    command = TakesCommand("run", params=[click.Option(["--n"]), click.Argument(["target"], required=False)])
    context = command.make_context("run", ["spec", "--n", "1", "--", "prog", "--n", "{}", "--"])
    assert context.params == {"n": "1", "target": "spec"}
    assert context.meta[COMMAND] == ("prog", "--n", "{}", "--")
    with pytest.raises(click.UsageError, match="no command after --"):
        command.make_context("run", ["spec", "--"])


def test_wishes() -> None:
    assert wishes_of(NONE) == wishes_of(NONE, ["a"])
    assert wishes_of({**NONE, "force": True}).force is True
    assert wishes_of({**NONE, "force": True}, ["a"]).force == ("a",)
    for name in ("force", "rerun_changed", "no_cache"):
        assert wishes_of({**NONE, name: True}).no_cache  # or the old result would be its own replacement


def test_a_line_that_names_no_job() -> None:
    assert names_a_job(Line("x.toml"))
    assert not names_a_job(Line())
    with pytest.raises(UsageError, match="need a job"):
        names_a_job(Line(overrides=Overrides(version="2")))


HUNGRY = '''
def eat(payload):
    return len(bytearray(payload["mb"] * 1_000_000))
'''


SLOW = '''
import time
from pathlib import Path

HERE = Path(__file__).parent

def wait(payload):
    with open(HERE / "calls", "a") as file:
        file.write(payload["key"] + "\\n")
    while not (HERE / "go").exists():
        time.sleep(0.02)
'''


def test_memory_fails_the_item_that_wants_more_and_no_other(folder: Folder) -> None:
    folder.write("hungry.py", HUNGRY)
    folder.write("items.jsonl", '{"key": "small", "mb": 1}\n{"key": "large", "mb": 900}\n')
    batch = ("run", "hungry.py:eat", "--items", "items.jsonl", "--retries", "0", "--json")
    done = folder.run(*batch, "--memory", "400MB", code=1)
    assert done.data["jobs"][0]["failed_kinds"] == {"crashed": 1}
    assert folder.states() == {"small": "done", "large": "failed"}
    folder.run(*batch, "--memory", "4GB", "--retry-failed", code=0)
    assert folder.states() == {"small": "done", "large": "done"}


def test_memory_of_a_command(folder: Folder) -> None:
    folder.write("items.jsonl", '{"key": "small", "mb": 1}\n{"key": "large", "mb": 900}\n')
    eat = [sys.executable, "-c", "import sys; bytearray(int(sys.argv[1]) * 1000000)", "{mb}"]
    batch = ("run", "--items", "items.jsonl", "--retries", "0", "--memory", "400MB", "--", *eat)
    folder.run(*batch, code=1)
    assert folder.states() == {"small": "done", "large": "failed"}


@pytest.mark.parametrize(("grace", "state"), [("200ms", "pending"), ("50s", "done")])
def test_grace_is_what_running_items_get_after_the_first_signal(
    folder: Folder, until: Callable[[Callable[[], bool]], None], grace: str, state: str
) -> None:
    folder.write("slow.py", SLOW)
    folder.write("items.jsonl", '{"key": "a"}\n{"key": "b"}\n')
    program = folder.start("run", "slow.py:wait", "--items", "items.jsonl", "--grace", grace)
    until(lambda: folder.calls == ["a"])
    program.send_signal(signal.SIGTERM)
    if state == "pending":
        program.communicate(timeout=30)  # ends by itself: what it waits for never comes
    else:
        assert "stopping" in next(iter(program.stderr or []))
        folder.write("go", "")
        program.communicate(timeout=30)
    assert program.returncode == 143
    assert folder.states() == {"a": state, "b": "pending"}
