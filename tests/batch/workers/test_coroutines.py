"""What is special about lanes in the event loop: they share it, and their tasks may refuse to be cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from test_contract import DEADLINE, IMPLEMENTATIONS, Bench, scenario

from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind, Outcome
from respool.batch.places import Places
from respool.batch.workers import coroutines

COROUTINES = IMPLEMENTATIONS["coroutines"]


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coroutines, "GRACE", 0.05)


# One that ignores even GeneratorExit is complained about by the interpreter when it is collected, and rightly so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("behaviour", ["stubborn", "very_stubborn"])
def test_a_task_that_swallows_cancellation_is_abandoned(tmp_path: Path, behaviour: str) -> None:
    async def play(bench: Bench) -> None:
        stubborn = bench.put(behaviour, {"started": str(tmp_path / "started")})
        following = bench.put("echo")
        await bench.until((tmp_path / "started").exists)
        bench.workers.interrupt(stubborn, "stop")
        assert await bench.outcome(stubborn) == Interrupted("stop")
        assert await bench.outcome(following) == Done('{"n":2}')

    scenario(COROUTINES, tmp_path, play, size=1)


def test_close_does_not_wait_for_it(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        stubborn = bench.put("stubborn", {"started": str(tmp_path / "started")})
        await bench.until((tmp_path / "started").exists)
        async with asyncio.timeout(DEADLINE):
            await bench.workers.close()
        assert bench.outcomes() == {stubborn: Interrupted("the workers were closed")}

    scenario(COROUTINES, tmp_path, play)  # and asyncio.run, which waits for all tasks, comes to its end


def test_a_timeout_that_is_swallowed_is_still_one(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        outcome = await bench.outcome(bench.put("stubborn", {"started": str(tmp_path / "s")}, timeout=0.05))
        assert isinstance(outcome, Failed)
        assert outcome.kind is Kind.TIMEOUT

    scenario(COROUTINES, tmp_path, play, size=1)


@pytest.mark.parametrize(
    ("behaviour", "then"), [("self_cancelling", "await"), ("self_cancelling", "return"), ("foreign_cancel", "")]
)
def test_a_task_that_cancels_itself_harms_nobody_else(tmp_path: Path, behaviour: str, then: str) -> None:
    async def play(bench: Bench) -> None:
        odd = bench.put(behaviour, {"then": then})
        rest = [bench.put("echo") for _ in range(3)]
        await bench.all_done()
        assert all(isinstance(bench.outcomes()[attempt], Done) for attempt in rest)
        outcome = bench.outcomes()[odd]
        if then == "return":
            assert outcome == Done()
        else:
            assert isinstance(outcome, Failed)
            assert outcome.kind is Kind.RAISED
            assert "Cancelled" in outcome.message

    scenario(COROUTINES, tmp_path, play, size=1)


def test_a_loop_that_comes_down_takes_the_lanes_with_it(tmp_path: Path) -> None:
    """asyncio.run cancels what is left and waits for it: without close() it must come to its end as well."""
    reports: list[Outcome] = []

    def report(attempt: Attempt, outcome: Outcome) -> None:
        reports.append(outcome)

    async def run() -> None:
        workers = COROUTINES.make(2, report, lambda attempt, text: None, Places.at(tmp_path / "spool.db"))
        workers.put(
            Attempt(1, 1, 1, "a", f'{{"started":"{tmp_path}/x"}}', "f", "n"), COROUTINES.task_for("hang")
        )
        workers.put(Attempt(2, 1, 1, "b", "1", "f", "n"), COROUTINES.task_for("echo"))
        async with asyncio.timeout(DEADLINE):
            while not reports:
                await asyncio.sleep(0)

    asyncio.run(run())
    assert reports[0] == Done("1")
