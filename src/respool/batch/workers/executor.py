"""Attempts past this machine: on any `concurrent.futures.Executor`; a `dask.distributed` cluster is the supported one.

The executor only places work and notices death. Budgets, waits, limits and results stay with the runner and its spool.
A task is found again on the other side by its name, so respool and the task's module must be installed there.

What an executor cannot do is refused by `check`: a running thread of a cluster cannot be ended, so plain functions may
not declare a timeout or a memory limit (async ones may have a timeout), and commands run only on the runner's machine.
An interrupted attempt is left to finish unheard; what a task says of its progress is not heard from there.

    with connect("dask://10.0.0.7:8786") as cluster:
        spool.run(workers=cluster.size, instead=cluster.make(spool_id, spool.places))
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from respool.batch.context import Context
from respool.batch.declaration import Mode, Task
from respool.batch.execute import failure, try_async, try_sync
from respool.batch.model import Attempt, Failed, Interrupted, Kind, Outcome, outcome_from_data, outcome_to_data
from respool.batch.places import Places
from respool.batch.tasks import resolve
from respool.batch.workers.contract import Note, Report, Workers
from respool.errors import BatchError, UsageError

CONNECT = 10.0  # seconds within which a cluster must answer
LOOK = 0.5  # seconds between two looks at whether the executor is still there
SCHEME = "dask://"
Remote = Future[dict[str, Any]]


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
    database: str,
) -> dict[str, Any]:  # fmt: skip
    """One attempt, on the other side; its outcome as data. The task is `name`, as seen from `folder` if that exists."""
    try:
        home = Path(folder) if Path(folder).is_dir() else None
        function = _function(name, home)
    except BaseException as error:
        return outcome_to_data(failure(error))
    task = replace(Task.from_settings(name, version, settings), function=function)
    places = Places(Path(database))

    def context_of(attempt: Attempt) -> Context:
        return Context(attempt, spool_id, places.attempt(attempt.item, attempt.number), lambda text: None)

    given = Attempt._make(attempt)
    if task.mode is Mode.ASYNC:
        return outcome_to_data(asyncio.run(try_async(task, given, context_of)))
    return outcome_to_data(try_sync(task, given, context_of))


@functools.lru_cache(maxsize=256)
def _function(name: str, folder: Path | None) -> Callable[..., Any] | None:
    return resolve(name, folder=folder).function


class ExecutorWorkers:
    """Runs at most `size` attempts at once on an executor, which is made at the first attempt. See contract.Workers.

    `gone` says whether the executor is lost for good: then what was under way reports Interrupted, and the next `put`
    raises BatchError, which ends the run; a later run goes on from there.
    """

    def __init__(
        self, executor_factory: Callable[[], Executor], size: int, report: Report, note: Note, *, spool_id: str,
        places: Places, folder: Path | None = None, gone: Callable[[], bool] = lambda: False,
        name: str = "the executor",
    ) -> None:  # fmt: skip
        self.size = size
        self._factory, self._report, self._gone, self._name = executor_factory, report, gone, name
        self._spool_id, self._places = spool_id, places
        self._folder = str((folder or Path.cwd()).absolute())
        self._executor: Executor | None = None
        self._queue: deque[tuple[Attempt, Task]] = deque()
        self._futures: dict[Attempt, Remote] = {}
        self._settings: dict[int, tuple[Task, dict[str, Any]]] = {}  # by job
        self._watch: asyncio.TimerHandle | None = None
        self._broken = self._closed = False

    def put(self, attempt: Attempt, task: Task) -> None:
        loop = asyncio.get_running_loop()
        if self._broken or self._gone():
            loop.call_soon(self._report, attempt, Interrupted(f"{self._name} went away"))
            raise BatchError(
                f"{self._name} went away", why="its scheduler ended, or cannot be reached",
                command="start it again, then run the same command: nothing finished is lost",
            )  # fmt: skip
        try:
            check(task)
        except UsageError as error:
            loop.call_soon(self._report, attempt, Failed(Kind.RAISED, str(error), final=True))
            return
        self._queue.append((attempt, task))
        self._fill(loop)

    def interrupt(self, attempt: Attempt, reason: str) -> None:
        future = self._futures.get(attempt)
        if future is not None and (not future.done() or future.cancelled()):
            del self._futures[attempt]
            future.cancel()
            asyncio.get_running_loop().call_soon(self._report, attempt, Interrupted(reason))
            self._fill(asyncio.get_running_loop())
            return
        for waiting in self._queue:
            if waiting[0] == attempt:
                self._queue.remove(waiting)
                asyncio.get_running_loop().call_soon(self._report, attempt, Interrupted(reason))
                return

    async def close(self) -> None:
        self._closed = True
        while self._queue:
            self._report(self._queue.popleft()[0], Interrupted("the workers were closed"))
        await asyncio.sleep(0)  # what has come in already is heard
        for attempt in list(self._futures):
            self.interrupt(attempt, "the workers were closed")
        while self._futures:
            await asyncio.sleep(0.001)  # those that had just finished are on their way to us
        await asyncio.sleep(0)
        if self._watch is not None:
            self._watch.cancel()
        executor, self._executor = self._executor, None
        if executor is not None and not self._gone():
            try:
                executor.shutdown(wait=False)
            except Exception:
                if not self._gone():  # it may go away in this very moment
                    raise

    def pids(self) -> dict[int, int]:
        return {}

    def _fill(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._queue and len(self._futures) < self.size and not self._closed:
            attempt, task = self._queue.popleft()
            if self._broken or self._gone():
                loop.call_soon(self._report, attempt, Interrupted(f"{self._name} went away"))
                continue
            try:
                future = self._submit(attempt, task)
            except Exception as error:  # shut down, or broken, by somebody else
                self._broken = True
                loop.call_soon(self._report, attempt, Interrupted(f"{self._name} takes no work: {error}"))
                continue
            self._futures[attempt] = future
            future.add_done_callback(functools.partial(self._done, loop, attempt))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """What was submitted in the very moment of the loss is never heard of again: end it."""
        if self._gone():
            for attempt in list(self._futures):
                self.interrupt(attempt, f"{self._name} went away")
        self._watch = loop.call_later(LOOK, self._look, loop)

    def _submit(self, attempt: Attempt, task: Task) -> Remote:
        if self._executor is None:
            self._executor = self._factory()
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(LOOK, self._look, loop)
        known = self._settings.get(attempt.job)
        if known is None or known[0] is not task:
            known = self._settings[attempt.job] = (task, task.to_settings())
        return self._executor.submit(
            run_remotely, task.name, task.version, known[1], self._folder, tuple(attempt), self._spool_id,
            str(self._places.database),
        )  # fmt: skip

    def _done(self, loop: asyncio.AbstractEventLoop, attempt: Attempt, future: Remote) -> None:
        """Called in whatever thread the executor likes."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: this answer comes after the end
            loop.call_soon_threadsafe(self._ended, attempt, future)

    def _ended(self, attempt: Attempt, future: Remote) -> None:
        if self._futures.get(attempt) is not future:
            return  # it was interrupted; nobody listens any more
        outcome = self._outcome(future)
        del self._futures[attempt]  # and with it the executor's copy of the result
        self._fill(asyncio.get_running_loop())
        self._report(attempt, outcome)

    def _outcome(self, future: Remote) -> Outcome:
        if future.cancelled():
            return Interrupted(f"{self._name} went away" if self._gone() else f"{self._name} dropped it")
        error = future.exception()
        if error is None:
            try:
                return outcome_from_data(future.result())
            except (ValueError, TypeError, AttributeError) as odd:
                return Failed(Kind.RAISED, f"the other side answered with {odd}")
        if type(error).__name__ == "KilledWorker":  # of dask.distributed, which names the item that its workers died of
            return Failed(Kind.CRASHED, f"the workers that ran it died: {error}"[:2000])
        names = {base.__name__ for base in type(error).__mro__}
        if isinstance(error, BrokenExecutor):
            self._broken = True
        if isinstance(error, (BrokenExecutor, CancelledError)) or names & {"CommClosedError", "CancelledError"}:
            return Interrupted(f"{self._name} went away: {type(error).__name__}")
        return failure(error)


