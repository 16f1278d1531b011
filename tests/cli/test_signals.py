"""What stops a run from outside: signals, a closed terminal, another runner. (A full disk and a foreign writer have
tests of their own.) Whatever it is, nothing that had finished is repeated, and the same command goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import pexpect
import pytest
from program import LOGGING, PROGRAM, Folder, Until

TASKS = LOGGING + '''
@task(mode="thread")
def step(payload, context):
    log(f"+{context.key}")
    while payload.get("waits") and not (HERE / "go").exists():
        time.sleep(0.01)
    time.sleep(payload.get("seconds", 0))
    log(f"-{context.key}")
    return "x" * payload.get("size", 1)

@task(mode="process")
def walk(payload, context):
    return step(payload, context)

@task(mode="process")
def hang(payload, context):
    log(f"+{context.key}")
    while not (HERE / "go").exists():
        time.sleep(0.01)
    log(f"-{context.key}")
'''
RUN = ("run", "work.py:step", "--items", "items.jsonl", "--no-tui")
HANG = ("run", "work.py:hang", "--items", "items.jsonl", "--no-tui")


@pytest.fixture
def work(folder: Folder) -> Iterator[Folder]:
    folder.write("work.py", TASKS)
    folder.write("items.jsonl", '{"key": "a"}\n{"key": "b", "waits": true}\n{"key": "c"}\n')
    yield folder
    folder.write("go", "")  # whatever a failed test has left may end


def effects(folder: Folder) -> list[str]:
    log = folder.path / "effects"
    return log.read_text().split() if log.exists() else []


def many(folder: Folder, number: int, **fields: object) -> None:
    """Items k0, k1 ... whose payloads differ."""
    extra = "".join(f', "{name}": {value}' for name, value in fields.items())
    lines = [f'{{"key": "k{n}", "n": {n}{extra}}}\n' for n in range(number)]
    folder.write("items.jsonl", "".join(lines))


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and what it said."""
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Traceback" not in said
    return process.returncode, said


def test_ctrl_c_lets_what_runs_finish_and_the_finished_is_skipped(work: Folder, until: Until) -> None:
    runner = work.start(*RUN)
    until(lambda: "+b" in effects(work))
    runner.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert runner.poll() is None, "it must wait for what runs"
    work.write("go", "")
    assert ended(runner)[0] == 130
    assert effects(work) == ["+a", "-a", "+b", "-b"]
    assert work.states() == {"a": "done", "b": "done", "c": "pending"}
    work.run(*RUN, code=0)
    assert effects(work)[4:] == ["+c", "-c"]


def test_ctrl_c_after_the_first_of_three(work: Folder, until: Until) -> None:
    many(work, 3, seconds=0.5)
    runner = work.start(*RUN)
    until(lambda: "-k0" in effects(work))
    runner.send_signal(signal.SIGINT)
    assert ended(runner)[0] == 130
    work.run(*RUN, code=0)
    assert Counter(effects(work)) == Counter(["+k0", "-k0", "+k1", "-k1", "+k2", "-k2"])


@pytest.mark.parametrize("task", ["step", "walk"])
def test_three_items_and_ctrl_c_on_the_keyboard_after_the_first(work: Folder, until: Until, task: str) -> None:
    """As a user does it: on a terminal, where Ctrl-C reaches every process of the command."""
    many(work, 3, seconds=0.7)
    run = ("run", f"work.py:{task}", "--items", "items.jsonl")
    terminal = pexpect.spawn(PROGRAM, list(run), cwd=str(work.path), timeout=60, encoding="utf-8")
    until(lambda: "-k0" in effects(work))
    terminal.sendintr()
    said = str(terminal.read())
    terminal.close()
    assert terminal.exitstatus == 130, said
    assert "ended by SIGINT; the same command again goes on where it stopped" in said
    done = [key for key, state in work.states().items() if state == "done"]
    assert done[0] == "k0"
    assert len(done) < 3
    again = work.run(*run, code=0)
    assert "3 done" in again.err
    assert Counter(effects(work)) == Counter(["+k0", "-k0", "+k1", "-k1", "+k2", "-k2"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_what_runs_at_once(work: Folder, until: Until, number: int, code: int) -> None:
    many(work, 2)
    runner = work.start(*HANG, "--workers", "2")
    until(lambda: len(effects(work)) == 2)
    runner.send_signal(number)
    time.sleep(0.3)
    assert runner.poll() is None
    runner.send_signal(number)
    assert ended(runner)[0] == code
    assert work.states() == {"k0": "pending", "k1": "pending"}
    work.write("go", "")
    work.run(*HANG, code=0)
    assert Counter(effects(work)) == {"+k0": 2, "+k1": 2, "-k0": 1, "-k1": 1}


def test_the_grace_time_is_an_end_to_waiting(work: Folder, until: Until) -> None:
    many(work, 1)
    runner = work.start(*HANG, "--grace", "0.2s")
    until(lambda: effects(work) == ["+k0"])
    runner.send_signal(signal.SIGTERM)
    assert ended(runner)[0] == 143
    assert work.states() == {"k0": "pending"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_started_in_the_background_it_still_listens(work: Folder, until: Until, number: int) -> None:
    """A shell without job control starts `command &` with SIGINT ignored."""
    many(work, 40, seconds=0.1)
    line = f"{PROGRAM} {' '.join(RUN)} 2>said & echo $! >pid; wait $!; echo $? >code"
    shell = subprocess.Popen(["sh", "-c", line], cwd=work.path)
    until(lambda: "-k0" in effects(work))
    os.kill(int((work.path / "pid").read_text()), number)
    try:
        assert shell.wait(60) == 0
    finally:
        shell.kill()
        shell.wait()
    assert int((work.path / "code").read_text()) == 128 + number
    assert 0 < list(work.states().values()).count("done") < 40


@pytest.mark.parametrize("tui", [True, False])
def test_a_closed_terminal(work: Folder, until: Until, tui: bool) -> None:
    many(work, 40, seconds=0.1)
    terminal = pexpect.spawn(PROGRAM, list(RUN if not tui else RUN[:-1]), cwd=str(work.path), timeout=60)
    until(lambda: "-k0" in effects(work))
    os.close(terminal.child_fd)  # the terminal goes: SIGHUP for the session that it led
    until(lambda: not terminal.isalive())
    with contextlib.suppress(OSError):
        terminal.close()
    done = list(work.states().values()).count("done")
    assert 0 < done < 40
    assert len([line for line in effects(work) if line[0] == "+"]) == done
    work.run(*RUN, "--workers", "8", code=0)
    assert set(Counter(effects(work)).values()) == {1}
    assert terminal.exitstatus == 143, (terminal.exitstatus, terminal.signalstatus)


def test_a_second_runner_is_refused(work: Folder, until: Until) -> None:
    runner = work.start(*RUN)
    until(lambda: "+b" in effects(work))
    refused = work.run("run", code=4)
    assert str(runner.pid) in refused.err
    work.write("go", "")
    assert ended(runner)[0] == 0
    assert Counter(effects(work)) == Counter(["+a", "-a", "+b", "-b", "+c", "-c"])
