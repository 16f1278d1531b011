"""A disk that is full: nothing that had finished is lost, the run waits, and if nobody makes room it ends with one
clear error. Then the same command goes on."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator

import pytest
from program import LOGGING, Folder, Said, Until
from small_disk import LimitedFiles, Room, small_file_system

TASKS = LOGGING + '''
def step(payload, context):
    log("+" + context.key)
    time.sleep(0.005)
    log("-" + context.key)
    return context.key * 4000

@task(mode="thread")
def in_thread(payload, context):
    return step(payload, context)

@task(mode="process")
def in_process(payload, context):
    return step(payload, context)

@task
async def in_async(payload, context):
    return step(payload, context)
'''
EACH = ("--each", "inputs/*", "--", "sh", "-c", 'echo "+$1" >>effects; echo "-$1" >>effects; printf %040000d 0', "sh", "{}")
RUNS = {mode: (f"work.py:in_{mode}", "--items", "items.jsonl") for mode in ("async", "thread", "process")}
RUNS["command"] = EACH
ITEMS = 150
NUMBER = dict.fromkeys(RUNS, ITEMS) | {"command": ITEMS // 3}
LIMIT = 420_000  # the log of a run's writes grows beyond that soon
DISK = 2_200_000  # 220 kB for an empty spool, 1 MiB for the reserve; every item writes more than 16 kB


@pytest.fixture
def work(folder: Folder) -> Folder:
    folder.write("work.py", TASKS)
    folder.write("items.jsonl", "".join(f'{{"key": "k{n:03}", "n": {n}}}\n' for n in range(ITEMS)))
    for n in range(ITEMS // 3):
        folder.write(f"inputs/{n:03}", str(n))
    return folder


@pytest.fixture(params=["limit", "file system"])
def room(request: pytest.FixtureRequest, work: Folder) -> Iterator[Room]:
    if request.param == "limit":
        yield LimitedFiles(work.path, LIMIT)
        return
    with small_file_system(work.path, DISK) as made:
        yield made


def effects(folder: Folder) -> Counter[str]:
    log = folder.path / "effects"
    return Counter(log.read_text().split() if log.exists() else [])


def check(room: Room, folder: Folder, number: int) -> None:
    """All is done: really, and on record, once."""
    assert set(effects(folder).values()) == {1}
    assert len(effects(folder)) == 2 * number
    copy = shutil.copy(room.spool, folder.path / "copy.db")  # SQLite itself does not find its way into the namespace
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT state, count(*) FROM items GROUP BY state").fetchall() == [("done", number)]
        done = "SELECT count(*), count(DISTINCT item_id) FROM attempts WHERE outcome = 'done'"
        assert connection.execute(done).fetchone() == (number, number)
        assert connection.execute("SELECT count(*) FROM items WHERE failures + crashes > 0").fetchone() == (0,)


@pytest.mark.parametrize("mode", RUNS)
def test_nobody_makes_room(room: Room, work: Folder, mode: str) -> None:
    said = Said(room.start("run", "--workers", "4", "--no-tui", "--patience", "1s", *RUNS[mode]))
    assert said.ended() == 5, said.text
    assert said.text.count("waiting for up to 1 s, nothing is started meanwhile: the spool cannot be written") == 1
    assert said.text.count("respool: the spool cannot be written") == 1
    for line in ("where: ", "why:   the disk", "next:  mend that, then run the same command again"):
        assert said.text.count(line) == 1, said.text
    assert "stopping" not in said.text
    assert 0 < len(effects(work)) < 2 * NUMBER[mode]
    room.make()
    again = Said(room.start("run", "--workers", "4", "--no-tui", *RUNS[mode]))
    assert again.ended() == 0, again.text
    check(room, work, NUMBER[mode])


@pytest.mark.parametrize("mode", ["thread", "command"])
def test_somebody_makes_room(room: Room, work: Folder, until: Until, mode: str) -> None:
    said = Said(room.start("run", "--workers", "4", "--no-tui", *RUNS[mode]))
    until(lambda: "waiting for up to 60 s" in said.text)
    assert "again" not in said.text
    room.make()
    assert said.ended() == 0, said.text
    assert "the spool can be written again" in said.text
    check(room, work, NUMBER[mode])


def test_the_second_ctrl_c_ends_the_waiting(work: Folder, until: Until) -> None:
    room = LimitedFiles(work.path, LIMIT)
    said = Said(room.start("run", "--workers", "4", "--no-tui", "--patience", "1d", *RUNS["thread"]))
    until(lambda: "waiting for up to" in said.text)
    for _ in range(2):
        said.process.send_signal(signal.SIGINT)
        until(lambda: "stopping" in said.text or said.process.poll() is not None)
    assert said.ended() == 5, said.text
    assert "taken over by the next run" in said.text
    room.make()
    assert Said(room.start("run", "--workers", "4", "--no-tui", *RUNS["thread"])).ended() == 0
    check(room, work, ITEMS)


def test_no_room_for_the_spool_itself(work: Folder) -> None:
    room = LimitedFiles(work.path, 60_000)
    said = Said(room.start("run", "--no-tui", *RUNS["thread"]))
    assert said.ended() == 5
    assert said.text.count("respool: the spool cannot be written") == 1
    assert [path.name for path in (work.path / ".respool").iterdir() if "spool.db" in path.name] == ["spool.db.write.lock"]
    room.make()
    assert Said(room.start("run", "--workers", "4", "--no-tui", *RUNS["thread"])).ended() == 0
    check(room, work, ITEMS)
