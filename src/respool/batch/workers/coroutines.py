"""Async tasks, in the runner's own event loop. What is their own: they share it, and may refuse to be cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

from respool.batch.context import Context
from respool.batch.declaration import Task
from respool.batch.execute import timed_out, try_async
from respool.batch.model import Attempt, Outcome
from respool.batch.places import Places
from respool.batch.workers.contract import Note, Report
from respool.batch.workers.lanes import Lane, Lanes

GRACE = 0.7  # seconds that a cancelled task gets to clean up, twice, before it is abandoned


class _Lane(Lane):
    """With the timer that asks once more, and then gives up."""

    __slots__ = ("escalation",)

    def __init__(self) -> None:
        super().__init__()
        self.escalation: asyncio.TimerHandle | None = None


class CoroutineWorkers(Lanes[_Lane]):
    """Runs at most `size` async attempts at once. See contract.Workers."""

    def __init__(self, size: int, report: Report, note: Note, *, spool_id: str, places: Places) -> None:
        super().__init__(size, report)
        self._note, self._spool_id, self._places = note, spool_id, places

    def new_lane(self) -> _Lane:
        return _Lane()

    async def run(self, lane: _Lane, attempt: Attempt, task: Task) -> Outcome:
        server = lane.server
        assert server is not None
        if task.timeout is not None:
            self._watch(lane, task.timeout)
        try:
            outcome = await try_async(task, attempt, self._context_of)
        except asyncio.CancelledError:
            if lane.verdict is None:
                _disarm(lane)
                raise
            outcome = lane.verdict
        if lane.escalation is not None or server.cancelling():
            await _calm(lane, server)
        return outcome

    def stop(self, lane: _Lane) -> None:
        """Cancel what the lane runs; ask once more after a while, then give it up."""
        assert lane.server is not None
        _disarm(lane)
        lane.server.cancel()
        lane.escalation = asyncio.get_running_loop().call_later(GRACE, self._insist, lane)

    def _watch(self, lane: _Lane, timeout: float) -> None:
        """try_async cancels at the timeout; this is for a task that swallows that."""
        loop = asyncio.get_running_loop()
        lane.escalation = loop.call_later(timeout + GRACE, self.end, lane, timed_out(timeout))

    def _insist(self, lane: _Lane) -> None:
        if lane.attempt is not None and lane.server is not None:
            lane.server.cancel()
            lane.escalation = asyncio.get_running_loop().call_later(GRACE, self._give_up, lane)

    def _give_up(self, lane: _Lane) -> None:
        """Go on without a lane whose task swallows every cancellation."""
        server = lane.server
        if lane.attempt is not None and lane.verdict is not None and server is not None:
            self.abandon(lane, lane.verdict)
            _destroy(server)

    def _context_of(self, attempt: Attempt) -> Context:
        def note(text: str) -> None:
            self._note(attempt, text)

        return Context(attempt, self._spool_id, self._places.attempt(attempt.item, attempt.number), note)


def _disarm(lane: _Lane) -> None:
    if lane.escalation is not None:
        lane.escalation.cancel()
        lane.escalation = None


async def _calm(lane: _Lane, server: asyncio.Task[None]) -> None:
    """Make the lane fit for the next attempt: no timer, no cancellation still on its way."""
    while server.cancelling():
        try:
            await asyncio.sleep(0)  # a cancellation that has not arrived yet arrives here
        except asyncio.CancelledError:
            pass
        finally:
            server.uncancel()
    _disarm(lane)


def _destroy(server: asyncio.Task[None]) -> None:
    """End a coroutine that catches CancelledError: GeneratorExit goes through, or else nothing does.

    Left alive, it would hold up the end of the event loop: asyncio.run waits for every task that it cancelled.
    """
    coroutine: Any = server.get_coro()
    try:
        coroutine.close()
    except BaseException:  # "coroutine ignored GeneratorExit", or whatever its cleaning up raises
        return
    server.add_done_callback(lambda done: done.cancelled() or done.exception())
    server.cancel()
