"""What is special about threads: they cannot be stopped, and must not keep the program from ending."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from test_contract import DEADLINE, IMPLEMENTATIONS, SPOOL, Bench, scenario

from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt, Done, Interrupted

THREADS = IMPLEMENTATIONS["threads"]


def put(bench: Bench, function: Any) -> Attempt:
    bench.put_count += 1
    attempt = Attempt(bench.put_count, 1, 1, "k", "1", "f", "n")
    bench.workers.put(attempt, Task("x:y", Mode.THREAD, function=function))
    return attempt


def test_a_late_result_is_not_heard(tmp_path: Path) -> None:
    going, gone = threading.Event(), threading.Event()
    begun = threading.Event()

    def late(payload: Any, context: Any) -> str:
        begun.set()
        going.wait(DEADLINE)
        context.note("too late")
        gone.set()
        return "too late"

    async def play(bench: Bench) -> None:
        attempt = put(bench, late)
        await bench.until(begun.is_set)
        bench.workers.interrupt(attempt, "stop")
        assert await bench.outcome(attempt) == Interrupted("stop")
        following = put(bench, lambda payload: payload)
        assert await bench.outcome(following) == Done("1")  # its place was taken by another thread
        going.set()
        await bench.until(gone.is_set)
        assert await bench.outcome(put(bench, lambda payload: payload)) == Done("1")
        assert [what for _, what in bench.said] == [Interrupted("stop"), Done("1"), Done("1")]

    scenario(THREADS, tmp_path, play, size=1)


def test_threads_end_with_the_workers(tmp_path: Path) -> None:
    before = threading.active_count()

    async def play(bench: Bench) -> None:
        for _ in range(20):
            bench.put("echo")
        await bench.all_done()
        assert before < threading.active_count() <= before + 4

    scenario(THREADS, tmp_path, play, size=4)
    assert threading.active_count() == before


def test_the_caller_s_objects_are_seen(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def play(bench: Bench) -> None:
        await bench.outcome(put(bench, seen.append))

    scenario(THREADS, tmp_path, play)
    assert seen == [1]


def test_a_hanging_thread_does_not_keep_the_program_alive(tmp_path: Path) -> None:
    program = f"""
import asyncio, threading
from pathlib import Path
from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt
from respool.batch.places import Places
from respool.batch.workers.threads import ThreadWorkers

begun = threading.Event()
def hang(payload):
    begun.set()
    threading.Event().wait()

async def main():
    workers = ThreadWorkers(
        1, lambda attempt, outcome: print(outcome.reason), print, spool_id={SPOOL!r}, places=Places(Path("spool.db"))
    )
    workers.put(Attempt(1, 1, 1, "k", "1", "f", "n"), Task("x:y", Mode.THREAD, function=hang))
    while not begun.is_set():
        await asyncio.sleep(0.01)
    await workers.close()

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert done.stdout == "the workers were closed\n"
    assert done.stderr == ""
