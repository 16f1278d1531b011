"""The façade of the batch half: a spool, and the handle of a job."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respool.batch.attended import Watcher, in_a_thread, signalled, watched
from respool.batch.courses import Courses
from respool.batch.declaration import Task
from respool.batch.digests import Digests
from respool.batch.migrations import open_spool
from respool.batch.model import Item, ItemState, Job, Kind, Output
from respool.batch.places import Places
from respool.batch.planning import Settings
from respool.batch.report import RunReport
from respool.batch.resolving import chosen_items, remember, resolver
from respool.batch.runner import Runner, pauses
from respool.batch.sources import Source, from_file, from_values
from respool.batch.store import reading
from respool.batch.store.connection import Database, Durability, Told, unwritable
from respool.batch.store.followups import deliver_followups
from respool.batch.store.intake import Wishes, cancel, retry
from respool.batch.submission import Progress, apply, declaration_of, stage
from respool.batch.tasks import resolve, stop_if_loading, task_of
from respool.batch.workers.cluster import SCHEME, connect
from respool.batch.workers.pool import Instead
from respool.clock import SYSTEM, Clock, SteadyClock, local_time
from respool.errors import SpoolBusy, UsageError
from respool.files import FileLock
from respool.pace import Pace, check_limits

TaskLike = Task | str | Callable[..., Any]
PATIENCE = 60.0  # seconds that a spool which takes no writes is waited for, unless somebody says otherwise


class Spool:
    """A durable store of jobs, and the runs over it.

    `path` is a database file or a folder; None means RESPOOL_SPOOL, else `spool` of
    [tool.respool] in the nearest pyproject.toml, else `.respool/` beside the nearest pyproject.toml,
    else in the working folder. Made at first need. `durability="full"` also survives a power cut without repeating
    anything. `patience` is how many seconds a full disk, or another program's lock, is waited for before SpoolUnwritable;
    `told` hears of such a wait before a run (in one, the watcher shows it).
    Not for several threads at once. Raises SpoolUnreadable for a file that is no spool, UsageError for a network file
    system.

    >>> spool = Spool("jobs.db")                                    # doctest: +SKIP
    >>> print(spool.submit(describe, {"a": {"text": "..."}}).run(workers=8))   # doctest: +SKIP
    describe #1: 1 done
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, durability: Durability = "normal",
        rehearsal: bool = False, create: bool = True, patience: float = PATIENCE,
        told: Told | None = None, clock: Clock = SYSTEM,
    ) -> None:  # fmt: skip
        places = Places.chosen(path)
        self.places = places.rehearsal() if rehearsal else places
        self._durability, self._create, self._clock = durability, create, clock
        self._patience, self._told = patience, told
        self._database: Database | None = None
        self._owner = FileLock(self.places.owner_lock)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database. The spool can be used again; it is opened anew."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def database(self) -> Database:
        """The connection of this object."""
        if self._database is None:
            self._database = open_spool(
                self.places, self._owner, create=self._create, durability=self._durability, clock=self._clock,
                patience=self._patience, told=self._told,
            )  # fmt: skip
        return self._database

    def submit(
        self, task: TaskLike, items: Mapping[str, Any] | Iterable[Any] | Path | None = None, *, name: str | None = None,
        source: Source | None = None, key: str | None = None, then: Sequence[tuple[TaskLike, str]] = (),
        job_timeout: float | None = None, wishes: Wishes | None = None, progress: Progress | None = None,
        folder: Path | None = None,
    ) -> JobHandle:  # fmt: skip
        """Bring a job up to date with these items, and return its handle; nothing runs yet.

        `items` is a mapping of key → payload, pairs, or the path of a .jsonl or .csv file; payloads are JSON. New items
        are added, changed ones will run again, missing ones are withdrawn, finished ones stay. A job is known by its
        name (by default the task's). If a live runner holds the spool, the items are stored and that runner takes them
        up. Raises UsageError for an item that is none or a key that is there twice.
        """
        stop_if_loading()
        declared = self._task(task, folder)
        own = source is None
        if source is None:
            if items is None:
                raise UsageError(f"no items for {declared.name}", command="submit(task, items={key: payload})")
            source = from_file(items, key) if isinstance(items, Path) else from_values(items, name=name or declared.name)
        if job_timeout is not None and not job_timeout > 0:
            raise UsageError(f"job_timeout must be more than 0 seconds, not {job_timeout!r}")
        rules = [(self._task(follow, folder), _when(on)) for follow, on in then]
        check_limits([limit for one in (declared, *(rule for rule, _ in rules)) for limit in one.limits])
        job_timeout = declared.job_timeout if job_timeout is None else job_timeout
        extra = {"job_timeout": job_timeout, "folder": str((folder or Path.cwd()).absolute())}
        try:
            declaration = declaration_of(declared, name or declared.name, source, rules, extra)
            remember(declared, *(rule for rule, _ in rules))
            database, digests = self.database(), Digests(self.database())
            if self._owner.held or not self._take():
                job, _ = stage(database, declaration, declared, source, wishes or Wishes(), self._clock)
                return JobHandle(self, job, stored_for_live_runner=True)
            try:
                with database.checkpointing():
                    report = apply(
                        database, declaration, declared, source, wishes or Wishes(), _intact(digests), self._clock, progress
                    )  # fmt: skip
                database.checkpoint()
            finally:
                self._owner.release()
            return JobHandle(self, report.job)
        finally:
            if own:
                source.close()

    def run(
        self, jobs: Sequence[int | str] | None = None, *, workers: int | str = 1, only: Sequence[str] = (),
        at_most: int | None = None, grace: float = 30.0, no_cache: bool = False, instead: Instead | None = None,
        watcher: Watcher | None = None,
    ) -> RunReport:  # fmt: skip
        """Run these jobs, and what follows from them, to the end; None means every open job.

        `workers` attempts run at once; "dask://HOST:PORT" runs them on that cluster, with a window of twice its threads.

        Ctrl-C and SIGTERM are handled while it runs (in the main thread): the first lets running items finish within
        `grace` seconds, the second ends them. Raises SpoolBusy if a live runner holds the spool. Inside a running event
        loop (a notebook) the engine gets a thread of its own; there, `await run_async(...)` is better.
        """
        call = self.run_async(
            jobs, workers=workers, only=only, at_most=at_most, grace=grace, no_cache=no_cache, instead=instead,
            watcher=watcher,
        )  # fmt: skip
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(call)
        return in_a_thread(call)

    async def run_async(
        self, jobs: Sequence[int | str] | None = None, *, workers: int | str = 1, only: Sequence[str] = (),
        at_most: int | None = None, grace: float = 30.0, no_cache: bool = False, instead: Instead | None = None,
        watcher: Watcher | None = None,
    ) -> RunReport:  # fmt: skip
        """`run` as a coroutine."""
        stop_if_loading()
        if isinstance(workers, str) and workers.startswith(SCHEME):
            with connect(workers) as cluster:
                return await self.run_async(
                    jobs, workers=cluster.size, only=only, at_most=at_most, grace=grace, no_cache=no_cache,
                    instead=cluster.instead(reading.spool_id(self.database()), self.places), watcher=watcher,
                )  # fmt: skip
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise UsageError(f"workers must be a whole number of at least 1, not {workers!r}")
        database = self.database()
        if not self._take():
            raise self._busy()
        try:
            roots = None if jobs is None else [reading.job(database, job).id for job in jobs]
            chosen = chosen_items(database, roots, only)
            settings = Settings(
                workers, grace, self._patience, at_most, chosen, no_cache, durable=self._durability == "full"
            )  # fmt: skip
            began = self._clock.monotonic()
            runner, session_pace = self._runner(database, roots, settings, instead)
            with session_pace, signalled(runner) as caught:
                await watched(runner, watcher)
            seconds = self._clock.monotonic() - began
            ran = [reading.job(database, course.job.id) for course in runner.courses]
            now = {course.job.id: dict(course.ended) for course in runner.courses}
            return RunReport(ran, caught[0] if caught else None, pauses(runner.courses), seconds, now)
        finally:
            self._owner.release()

    def _runner(
        self, database: Database, roots: Sequence[int] | None, settings: Settings, instead: Instead | None
    ) -> tuple[Runner, Pace]:
        pace, clock = Pace(self.places.pace, self._clock), SteadyClock(self._clock)  # limits go by the clock of all
        resolved = resolver(instead.check if instead is not None else None)
        courses, nonce = Courses(database, roots, settings.workers, resolved, pace, clock), secrets.token_hex(16)
        return Runner(database, nonce, courses, pace, settings, clock, random.random, instead), pace

    def jobs(self) -> list[Job]:
        """All jobs with their counts, the oldest first."""
        return reading.jobs(self.database())

    def job(self, name: int | str) -> JobHandle:
        """The handle of a job, by number or name. Raises JobNotFound."""
        return JobHandle(self, reading.job(self.database(), name).id)

    def events(self, after: int = 0, job: int | None = None, limit: int = 1000) -> list[reading.Event]:
        """Up to `limit` events after the sequence number `after`."""
        return reading.events(self.database(), after, job, limit)

    def runner_alive(self) -> bool:
        """Whether a live runner (or this moment's submission) holds the spool."""
        return not self._owner.is_free()

    def holder(self) -> dict[str, Any]:
        """What the present or last holder wrote about itself: pid, host, since (UTC microseconds)."""
        return self._owner.holder()

    def ask(self, verb: str, job: int, arguments: str, act: Callable[[Database, int], int]) -> int | None:
        """Do `act` now if nobody holds the spool, else leave a request for the runner and return None."""
        database, now = self.database(), self._clock.now()
        if self._owner.held or not self._take():
            with database.write():
                database.insert("insert_request", now, verb, job, arguments, now)
            return None
        try:
            with database.write():
                return act(database, now)
        finally:
            self._owner.release()

    def _task(self, task: TaskLike, folder: Path | None) -> Task:
        if isinstance(task, Task):
            return task
        return resolve(task, folder=folder) if isinstance(task, str) else task_of(task)

    def _take(self) -> bool:
        try:
            return self._owner.acquire(holder=self._holder())
        except OSError as error:
            raise unwritable(error, str(self.places.owner_lock)) from error

    def _holder(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "host": socket.gethostname(), "since": self._clock.now()}

    def _busy(self) -> SpoolBusy:
        holder = self.holder()
        who = "it has just begun, and has not said yet who it is"  # the lock comes first, its holder's name a moment later
        if isinstance(holder.get("since"), int):
            who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, since {local_time(holder['since'])}"
        return SpoolBusy(
            f"a live runner holds this spool: {who}",
            where=str(self.places.database), why="one runner at a time moves the items of a spool",
            command="respool jobs list; --watch hands your job to that runner",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobHandle:
    """One job of a spool. `stored_for_live_runner`: another process runs this spool, and will take the job up."""

    spool: Spool
    id: int
    stored_for_live_runner: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        return self.read().name

    def read(self) -> Job:
        """The job as it stands now."""
        return reading.job(self.spool.database(), self.id)

    def items(
        self, *, state: str | None = None, kind: str | None = None, key: str | None = None, limit: int = -1
    ) -> Iterator[Item]:
        """The items in input order, with payloads and results."""
        chosen = ItemState(state) if state is not None else None
        return reading.items(
            self.spool.database(), self.id, state=chosen, kind=Kind(kind) if kind else None, key=key, limit=limit
        )  # fmt: skip

    def results(self) -> dict[str, Any]:
        """The results of what is done or cached, by key, in input order."""
        return {key: result for key, _, result in reading.results(self.spool.database(), self.id)}

    def retry(self, kind: str | None = None, keys: Sequence[str] | None = None) -> int | None:
        """Failed items become pending with fresh budgets; how many, or None if a live runner was asked to do it."""
        chosen = Kind(kind) if kind else None
        arguments = json.dumps({"kind": chosen, "keys": list(keys) if keys is not None else None})
        return self.spool.ask("retry", self.id, arguments, lambda db, now: retry(db, self.id, chosen, keys, now))

    def cancel(self) -> int | None:
        """Pending items are cancelled, running ones ended; how many were pending, or None as for `retry`."""
        return self.spool.ask("cancel", self.id, "{}", lambda db, now: cancel(db, self.id, now))

    def then(self, task: TaskLike, on: str = "success") -> JobHandle:
        """When this job has ended (`success`: and no item failed; `finish`: always), `task` runs on its results.

        Kept in the spool: the child is created in the transaction that ends this job, once for each completion that
        changed its results. Returns this handle.
        """
        follow = self.spool._task(task, None)
        remember(follow)
        _when(on)
        database = self.spool.database()
        now = self.spool._clock.now()
        folder = self.read().settings.get("folder")
        settings = json.dumps({**follow.to_settings(), "folder": folder}, sort_keys=True)
        with database.write():
            known = database.all("rules", self.id)
            ordinal = next((rule[0] for rule in known if rule[1] == follow.name), len(known))
            database.run("save_rule", self.id, ordinal, follow.name, follow.version, settings, on)
            if self.read().ended_at is not None:
                deliver_followups(database, self.id, now)
        return self

    def run(self, workers: int = 1, **options: Any) -> RunReport:
        """Run this job and what follows from it; see Spool.run."""
        return self.spool.run([self.id], workers=workers, **options)


def _when(on: str) -> str:
    if on not in ("success", "finish"):
        raise UsageError(f'a follow-up runs on "success" or on "finish", not on {on!r}')
    return on


def _intact(digests: Digests) -> Callable[[Sequence[Output]], bool]:
    return lambda outputs: all(digests.of(Path(output.path)) == output.digest for output in outputs)
