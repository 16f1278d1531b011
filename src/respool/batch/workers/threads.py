"""Plain functions in threads of this process: for tasks that wait in blocking calls and must see the caller's objects.

The threads are daemons: a task that hangs does not keep the program from ending. A running thread cannot be stopped;
an interrupted one is left to finish unheard, and another takes its place.

Unlike lanes (lanes.py), a thread takes its next attempt itself: asking the event loop for it costs several times what
a quick one takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread

from respool.batch.context import Context
from respool.batch.declaration import Task
from respool.batch.execute import try_sync
from respool.batch.model import Attempt, Interrupted, Outcome
from respool.batch.places import Places
from respool.batch.workers.contract import Note, Report
from respool.batch.workers.lanes import CLOSED

PATIENCE = 0.5  # seconds that close() waits for idle threads, all together, to end


class _Job:
    """An attempt on its way: the thread that took it, and whether its outcome is decided."""

    __slots__ = ("answered", "attempt", "task", "thread")

    def __init__(self, attempt: Attempt, task: Task) -> None:
        self.attempt, self.task = attempt, task
        self.thread: Thread | None = None
        self.answered = False


class ThreadWorkers:
    """Runs at most `size` attempts at once (interrupted ones that still run not counted). See contract.Workers."""

    def __init__(self, size: int, report: Report, note: Note, *, spool_id: str, places: Places) -> None:
        self._size, self._report, self._note = size, report, note
        self._spool_id, self._places = spool_id, places
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._open: dict[tuple[int, int], _Job] = {}
        self._threads: set[Thread] = set()
        self._told: deque[tuple[_Job, Outcome | str]] = deque()
        self._awake = False  # whether the loop already knows that something was told
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, attempt: Attempt, task: Task) -> None:
        self._loop = asyncio.get_running_loop()
        if self._closed:
            self._loop.call_soon(self._report, attempt, CLOSED)
            return
        job = _Job(attempt, task)
        self._open[attempt.item, attempt.number] = job
        self._jobs.put(job)
        self._employ()

    def interrupt(self, attempt: Attempt, reason: str) -> None:
        job = self._open.get((attempt.item, attempt.number))
        just_finished = any(told is job and not isinstance(what, str) for told, what in list(self._told))
        if job is None or job.answered or just_finished:
            return
        job.answered = True  # a thread that takes it at this very moment runs it unheard
        if job.thread is not None:
            self._threads.discard(job.thread)
            self._employ()
        asyncio.get_running_loop().call_soon(self._answer, job, Interrupted(reason))

    async def close(self) -> None:
        self._closed = True
        self._drain()
        threads, self._threads = self._threads, set()
        for job in [job for job in self._open.values() if not job.answered]:
            job.answered = True
            self._answer(job, CLOSED)
        await asyncio.sleep(0)  # what was interrupted a moment ago reports through the loop
        for _ in threads:
            self._jobs.put(None)
        for _ in range(10):
            if any(thread.is_alive() for thread in threads):
                await asyncio.sleep(PATIENCE / 10)

    def pids(self) -> dict[int, int]:
        return {}

    def _employ(self) -> None:
        if len(self._threads) < min(self._size, len(self._open)) and not self._closed:
            thread = Thread(target=self._serve, name="respool-worker", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _serve(self) -> None:
        """A thread's life: run jobs until it is told None, or until another thread has taken its place."""
        me = current_thread()
        while (job := self._jobs.get()) is not None:
            if job.answered:
                continue
            job.thread = me
            self._tell(job, try_sync(job.task, job.attempt, partial(self._context_of, job)))
            if me not in self._threads:
                return

    def _tell(self, job: _Job, what: Outcome | str) -> None:
        """Say something to the loop; many things said in a row wake it up once."""
        self._told.append((job, what))
        if not self._awake and self._loop is not None:
            self._awake = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: this answer comes after the end
                self._loop.call_soon_threadsafe(self._drain)

    def _context_of(self, job: _Job, attempt: Attempt) -> Context:
        folder = self._places.attempt(attempt.item, attempt.number)
        return Context(attempt, self._spool_id, folder, partial(self._tell, job))

    def _drain(self) -> None:
        self._awake = False  # before the queue is emptied: what is said from here on wakes the loop again
        while self._told:
            job, what = self._told.popleft()
            if job.answered:
                continue
            if isinstance(what, str):
                self._note(job.attempt, what)
            else:
                job.answered = True
                self._answer(job, what)

    def _answer(self, job: _Job, outcome: Outcome) -> None:
        if self._open.pop((job.attempt.item, job.attempt.number), None) is not None:
            self._report(job.attempt, outcome)
