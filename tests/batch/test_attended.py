"""Who may be beside a run: a watcher, a signal, a caller whose event loop is busy."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from respool import Spool, task
from respool.batch.snapshot import Snapshot
from respool.errors import SpoolBusy


@task(name="tests:doubled")
async def doubled(payload: int) -> int:
    return payload * 2


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    with Spool(tmp_path / "spool.db") as made:
        yield made


def test_inside_a_running_loop_the_engine_has_a_thread_of_its_own(spool: Spool) -> None:
    job = spool.submit(doubled, {"a": 1}, name="j")

    async def notebook() -> str:
        return str(job.run())

    assert asyncio.run(notebook()) == "j #1: 1 done"


def test_what_goes_wrong_in_that_thread_reaches_the_caller(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool, Spool(tmp_path / "spool.db") as holder:
        spool.submit(doubled, {"a": 1}, name="j")

        async def notebook() -> None:
            with pytest.raises(SpoolBusy, match="a live runner holds this spool"):
                spool.run()

        assert holder._take()
        try:
            asyncio.run(notebook())
        finally:
            holder._owner.release()


def test_the_watchers_last_snapshot_is_taken_after_the_last_commit(spool: Spool) -> None:
    seen: list[Snapshot] = []
    spool.submit(doubled, {"a": 1, "b": 2}, name="j").run(watcher=seen.append)
    assert {str(state): n for state, n in seen[-1].jobs[0].counts.items() if n} == {"done": 2}


def test_a_signal_stops_the_run_and_its_handler_goes_with_it(spool: Spool) -> None:
    before = signal.getsignal(signal.SIGTERM)

    @task(name="tests:signalled")
    async def signalled(payload: str) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        return payload

    report = spool.submit(signalled, {"a": "x", "b": "y"}, name="j").run()
    assert report.signal == signal.SIGTERM
    assert {item.key: str(item.state) for item in spool.job("j").items()} == {"a": "done", "b": "pending"}
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_signals_stay_with_their_owner(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    during: list[Any] = []

    @task(name="tests:looks")
    async def looks(payload: str) -> str:
        during.extend(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))
        return payload

    def elsewhere() -> None:
        with Spool(tmp_path / "spool.db") as spool:
            spool.submit(looks, {"a": "x"}, name="j").run()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert during == before
