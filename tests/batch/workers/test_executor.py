"""Work outside of this process: what an executor cannot do, and what its ends mean. A real cluster is in test_cluster.py.

What all workers promise is tested in test_contract.py.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import pytest
from test_contract import IMPLEMENTATIONS, Bench, scenario

from respool.batch.declaration import Command, Mode, Task
from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind, Outcome
from respool.batch.places import Places
from respool.batch.workers.executor import Died, ExecutorWorkers, NotBegun, check
from respool.errors import BatchError, UsageError

EXECUTOR = IMPLEMENTATIONS["executor"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task("m:f", Mode.PROCESS, timeout=5), "cannot declare a timeout"),
        (Task("m:f", Mode.PROCESS, memory=10**9), "cannot declare a memory limit"),
        (Task("command:x", Mode.COMMAND, command=Command(("x",))), "a command cannot run on a cluster"),
    ],
)
def test_what_no_executor_can_do_is_refused(tmp_path: Path, task: Task, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(task)

    async def play(bench: Bench) -> None:
        bench.put_count += 1
        attempt = Attempt(1, 1, 1, "k", "1", "f", "n")
        bench.workers.put(attempt, task)
        outcome = await bench.outcome(attempt)
        assert isinstance(outcome, Failed)
        assert outcome.final
        assert said in outcome.message

    scenario(EXECUTOR, tmp_path, play)
    check(Task("m:f", Mode.ASYNC, timeout=5))


class Fate(Executor):
    """An executor on which everything ends in the same way."""

    def __init__(self, end: BaseException | None) -> None:
        self.end = end

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.end is None:
            future.cancel()
        else:
            future.set_exception(self.end)
        return future


def fate(end: BaseException | None, gone: bool = False) -> tuple[Outcome, bool]:
    """What an attempt comes to that ends so, and whether the next one is refused."""
    reported: list[Outcome] = []

    async def play() -> bool:
        lost: list[bool] = []
        workers = ExecutorWorkers(
            lambda heard: Fate(end), 2, lambda attempt, outcome: reported.append(outcome), lambda *_: None,
            spool_id="s", places=Places.at("x.db"), gone=lambda: "it is over" if lost else None,
        )  # fmt: skip
        task = Task("sample_tasks:nothing_async", Mode.ASYNC)
        workers.put(Attempt(1, 1, 1, "k", "1", "f", "n"), task)
        if gone:
            lost.append(True)
        while not reported:
            await asyncio.sleep(0.001)
        try:
            workers.put(Attempt(2, 1, 1, "k", "1", "f", "n"), task)
            return False
        except BatchError:
            return True
        finally:
            await workers.close()
            assert len(reported) == 2

    refused = asyncio.run(play())
    return reported[0], refused


def test_whose_fault_a_death_is() -> None:
    outcome, refused = fate(Died("of it"))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.CRASHED
    assert not refused
    assert fate(NotBegun("in time")) == (Interrupted("in time"), False)
    assert isinstance(fate(None)[0], Interrupted)
    assert fate(None, gone=True)[1], "nothing more is put on a cluster that is gone"
    outcome, refused = fate(BrokenExecutor("one of many died"))
    assert isinstance(outcome, Interrupted)
    assert refused


def test_a_module_that_is_missing_over_there_fails_its_items(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        bench.put_count += 2
        lost, fine = Attempt(1, 1, 1, "k", "1", "f", "n"), Attempt(2, 1, 2, "k", "1", "f", "n")
        bench.workers.put(lost, Task("nowhere_to_be_found:f", Mode.ASYNC))
        bench.workers.put(fine, Task("sample_tasks:echo_async", Mode.ASYNC))
        outcome = await bench.outcome(lost)
        assert isinstance(outcome, Failed)
        assert "nowhere_to_be_found" in outcome.message
        assert await bench.outcome(fine) == Done("1")

    scenario(EXECUTOR, tmp_path, play)


def test_a_timeout_that_is_swallowed_on_the_other_side_is_still_one(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        outcome = await bench.outcome(bench.put("stubborn", {"started": str(tmp_path / "s")}, timeout=0.05))
        assert isinstance(outcome, Failed)
        assert outcome.kind is Kind.TIMEOUT
        assert await bench.outcome(bench.put("echo")) == Done('{"n":2}')

    scenario(EXECUTOR, tmp_path, play, size=1)
