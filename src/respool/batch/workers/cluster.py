"""A `dask.distributed` cluster: which of its workers gets which attempt, and what the death of one means.

Left to itself, Dask runs the work of a dead worker again elsewhere, up to three times (`allowed-failures`, a setting of
the scheduler that a client cannot change), and computes again what had been finished there but not fetched. For paid
calls both are tries too many: outside of the budgets, and beyond what a rate limit has granted. So every attempt is sent
to one worker of our choice, may run on no other, and carries that worker's identity; should it come to run elsewhere in
spite of that (a new worker at the same address), it refuses. When a worker is gone, its attempts are ended here.

    with connect("dask://10.0.0.7:8786") as cluster:
        spool.run(workers=cluster.size, instead=cluster.instead(spool_id, spool.places))
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from respool.batch.places import Places
from respool.batch.workers.contract import Note, Report, Workers
from respool.batch.workers.executor import Died, ExecutorWorkers, Heard, NotBegun, check
from respool.batch.workers.pool import Instead
from respool.clock import SYSTEM
from respool.errors import UsageError

CONNECT = 10.0  # seconds within which a cluster must answer, and within which a worker must come when there is none
FIRST = 5.0  # seconds that a cluster which has just been started gets for its first worker: how many run is decided then
LOOK = 0.3  # seconds between two looks at which workers there are
SCHEME = "dask://"
AHEAD = 2  # attempts that a worker gets for each of its threads, so that none waits for its next one


class Elsewhere(Exception):
    """Raised on a worker that an attempt was not sent to."""


def run_there(worker_id: str, topic: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What is sent to a worker: the function, if this is the worker that is meant."""
    from distributed import get_worker

    worker = get_worker()
    if worker.id != worker_id:
        raise Elsewhere(f"sent to {worker_id}, but {worker.id} got it")

    def heard(item: int, number: int, text: str) -> None:
        worker.log_event(topic, [item, number, text])

    return function(*arguments, heard=heard)


class _Place:
    """A worker as we know it, and what was sent to it, in order."""

    def __init__(self, address: str, worker_id: str, threads: int) -> None:
        self.address, self.id, self.threads = address, worker_id, threads
        self.sent: dict[int, asyncio.Task[Any]] = {}

    @property
    def load(self) -> float:
        return len(self.sent) / self.threads


class Placement(Executor):
    """Sends each call to one worker and sees to it that it runs there or not at all. Raises Died and NotBegun as ends.

    All that it knows is touched by the client's own event loop only.
    """

    def __init__(self, client: Any, heard: Heard) -> None:
        self._client, self._heard = client, heard
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._topic = f"respool-{secrets.token_hex(8)}"
        self._places: dict[str, _Place] = {}
        self._numbers = itertools.count()
        self._ends: dict[int, Exception] = {}
        self._changed = asyncio.Event()
        self._empty_since: float | None = None
        client.subscribe_topic(self._topic, self._noted)
        self._watch = asyncio.run_coroutine_threadsafe(self._keep_looking(), self._loop)

    @property
    def deserted(self) -> bool:
        """Whether there has been no worker for a while."""
        return self._empty_since is not None and SYSTEM.monotonic() - self._empty_since > CONNECT

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(self._carry(function, arguments), self._loop)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._watch.cancel()
        self._client.unsubscribe_topic(self._topic)

    async def _carry(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """From a free place on a worker to the result from there."""
        place, number, task = await self._free_place(), next(self._numbers), asyncio.current_task()
        assert task is not None
        sent = self._client.submit(
            run_there, place.id, self._topic, function, *arguments, workers=[place.address], allow_other_workers=False,
            retries=0, pure=False,
        )  # fmt: skip
        place.sent[number] = task
        fetching = asyncio.ensure_future(self._client.gather(sent, asynchronous=True))
        fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(fetching)  # cancelled itself, it would leave tasks behind that complain
        except asyncio.CancelledError as error:
            if fetching.done() and not fetching.cancelled() and fetching.exception() is None:
                return fetching.result()  # it came in this very moment
            self._client.loop.add_callback(sent.cancel)
            raise self._ends.get(number, error) from None
        except Exception as error:
            if isinstance(error, Elsewhere) or type(error).__name__ == "KilledWorker":
                self._lose(place)  # before a look notices; the next one finds who is there now
                raise self._ends.get(number, error) from error
            raise
        finally:
            place.sent.pop(number, None)
            self._ends.pop(number, None)
            self._changed.set()

    async def _free_place(self) -> _Place:
        while True:
            free = [place for place in self._places.values() if len(place.sent) < AHEAD * place.threads]
            if free:
                return min(free, key=lambda place: place.load)
            self._changed.clear()
            await self._changed.wait()

    async def _keep_looking(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):  # the scheduler is away; whether for good, the client says
                await self._look()
            await asyncio.sleep(LOOK)

    async def _look(self) -> None:
        threads: dict[str, int] = await self._client.scheduler.ncores()
        for address in set(self._places) - set(threads):
            self._lose(self._places[address])
        fresh = [address for address in threads if address not in self._places]
        if fresh:
            known = await self._client.scheduler.broadcast(msg={"op": "identity"}, workers=fresh, on_error="ignore")
            for address, identity in known.items():
                self._places[address] = _Place(address, identity["id"], max(1, threads[address]))
            self._changed.set()
        if self._places:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = SYSTEM.monotonic()

    def _lose(self, place: _Place) -> None:
        """A worker is gone. It began what it got in order: the oldest, as many as it has threads, may be what killed it."""
        if self._places.get(place.address) is place:
            del self._places[place.address]
        for position, (number, task) in enumerate(place.sent.items()):
            if number not in self._ends:
                self._ends[number] = (
                    Died(f"the worker {place.address} died while it ran this, or something beside it")
                    if position < place.threads else NotBegun(f"the worker {place.address} went away before it began")
                )  # fmt: skip
                if task is not asyncio.current_task():
                    task.cancel()

    def _noted(self, event: Any) -> None:
        item, number, text = event[1]
        self._heard(item, number, text)


class DaskCluster:
    """A connection to a cluster; `size` is twice its threads, so that none waits for its next item.

    Close it, or use it in a `with` statement.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    @property
    def size(self) -> int:
        """Twice the threads that the cluster has now, at least 1."""
        return max(1, AHEAD * sum(self.threads().values()))

    def threads(self) -> dict[str, int]:
        """The workers that the cluster has now: address → threads."""
        return dict(self._client.nthreads())

    def instead(self, spool_id: str, places: Places) -> Instead:
        """What `Spool.run(instead=...)` takes."""
        placed: list[Placement] = []

        def executor(heard: Heard) -> Executor:
            placed.append(Placement(self._client, heard))
            return placed[-1]

        def gone() -> str | None:
            if self._client.status != "running":
                return "its scheduler ended, or cannot be reached"
            deserted = any(placement.deserted for placement in placed)
            return f"it has had no worker for {CONNECT:g} s" if deserted else None

        def make(report: Report, note: Note, folder: Path) -> Workers:
            return ExecutorWorkers(
                executor, self.size, report, note, spool_id=spool_id, places=places, folder=folder, gone=gone,
                name=f"the cluster at {self._address}",
            )  # fmt: skip

        return Instead(make, check, f"{SCHEME}{self._address}")

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
    with contextlib.suppress(TimeoutError):  # none yet: then one item at a time
        client.wait_for_workers(1, timeout=FIRST)
    return DaskCluster(client, place)