class DaskCluster:
    """A connection to a `dask.distributed` cluster; `size` is twice its threads, so that none waits for its next item.

    Close it, or use it in a `with` statement.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    @property
    def size(self) -> int:
        """Twice the threads that the cluster has now, at least 1."""
        return max(1, 2 * sum(self.threads().values()))

    def threads(self) -> dict[str, int]:
        """The workers that the cluster has now: address → threads."""
        return dict(self._client.nthreads())

    def make(
        self, spool_id: str, places: Places, folder: Path | None = None
    ) -> Callable[[Report, Note], Workers]:  # fmt: skip
        """What `Spool.run(instead=...)` takes. `folder` is where the task's module is looked for on the cluster."""

        def workers(report: Report, note: Note) -> Workers:
            return ExecutorWorkers(
                lambda: self._client.get_executor(pure=False, retries=0), self.size, report, note, spool_id=spool_id,
                places=places, folder=folder, gone=lambda: self._client.status != "running",
                name=f"the cluster at {self._address}",
            )  # fmt: skip

        return workers

    def close(self) -> None:
        """Leave the cluster; it stays as it is."""
        self._client.close(timeout=CONNECT)

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(address: str) -> DaskCluster:
    """The cluster at "dask://HOST:PORT". Raises UsageError if `distributed` is not installed, or nothing answers."""
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            "dask.distributed is not installed", where=f"--workers {address}",
            command="pip install 'respool[dask]'",
        ) from None  # fmt: skip
    place = address.removeprefix(SCHEME)
    try:
        client = Client(f"tcp://{place}", timeout=CONNECT, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"no cluster answers at {address!r}", where="--workers", why=str(error) or type(error).__name__,
            command="dask scheduler, and dask worker tcp://HOST:PORT, start one",
        ) from None  # fmt: skip
    return DaskCluster(client, place)
