"""Lanes: the places side by side in which attempts run, and the queue before them.

Every kind of workers that runs one attempt in one asyncio task is made of these, and says only what is its own: what it
means to run an attempt (`run`), and how that is cut short (`stop`); and, if a lane keeps something between two attempts
(a process), how that is let go of (`free`). A lane is served while there is something to run, and rests otherwise: it
costs one asyncio task for as many attempts as there are in a row.

Threads are the exception (threads.py): they take their next attempt without asking the loop.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from contextvars import copy_context
from typing import Generic, TypeVar

from respool.batch.declaration import Task
from respool.batch.model import Attempt, Failed, Interrupted, Kind, Outcome
from respool.batch.workers.contract import Report
from respool.clock import SYSTEM

BREATH = 0.005  # seconds that the lanes, all together, may run without giving the loop to others
CLOSED = Interrupted("the workers were closed")
_LOOK = 0.2  # seconds between two looks at whether a lane that is waited for was given up


class Lane:
    """One place: the asyncio task that serves it, the attempt that it runs, and how that is to end if we ended it."""

    __slots__ = ("attempt", "server", "verdict")

    def __init__(self) -> None:
        self.server: asyncio.Task[None] | None = None
        self.attempt: Attempt | None = None
        self.verdict: Outcome | None = None


L = TypeVar("L", bound=Lane)


class Lanes(ABC, Generic[L]):
    """At most `size` attempts at once, the others waiting in order. It keeps what contract.Workers promises, provided
    that `run` returns soon after `stop`; a lane whose run never does is given up with `abandon`.
    """

    def __init__(self, size: int, report: Report) -> None:
        self.size = size
        self.report = report
        self.waiting: deque[tuple[Attempt, Task]] = deque()
        self.lanes: set[L] = set()  # those that are served
        self.resting: list[L] = []
        self.closed = False
        self._context = copy_context()

    @abstractmethod
    def new_lane(self) -> L:
        """A place that has not been used."""

    @abstractmethod
    async def run(self, lane: L, attempt: Attempt, task: Task) -> Outcome:
        """Run the attempt in this lane. After `stop`: `lane.verdict`, or the outcome that it had reached."""

    @abstractmethod
    def stop(self, lane: L) -> None:
        """End what the lane runs: its verdict is spoken. Called at most once for each attempt."""

    async def free(self) -> None:
        """Let go of what the lanes keep: none runs any more."""

    def put(self, attempt: Attempt, task: Task) -> None:
        """See contract.Workers."""
        if self.closed:
            asyncio.get_running_loop().call_soon(self.report, attempt, CLOSED)
            return
        self.waiting.append((attempt, task))
        if len(self.lanes) < self.size:
            self._open()

    def interrupt(self, attempt: Attempt, reason: str) -> None:
        """See contract.Workers."""
        for waiting in self.waiting:
            if waiting[0] == attempt:
                self.waiting.remove(waiting)
                asyncio.get_running_loop().call_soon(self.report, attempt, Interrupted(reason))
                return
        for lane in self.lanes:
            if lane.attempt == attempt:
                self.end(lane, Interrupted(reason))
                return

    async def close(self) -> None:
        """See contract.Workers."""
        self.closed = True
        while self.waiting:
            self.report(self.waiting.popleft()[0], CLOSED)
        for lane in list(self.lanes):
            self.end(lane, CLOSED)
        while servers := [lane.server for lane in self.lanes if lane.server is not None and not lane.server.done()]:
            await asyncio.wait(servers, timeout=_LOOK)
        await self.free()
        await asyncio.sleep(0)  # what was interrupted a moment ago reports through the loop

    def pids(self) -> dict[int, int]:
        """See contract.Workers."""
        return {}

    def end(self, lane: L, verdict: Outcome) -> None:
        """End what the lane runs, with this outcome, unless it is ending already."""
        if lane.attempt is not None and lane.verdict is None:
            lane.verdict = verdict
            self.stop(lane)

    def abandon(self, lane: L, outcome: Outcome) -> None:
        """Report for a lane that never will, and let another take its place."""
        attempt, lane.attempt, lane.server = lane.attempt, None, None
        self.lanes.discard(lane)
        if attempt is not None:
            self.report(attempt, outcome)
        if self.waiting and len(self.lanes) < self.size:
            self._open()

    async def serve(self, lane: L) -> None:
        """Run attempts in this lane for as long as some wait; then it rests.

        What one sets in context variables no other may see: after such a one the lane goes on in a new asyncio task.
        (A task for each attempt would cost several times what all of this does.)
        """
        waiting, run, report, monotonic = self.waiting, self.run, self.report, SYSTEM.monotonic
        breath = monotonic() + BREATH / self.size
        try:
            while waiting and not self.closed:
                lane.attempt, task = waiting.popleft()
                try:
                    outcome = await run(lane, lane.attempt, task)
                except Exception as error:  # a place that never frees itself would stop the whole batch
                    outcome = Failed(Kind.CRASHED, f"its worker failed: {type(error).__name__}: {error}")
                attempt = lane.attempt
                if attempt is None:
                    return  # abandoned; the outcome was reported in its absence
                lane.attempt = lane.verdict = None
                report(attempt, outcome)
                try:
                    if copy_context() != self._context:
                        break
                except Exception:  # values that cannot be compared: not the ones that we gave, then
                    break
                if monotonic() > breath:
                    await asyncio.sleep(0)
                    breath = monotonic() + BREATH / max(1, len(self.lanes))
        except asyncio.CancelledError:
            # By the task that ran in it, or because the event loop comes down: this lane ends.
            self.abandon(lane, Failed(Kind.RAISED, "CancelledError: cancelled, but not by the runner"))
            raise
        except Exception as error:  # of the report callback; the next lane is not better off
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a lane of the workers died", "exception": error})
        finally:
            if lane in self.lanes:  # not abandoned
                self.lanes.remove(lane)
                self.resting.append(lane)
        if waiting and len(self.lanes) < self.size:
            self._open()

    def _open(self) -> None:
        lane = self.resting.pop() if self.resting else self.new_lane()
        self.lanes.add(lane)
        loop = asyncio.get_running_loop()
        lane.server = loop.create_task(self.serve(lane), context=self._context.copy())
