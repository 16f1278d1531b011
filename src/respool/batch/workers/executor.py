"""Attempts outside of this process, on any `concurrent.futures.Executor`; what Dask needs besides is in cluster.py.

The executor only places work and notices death. Budgets, waits, limits and results stay with the runner and its spool.
A task is found again on the other side by its name, so respool and the task's module must be installed there.

What an executor cannot do is refused by `check`: a running thread cannot be ended from outside, so plain functions may
not declare a timeout or a memory limit (async ones may have a timeout), and commands run only on the runner's machine.
An interrupted attempt is left to finish unheard.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

from respool.batch.context import Context
from respool.batch.declaration import Mode, Task
from respool.batch.execute import failure, try_sync
from respool.batch.model import Attempt, Failed, Interrupted, Kind, Outcome, outcome_from_data, outcome_to_data
from respool.batch.places import Places
from respool.batch.tasks import resolve
from respool.batch.workers.contract import Note, Report
from respool.batch.workers.coroutines import CoroutineWorkers
from respool.batch.workers.lanes import Lane, Lanes
from respool.errors import BatchError, UsageError

LOOK = 0.5  # seconds between two looks at whether the executor is still there
Answer = Future[dict[str, Any]]
Heard = Callable[[int, int, str], None]
"""(item, number, text): what a task says of its progress, wherever it runs; may be called in any thread."""


class Died(Exception):
    """What the attempt ran on died: it counts as the attempt's own crash, for it may be the cause."""


class NotBegun(Exception):
    """What the attempt was to run on is gone, and it had not begun: nothing is to blame."""


def check(task: Task) -> None:
    """Raise UsageError for a task that no executor can run as it declares itself."""
    where = f"task {task.name}"
    if task.mode is Mode.COMMAND:
        raise UsageError(
            "a command cannot run on a cluster", where=where, why="its files and its output are on this machine",
            command="--workers N, or a task that runs the command itself",
        )  # fmt: skip
    if task.mode is not Mode.ASYNC and (task.timeout is not None or task.memory is not None):
        what = "a timeout" if task.timeout is not None else "a memory limit"
        raise UsageError(
            f"a plain function cannot declare {what} on a cluster", where=where,
            why="a running thread of a cluster cannot be ended", command="make it async, or use --workers N",
        )  # fmt: skip


def run_remotely(
    name: str, version: str, settings: dict[str, Any], folder: str, attempt: tuple[Any, ...], spool_id: str,
    database: str, heard: Heard = lambda item, number, text: None,
) -> dict[str, Any]:  # fmt: skip
    """One attempt, on the other side; its outcome as data. The task is `name`, as seen from `folder` if that exists.

    Async tasks of a process share one event loop, as they do in a runner: what they keep between calls goes on working.
    """
    given, places = Attempt._make(attempt), Places(Path(database))
    try:
        home = Path(folder) if Path(folder).is_dir() else None
        function = _function(name, home)
    except BaseException as error:
        return outcome_to_data(failure(error))
    task = replace(Task.from_settings(name, version, settings), function=function)
    note = functools.partial(heard, given.item, given.number)
    if task.mode is Mode.ASYNC:
        trying = _alone(task, given, note, spool_id, places)
        return outcome_to_data(asyncio.run_coroutine_threadsafe(trying, _loop()).result())
    folder_of = places.attempt(given.item, given.number)
    return outcome_to_data(try_sync(task, given, lambda _: Context(given, spool_id, folder_of, note)))


async def _alone(
    task: Task, attempt: Attempt, note: Callable[[str], None], spool_id: str, places: Places
) -> Outcome:  # fmt: skip
    """The attempt as a runner's own coroutines run it, with a timeout that holds even if the task swallows it."""
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    workers = CoroutineWorkers(
        1, lambda _, outcome: answer.set_result(outcome), lambda _, text: note(text), spool_id=spool_id, places=places
    )  # fmt: skip
    workers.put(attempt, task)
    return await answer


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="respool-loop", daemon=True).start()
    return loop


@functools.lru_cache(maxsize=256)
def _function(name: str, folder: Path | None) -> Callable[..., Any] | None:
    return resolve(name, folder=folder).function


class _Lane(Lane):
    """With the answer that is awaited, and the executor's side of it."""

    __slots__ = ("answer", "future")

    def __init__(self) -> None:
        super().__init__()
        self.answer: asyncio.Future[Outcome] | None = None
        self.future: Answer | None = None


