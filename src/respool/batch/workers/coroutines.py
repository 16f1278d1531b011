"""Async tasks, in the runner's own event loop.

A few lanes take attempts from one queue for as long as the run lasts: a lane costs one asyncio task, an attempt none.
Attempts of a lane run one after the other in the same `contextvars` context.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

from respool.batch.context import Context
from respool.batch.declaration import Task
from respool.batch.execute import timed_out, try_async
from respool.batch.model import Attempt, Failed, Interrupted, Kind, Outcome
from respool.batch.places import Places
from respool.batch.workers.contract import Note, Report
from respool.clock import SYSTEM

BREATH = 0.005  # seconds that the lanes, all together, may run without giving the loop to others
GRACE = 0.7  # seconds that a cancelled task gets to clean up, twice, before it is abandoned


class _Lane:
    """One place: the asyncio task that serves it, the attempt it runs, and how that is to end if we ended it."""

    __slots__ = ("attempt", "escalation", "server", "verdict")

    def __init__(self) -> None:
        self.server: asyncio.Task[None] | None = None
        self.attempt: Attempt | None = None
        self.verdict: Outcome | None = None
        self.escalation: asyncio.TimerHandle | None = None


class CoroutineWorkers:
    """Runs at most `size` async attempts at once. See contract.Workers."""

    def __init__(self, size: int, report: Report, note: Note, *, spool_id: str, places: Places) -> None:
        self._size, self._report, self._note = size, report, note
        self._spool_id, self._places = spool_id, places
        self._queue: deque[tuple[Attempt, Task]] = deque()
        self._lanes: set[_Lane] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._closed = False

    def put(self, attempt: Attempt, task: Task) -> None:
        self._queue.append((attempt, task))
        self._wake()

    def interrupt(self, attempt: Attempt, reason: str) -> None:
        for waiting in self._queue:
            if waiting[0] == attempt:
                self._queue.remove(waiting)
                asyncio.get_running_loop().call_soon(self._report, attempt, Interrupted(reason))
                return
        for lane in self._lanes:
            if lane.attempt == attempt:
                self._end(lane, Interrupted(reason))

    async def close(self) -> None:
        self._closed = True
        while self._queue:
            self._report(self._queue.popleft()[0], Interrupted("the workers were closed"))
        for lane in list(self._lanes):
            self._end(lane, Interrupted("the workers were closed"))
        for waiter in self._idle:
            if not waiter.done():
                waiter.set_result(None)
        while self._lanes:
            servers = [lane.server for lane in self._lanes if lane.server is not None]
            await asyncio.wait(servers, timeout=GRACE / 4)
        await asyncio.sleep(0)  # what was interrupted a moment ago reports through the loop

    def pids(self) -> dict[int, int]:
        return {}

    def _wake(self) -> None:
        while self._idle:
            waiter = self._idle.pop()
            if not waiter.done():
                waiter.set_result(None)
                return
        if len(self._lanes) < self._size and not self._closed:
            lane = _Lane()
            self._lanes.add(lane)
            lane.server = asyncio.get_running_loop().create_task(self._serve(lane))
            lane.server.add_done_callback(_complain)

    async def _serve(self, lane: _Lane) -> None:
        """Run attempts until the workers close, or until this lane is abandoned."""
        queue, report, context_of, monotonic = self._queue, self._report, self._context_of, SYSTEM.monotonic
        server = lane.server
        assert server is not None
        breath = monotonic() + BREATH / self._size
        try:
            while lane in self._lanes and not self._closed:
                if not queue:
                    await self._work_to_do()
                    breath = monotonic() + BREATH / max(1, len(self._lanes))
                    continue
                attempt, task = queue.popleft()
                lane.attempt = attempt
                if task.timeout is not None:
                    self._watch(lane, task.timeout)
                try:
                    outcome = await try_async(task, attempt, context_of)
                except asyncio.CancelledError:
                    if lane.verdict is None:
                        self._cancelled_by_others(lane, attempt)
                        raise
                    outcome = lane.verdict
                if lane.attempt is None:
                    return  # abandoned; its outcome was reported in its absence
                lane.attempt = None
                if lane.escalation is not None or server.cancelling():
                    await self._calm(lane, server)
                report(attempt, outcome)
                if monotonic() > breath:
                    await asyncio.sleep(0)
                    breath = monotonic() + BREATH / max(1, len(self._lanes))
        finally:
            self._lanes.discard(lane)

    def _cancelled_by_others(self, lane: _Lane, attempt: Attempt) -> None:
        """The task cancelled the asyncio task that it runs in, or the event loop is coming down: this lane ends."""
        lane.attempt = None
        self._lanes.discard(lane)
        if lane.escalation is not None:
            lane.escalation.cancel()
        self._report(attempt, Failed(Kind.RAISED, "CancelledError: cancelled, but not by the runner"))
        if self._queue:
            self._wake()

    async def _work_to_do(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        await waiter

    async def _calm(self, lane: _Lane, server: asyncio.Task[None]) -> None:
        """Make the lane fit for the next attempt: no timer, no verdict, no cancellation still on its way."""
        if lane.escalation is not None:
            lane.escalation.cancel()
        lane.escalation = lane.verdict = None
        while server.cancelling():
            try:
                await asyncio.sleep(0)  # a cancellation that has not arrived yet arrives here
            except asyncio.CancelledError:
                pass
            finally:
                server.uncancel()

    def _end(self, lane: _Lane, verdict: Outcome) -> None:
        """Cancel what the lane runs; ask once more after a while, then give it up."""
        if lane.attempt is None or lane.server is None or lane.verdict is not None:
            return
        if lane.escalation is not None:
            lane.escalation.cancel()
        lane.verdict = verdict
        lane.server.cancel()
        lane.escalation = asyncio.get_running_loop().call_later(GRACE, self._insist, lane)

    def _watch(self, lane: _Lane, timeout: float) -> None:
        """try_async cancels at the timeout; this is for a task that swallows that."""
        loop = asyncio.get_running_loop()
        lane.escalation = loop.call_later(timeout + GRACE, self._end, lane, timed_out(timeout))

    def _insist(self, lane: _Lane) -> None:
        if lane.attempt is not None and lane.server is not None:
            lane.server.cancel()
            lane.escalation = asyncio.get_running_loop().call_later(GRACE, self._abandon, lane)

    def _abandon(self, lane: _Lane) -> None:
        """Report for a lane whose task swallows every cancellation, and let another lane take its place."""
        attempt, lane.attempt = lane.attempt, None
        if attempt is None or lane.server is None:
            return
        self._lanes.discard(lane)
        _destroy(lane.server)
        self._report(attempt, lane.verdict or Interrupted("abandoned"))
        if self._queue:
            self._wake()

    def _context_of(self, attempt: Attempt) -> Context:
        def note(text: str) -> None:
            self._note(attempt, text)

        folder: Path = self._places.attempt(attempt.item, attempt.number)
        return Context(attempt, self._spool_id, folder, note)


def _destroy(server: asyncio.Task[None]) -> None:
    """End a coroutine that catches CancelledError: GeneratorExit goes through, or else nothing does.

    Left alive, it would hold up the end of the event loop: asyncio.run waits for every task that it cancelled.
    """
    coroutine: Any = server.get_coro()
    try:
        coroutine.close()
    except BaseException:  # "coroutine ignored GeneratorExit", or whatever its cleaning up raises
        return
    server.remove_done_callback(_complain)
    server.add_done_callback(lambda done: done.cancelled() or done.exception())
    server.cancel()


def _complain(server: asyncio.Task[None]) -> None:
    """A lane ends by returning; if it raised, that is a fault of ours (or of the report callback) and must be seen."""
    if not server.cancelled() and (error := server.exception()) is not None:
        server.get_loop().call_exception_handler({"message": "a lane of the async workers died", "exception": error})
