"""The live view, drawn on a terminal of our own."""

from __future__ import annotations

import io
import os
import re
import sys

import pexpect
import pytest
from program import PROGRAM, Folder
from rich.console import Console

from respool.batch.model import ItemState
from respool.batch.snapshot import JobView, Snapshot
from respool.cli.plain import Rates
from respool.cli.view import LiveView, picture

JOB = JobView(
    1, "genes.toml", {ItemState.DONE: 40, ItemState.PENDING: 50, ItemState.RUNNING: 10},
    [(f"k{number}", 0, "asking the model" if number == 0 else None) for number in range(10)],
    [("bad", "raised: boom [not markup]")], "waiting for openai until 12:00:00", 10, 40,
)  # fmt: skip


def drawn(snapshot: Snapshot) -> str:
    rates = Rates()
    rates.saw(1, 20, 0)
    rates.saw(1, 40, 10_000_000)
    console = Console(file=io.StringIO(), width=120, no_color=True)
    console.print(picture(snapshot, rates))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_everything_is_on_the_picture() -> None:
    text = drawn(Snapshot(10_000_000, [JOB], True, "the disk is full", "s"))
    for part in (
        "genes.toml #1", "40/100 40%", "2.0/s", "about 30.0 s left", "40 done", "asking the model", "10.0 s",
        "and 2 more", "✗ bad: raised: boom [not markup]", "waiting for openai", "the disk is full", "stopping",
    ):  # fmt: skip
        assert part in text


HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def screen(text: str) -> list[str]:
    """The lines that a terminal shows after it was sent `text`, as far as we use its language."""
    lines, at = [""], 0
    for word in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
        if word == "\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif word.endswith("A") and word.startswith("\x1b"):
            at = max(0, at - int(word[2:-1] or 1))
        elif word == "\x1b[2K":
            lines[at] = ""
        elif word[0] not in "\x1b\r":
            lines[at] += word
    return lines


def test_it_leaves_the_screen_as_it_was() -> None:
    shown = io.StringIO()
    view = LiveView(Console(file=shown, width=80, force_terminal=True))
    view.show(Snapshot(0, [JOB], False, None, "s"))
    drawn = shown.getvalue()
    view.close()
    assert any(JOB.name in line for line in screen(drawn))
    assert "".join(screen(shown.getvalue())).strip() == "", "nothing of it is left"
    assert [shown.getvalue().count(code) for code in (HIDE_CURSOR, SHOW_CURSOR)] == [1, 1]
    before = shown.getvalue()
    view.close()
    assert shown.getvalue() == before, "closing it again does nothing"


@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal(folder: Folder, no_color: bool) -> None:
    folder.write("items.jsonl", '{"key": "the-running-one", "n": 1, "wait_for": "go"}\n')
    env = {"TERM": "xterm-256color", "PATH": "/usr/bin:/bin", **({"NO_COLOR": "1"} if no_color else {})}
    program = pexpect.spawn(
        PROGRAM, ["run", "tasks.py:square", "--items", "items.jsonl"], cwd=str(folder.path), env=env, timeout=30,
        dimensions=(24, 100),
    )  # fmt: skip
    program.expect("the-running-one")
    seen = program.before
    folder.write("go", "")
    program.expect("1 done in")
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == 0
    assert (b"\x1b[32m" in seen or b"\x1b[1m" in seen or b"\x1b[36m" in seen) is not no_color or no_color
    if no_color:
        assert b"\x1b[3" not in seen


def test_no_tui_on_a_terminal(folder: Folder) -> None:
    program = pexpect.spawn(
        PROGRAM, ["run", "tasks.py:square", "--items", "items.jsonl", "--no-tui"], cwd=str(folder.path), timeout=30
    )  # fmt: skip
    program.expect(pexpect.EOF)
    program.close()
    assert b"\x1b" not in program.before
    assert sys.platform != "win32"


def test_a_closed_terminal_stops_the_run_in_order(folder: Folder) -> None:
    folder.write("items.jsonl", '{"key": "the-running-one", "n": 1, "wait_for": "go"}\n{"key": "b", "n": 2}\n')
    env = {"TERM": "xterm-256color", "PATH": "/usr/bin:/bin"}
    program = pexpect.spawn(
        PROGRAM, ["run", "tasks.py:square", "--items", "items.jsonl"], cwd=str(folder.path), env=env, timeout=30
    )  # fmt: skip
    program.expect("the-running-one")
    os.close(program.child_fd)  # the terminal window is gone: the kernel sends SIGHUP
    folder.write("go", "")
    _, status = os.waitpid(program.pid, 0)
    program.closed = True
    assert os.waitstatus_to_exitcode(status) == 143
    assert folder.states()["the-running-one"] == "done"