class ExecutorWorkers(Lanes[_Lane]):
    """Runs at most `size` attempts at once on an executor, which is made at the first attempt. See contract.Workers.

    The factory is given what to call with the notes of tasks. `gone` says why the executor is lost for good, or None:
    then what was under way reports Interrupted, and the next `put` raises BatchError, which ends the run; a later run
    goes on from there.
    """

    def __init__(
        self, executor_factory: Callable[[Heard], Executor], size: int, report: Report, note: Note, *, spool_id: str,
        places: Places, folder: Path | None = None, gone: Callable[[], str | None] = lambda: None,
        name: str = "the executor",
    ) -> None:  # fmt: skip
        super().__init__(size, report)
        self._factory, self._note, self._gone, self._name = executor_factory, note, gone, name
        self._spool_id, self._places = spool_id, places
        self._folder = str((folder or Path.cwd()).absolute())
        self._executor: Executor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._settings: dict[int, tuple[Task, dict[str, Any]]] = {}  # by job
        self._watch: asyncio.TimerHandle | None = None
        self._broken: str | None = None

    def new_lane(self) -> _Lane:
        return _Lane()

    def put(self, attempt: Attempt, task: Task) -> None:
        lost = self._lost()
        if lost is not None:
            asyncio.get_running_loop().call_soon(self.report, attempt, Interrupted(f"{self._name} went away"))
            raise BatchError(
                f"{self._name} went away", why=lost,
                command="start it again, then run the same command: nothing finished is lost",
            )  # fmt: skip
        super().put(attempt, task)

    async def run(self, lane: _Lane, attempt: Attempt, task: Task) -> Outcome:
        if self._lost() is not None:
            return Interrupted(f"{self._name} went away")
        try:
            check(task)  # the runner has asked before; a task may be another one by now
            lane.future = self._submit(attempt, task)
        except UsageError as error:
            return Failed(Kind.RAISED, str(error), final=True)
        except Exception as error:  # shut down, or broken, by somebody else
            self._broken = f"{type(error).__name__}: {error}"
            return Interrupted(f"{self._name} takes no work: {error}")
        loop = asyncio.get_running_loop()
        lane.answer = loop.create_future()
        lane.future.add_done_callback(functools.partial(self._tell, loop, lane.answer))
        outcome = await lane.answer
        lane.future = None  # and with it the executor's copy of the result
        return outcome

    def stop(self, lane: _Lane) -> None:
        if lane.future is None or lane.answer is None or lane.verdict is None:
            return
        if not lane.future.done() or lane.future.cancelled():  # else its outcome is on its way to us
            _decide(lane.answer, lane.verdict)
            lane.future.cancel()

    async def free(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        executor, self._executor = self._executor, None
        if executor is not None and self._gone() is None:
            try:
                executor.shutdown(wait=False)
            except Exception:
                if self._gone() is None:  # it may go away in this very moment
                    raise

    def _lost(self) -> str | None:
        return self._broken or self._gone()

    def _submit(self, attempt: Attempt, task: Task) -> Answer:
        if self._executor is None:
            self._loop = asyncio.get_running_loop()
            self._executor = self._factory(self._heard)
            self._watch = self._loop.call_later(LOOK, self._look, self._loop)
        known = self._settings.get(attempt.job)
        if known is None or known[0] is not task:
            known = self._settings[attempt.job] = (task, task.to_settings())
        return self._executor.submit(
            run_remotely, task.name, task.version, known[1], self._folder, tuple(attempt), self._spool_id,
            str(self._places.database),
        )  # fmt: skip

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """What was submitted in the very moment of the loss is never heard of again: end it."""
        if self._gone() is not None:
            for lane in list(self.lanes):
                self.end(lane, Interrupted(f"{self._name} went away"))
        self._watch = loop.call_later(LOOK, self._look, loop)

    def _heard(self, item: int, number: int, text: str) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._noted, item, number, text)

    def _noted(self, item: int, number: int, text: str) -> None:
        for lane in self.lanes:
            if lane.attempt is not None and (lane.attempt.item, lane.attempt.number) == (item, number):
                self._note(lane.attempt, text)

    def _tell(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Outcome], future: Answer) -> None:
        """Called in whatever thread the executor likes."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: this answer comes after the end
            loop.call_soon_threadsafe(self._ended, answer, future)

    def _ended(self, answer: asyncio.Future[Outcome], future: Answer) -> None:
        if not answer.done():  # else it was interrupted; nobody listens any more
            answer.set_result(self._outcome(future))

    def _outcome(self, future: Answer) -> Outcome:
        if future.cancelled():
            return Interrupted(f"{self._name} dropped it" if self._gone() is None else f"{self._name} went away")
        error = future.exception()
        if error is None:
            try:
                return outcome_from_data(future.result())
            except (ValueError, TypeError, AttributeError) as odd:
                return Failed(Kind.RAISED, f"the other side answered with {odd}")
        if isinstance(error, Died):
            return Failed(Kind.CRASHED, str(error)[:2000])
        if isinstance(error, NotBegun):
            return Interrupted(str(error))
        if isinstance(error, BrokenExecutor):
            self._broken = f"{type(error).__name__}: {error}"
        if isinstance(error, (BrokenExecutor, CancelledError)):
            return Interrupted(f"{self._name} went away: {type(error).__name__}")
        return failure(error)


def _decide(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():
        answer.set_result(outcome)
