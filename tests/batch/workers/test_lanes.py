"""Lanes by themselves, with attempts that only await a future. What all workers promise is tested in test_contract.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context

import pytest

from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind, Outcome
from respool.batch.workers import lanes
from respool.batch.workers.lanes import CLOSED, Lane, Lanes

DEADLINE = 60.0  # only so that a failing test ends
TASK = Task("tests:none", Mode.ASYNC)
Run = Callable[[Attempt], Awaitable[Outcome]]


async def done(attempt: Attempt) -> Outcome:
    return Done()


class Places(Lanes[Lane]):
    """A kind of workers with nothing of its own."""

    def __init__(self, size: int, run: Run = done) -> None:
        super().__init__(size, self.heard)
        self.outcomes: list[tuple[int, Outcome]] = []
        self.changed = asyncio.Event()
        self.new_lanes, self.stopped, self.freed = 0, 0, 0
        self._run = run

    def heard(self, attempt: Attempt, outcome: Outcome) -> None:
        self.outcomes.append((attempt.item, outcome))
        self.changed.set()

    def new_lane(self) -> Lane:
        self.new_lanes += 1
        return Lane()

    async def run(self, lane: Lane, attempt: Attempt, task: Task) -> Outcome:
        return await self._run(attempt)

    def stop(self, lane: Lane) -> None:
        self.stopped += 1

    async def free(self) -> None:
        self.freed += 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.outcomes) < count:
                self.changed.clear()
                await self.changed.wait()


def attempt(number: int) -> Attempt:
    return Attempt(number, 1, 1, f"k{number}", "1", "f", "n")


def test_a_lane_rests_and_serves_again() -> None:
    async def play() -> None:
        places = Places(3)
        for number in range(5):
            places.put(attempt(number), TASK)
            await places.until(number + 1)
            await asyncio.sleep(0)
            assert (len(places.lanes), len(places.resting)) == (0, 1)
        for number in range(5, 20):
            places.put(attempt(number), TASK)
        await places.until(20)
        assert places.new_lanes == 3
        await places.close()
        assert places.freed == 1

    asyncio.run(play())


def test_what_a_kind_of_workers_does_wrong_ends_its_attempt_only() -> None:
    async def odd(attempt: Attempt) -> Outcome:
        if attempt.item == 1:
            raise OSError("no room")
        return Done()

    async def play() -> None:
        places = Places(1, odd)
        for number in (1, 2):
            places.put(attempt(number), TASK)
        await places.until(2)
        assert places.outcomes == [(1, Failed(Kind.CRASHED, "its worker failed: OSError: no room")), (2, Done())]
        await places.close()

    asyncio.run(play())


def test_an_attempt_is_stopped_once() -> None:
    async def play() -> None:
        going = asyncio.get_running_loop().create_future()

        async def wait(attempt: Attempt) -> Outcome:
            outcome: Outcome = await going
            return outcome

        places = Places(1, wait)
        places.put(attempt(1), TASK)
        await asyncio.sleep(0)
        places.interrupt(attempt(1), "first")
        places.interrupt(attempt(1), "second")
        assert [lane.verdict for lane in places.lanes] == [Interrupted("first")]
        going.set_result(Done("1"))
        await places.close()
        assert places.outcomes == [(1, Done("1"))]
        assert places.stopped == 1

    asyncio.run(play())


def test_what_is_put_after_the_close_is_reported() -> None:
    async def play() -> None:
        places = Places(1)
        await places.close()
        places.put(attempt(1), TASK)
        await places.until(1)
        assert places.outcomes == [(1, CLOSED)]

    asyncio.run(play())


def test_a_lane_that_is_given_up_makes_room_for_another() -> None:
    async def play() -> None:
        never = asyncio.get_running_loop().create_future()

        async def hang(attempt: Attempt) -> Outcome:
            if attempt.item == 1:
                await never
            return Done()

        places = Places(1, hang)
        for number in (1, 2):
            places.put(attempt(number), TASK)
        await asyncio.sleep(0)
        (lane,) = places.lanes
        server = lane.server
        assert server is not None
        places.abandon(lane, Interrupted("given up"))
        await places.until(2)
        assert places.outcomes == [(1, Interrupted("given up")), (2, Done())]
        await places.close()
        assert not server.done()
        never.set_result(None)
        await server
        assert len(places.outcomes) == 2, "nobody listens to it any more"

    asyncio.run(play())


class Odd:
    """A value that cannot be compared, as an array of numpy."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_what_an_attempt_leaves_in_its_context_no_other_finds() -> None:
    variable: ContextVar[object] = ContextVar("variable")
    seen: list[object] = []
    ours = Odd()

    async def mark(attempt: Attempt) -> Outcome:
        seen.append(variable.get())
        variable.set(Odd())
        return Done()

    async def play() -> None:
        places = Places(1, mark)
        for number in range(4):
            places.put(attempt(number), TASK)
        await places.until(4)
        await places.close()
        assert places.new_lanes == 1

    def within() -> None:
        variable.set(ours)
        asyncio.run(play())

    copy_context().run(within)
    assert all(value is ours for value in seen)
    assert len(seen) == 4


def test_a_flood_of_quick_ones_leaves_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "BREATH", 0.0)

    async def play() -> None:
        places = Places(2)
        for number in range(200):
            places.put(attempt(number), TASK)
        turns = 0
        while len(places.outcomes) < 200:
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 100
        await places.close()

    asyncio.run(play())


def test_a_report_that_raises_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def broken(attempt: Attempt, outcome: Outcome) -> None:
        raise RuntimeError("the runner is broken")

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context["exception"]))
        places = Places(1)
        places.report = broken
        places.put(attempt(1), TASK)
        async with asyncio.timeout(DEADLINE):
            while not seen:
                await asyncio.sleep(0)

    asyncio.run(play())
    assert str(seen[0]) == "the runner is broken"
