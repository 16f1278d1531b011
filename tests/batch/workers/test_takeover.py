"""Several blocking acts at once, with and without an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from threading import Barrier, Event

import pytest

from respool.batch.workers.takeover import AT_ONCE, at_once, at_once_beside


def meeting(number: int) -> list[object]:
    """Acts that end only if all of them run at the same time."""
    barrier = Barrier(number)
    return [lambda n=n: (barrier.wait(20), n)[1] for n in range(number)]


def test_they_run_at_the_same_time_and_answer_in_order() -> None:
    assert at_once(meeting(AT_ONCE)) == list(range(AT_ONCE))  # type: ignore[arg-type]
    assert asyncio.run(at_once_beside(meeting(5))) == [0, 1, 2, 3, 4]  # type: ignore[arg-type]


def test_more_than_there_are_threads() -> None:
    acts = [lambda n=n: n for n in range(3 * AT_ONCE)]  # type: ignore[misc]
    assert at_once(acts) == list(range(3 * AT_ONCE))
    assert at_once([]) == asyncio.run(at_once_beside([])) == []


def test_the_first_error_is_raised_when_all_have_ended() -> None:
    ended = []

    def fail() -> None:
        raise ValueError("boom")

    for drive in (at_once, lambda acts: asyncio.run(at_once_beside(acts))):
        with pytest.raises(ValueError, match="boom"):
            drive([fail, lambda: ended.append(1)])  # type: ignore[operator]
    assert ended == [1, 1]


def test_the_loop_goes_on_meanwhile() -> None:
    go = Event()

    async def run() -> list[object]:
        asyncio.get_running_loop().call_later(0.01, go.set)
        return await at_once_beside([lambda: go.wait(20)])

    assert asyncio.run(run()) == [True]


def test_cancelled_it_returns_and_the_program_can_end() -> None:
    code = """
import asyncio, time
from respool.batch.workers.takeover import at_once_beside

async def run():
    task = asyncio.ensure_future(at_once_beside([lambda: time.sleep(60)]))
    await asyncio.sleep(0.05)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")

asyncio.run(run())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "cancelled\n", "")
