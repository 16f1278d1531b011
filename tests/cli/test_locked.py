"""Another program that keeps the spool's database locked: a run waits for it and says so, and loses nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest
from program import LOGGING, PROGRAM, Folder, Said, Until

TASKS = LOGGING + '''
@task(mode="thread")
def step(payload, context):
    log(context.key)
    while payload.get("waits") and not (HERE / "go").exists():
        time.sleep(0.01)
    time.sleep(0.02)
    return context.key
'''
RUN = ("run", "work.py:step", "--items", "items.jsonl", "--no-tui", "--workers", "2")
LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def work(folder: Folder) -> Folder:
    folder.write("work.py", TASKS)
    folder.write("items.jsonl", "".join(f'{{"key": "k{n:02}", "n": {n}}}\n' for n in range(60)))
    return folder


@contextmanager
def locked(work: Folder) -> Iterator[None]:
    """A process of another program has the database for itself."""
    program = [sys.executable, "-c", LOCK, str(work.path / ".respool" / "spool.db")]
    other = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield
    finally:
        other.communicate(timeout=30)


def rows(work: Folder, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(work.path / ".respool" / "spool.db")) as connection:
        return connection.execute(statement).fetchall()


def effects(work: Folder) -> Counter[str]:
    log = work.path / "effects"
    return Counter(log.read_text().split() if log.exists() else [])


def check(work: Folder) -> None:
    assert rows(work, "SELECT state, count(*) FROM items GROUP BY state") == [("done", 60)]
    assert rows(work, "SELECT count(*) FROM attempts WHERE outcome = 'done'") == [(60,)]
    assert set(effects(work).values()) == {1}


def test_it_waits_says_so_and_goes_on(work: Folder, until: Until) -> None:
    said = Said(work.start(*RUN))
    until(lambda: effects(work)["k05"] > 0)
    with locked(work):
        until(lambda: "another program keeps the database locked" in said.text)
        assert "waiting for up to 60 s, nothing is started meanwhile" in said.text
        begun = len(effects(work))
    assert said.ended() == 0, said.text
    assert begun < 60
    assert "the spool can be written again" in said.text
    check(work)


def test_the_live_view_shows_it(work: Folder, until: Until) -> None:
    terminal = pexpect.spawn(
        PROGRAM, [part for part in RUN if part != "--no-tui"], cwd=str(work.path), timeout=60, encoding="utf-8"
    )  # fmt: skip
    until(lambda: effects(work)["k05"] > 0)
    with locked(work):
        terminal.expect_exact("waiting for up to 60 s, nothing is started meanwhile")
    terminal.expect_exact("60 done")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    check(work)


def test_for_ever_it_gives_up_and_loses_nothing(work: Folder, until: Until) -> None:
    said = Said(work.start(*RUN, "--patience", "1s"))
    until(lambda: effects(work)["k05"] > 0)
    with locked(work):
        assert said.ended() == 5, said.text
    assert said.text.count("respool: the spool cannot be written: database is locked") == 1
    assert "why:   another program keeps the database locked" in said.text
    assert "next:  mend that, then run the same command again" in said.text
    # What had ended and could not be written lies beside the database, and the next run finds it.
    assert "taken over by the next run" in said.text
    assert len(effects(work)) > rows(work, "SELECT count(*) FROM items WHERE state = 'done'")[0][0]  # type: ignore[operator]
    work.run(*RUN, code=0)
    check(work)


def test_before_a_run_it_waits_and_says_so_too(work: Folder, until: Until) -> None:
    work.run(*RUN, "--only", "k00", code=0)
    with locked(work):
        said = Said(work.start(*RUN, "--patience", "1d"))
        until(lambda: "another program keeps the spool locked" in said.text)
        impatient = work.run(*RUN, "--patience", "0.2s", code=5)  # the patient one does not keep it from giving up
    assert said.ended() == 0, said.text
    check(work)
    assert "database is locked" in impatient.err


def test_ctrl_c_ends_the_waiting_before_a_run(work: Folder, until: Until) -> None:
    work.run(*RUN, "--only", "k00", code=0)
    with locked(work):
        said = Said(work.start(*RUN, "--patience", "1d"))
        until(lambda: "another program keeps the spool locked" in said.text)
        said.process.send_signal(signal.SIGINT)
        assert said.ended() == 130, said.text
    work.run(*RUN, code=0)
    check(work)


def test_what_could_not_be_started_is_started_later(work: Folder, until: Until) -> None:
    """The last item is about to start when nothing can be written."""
    waiting = [f'{{"key": "k{n}", "n": {n}, "waits": true}}\n' for n in range(2)]
    work.write("items.jsonl", "".join([*waiting, '{"key": "k2", "n": 2}\n']))
    said = Said(work.start(*RUN))
    until(lambda: len(effects(work)) == 2)
    with locked(work):
        work.write("go", "")
        until(lambda: "another program keeps the database locked" in said.text)
    assert said.ended() == 0, said.text
    assert effects(work) == {"k0": 1, "k1": 1, "k2": 1}
    assert rows(work, "SELECT state, count(*) FROM items GROUP BY state") == [("done", 3)]


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_spool_that_is_taken_away_ends_the_run_with_an_error(folder: Folder, until: Until, how: str) -> None:
    folder.write("items.jsonl", '{"key": "a", "n": 1, "wait_for": "go"}\n{"key": "b", "n": 2}\n')
    said = Said(folder.start("run", "tasks.py:square", "--items", "items.jsonl", "--no-tui", "--patience", "1s"))
    until(lambda: folder.calls == ["a"])
    if how == "deleted":
        shutil.rmtree(folder.path / ".respool")
    else:
        other = shutil.copy(folder.path / ".respool" / "spool.db", folder.path / "copy.db")
        os.replace(other, folder.path / ".respool" / "spool.db")
    folder.write("go", "")
    assert said.ended() == 5, said.text
    assert "its file was removed or replaced while it was in use" in said.text
    assert folder.calls == ["a"], "nothing more is paid for"
    folder.run("run", "tasks.py:square", "--items", "items.jsonl", code=0)
