"""From what the spool holds of a job back to the task that it runs, and to the items that were chosen of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from respool.batch.declaration import Mode, Task
from respool.batch.model import Job
from respool.batch.store.connection import Database
from respool.batch.tasks import resolve
from respool.errors import JobNotFound

_KNOWN: dict[str, Task] = {}


def remember(*tasks: Task) -> None:
    """Functions of this process need no import to be found again (a closure, a notebook's cell)."""
    for task in tasks:
        if task.function is not None:
            _KNOWN[task.name] = task
        remember(*(follow for follow, _ in task.then))


def resolve_job(job: Job) -> Task:
    """The task of a job: commands from what was stored, functions from their import path, declared as stored."""
    stored = Task.from_settings(job.task, job.version, job.settings)
    if stored.mode is Mode.COMMAND:
        return stored
    folder = job.settings.get("folder")
    found = _KNOWN.get(job.task) or resolve(job.task, folder=Path(folder) if folder else None)
    return replace(stored, function=found.function, expand=found.expand, source_digest=found.source_digest)


def resolver(check: Callable[[Task], None] | None) -> Callable[[Job], Task]:
    """`resolve_job` that also raises what `check` has against the task, so that nothing of it is started."""

    def resolve_checked(job: Job) -> Task:
        found = resolve_job(job)
        if check is not None:
            check(found)
        return found

    return resolve_checked


def chosen_items(database: Database, roots: Sequence[int] | None, only: Sequence[str]) -> tuple[int, ...]:
    """The items with these keys in the given jobs (or in every open one). Raises JobNotFound for a key in none."""
    if not only:
        return ()
    chosen: list[int] = []
    for job in roots or [row[0] for row in database.all("open_jobs")]:
        for key, item in database.all("item_ids", job, json.dumps(list(only))):
            if item is not None:
                chosen.append(item)
            elif roots:
                raise JobNotFound(f"no item {key!r} in job {job}", command=f"respool jobs items {job}")
    return tuple(chosen)
