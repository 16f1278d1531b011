"""`respool jobs show`: how one job stands, for people, and as the published document docs/jobs-show.schema.json.

    {"schema_version": 1, "job": {...}, "session_id": ..., "pid": ..., "host": ..., "started_at": ...,
     "updated_at": ..., "parallel": ..., "runner_alive": ..., "counts": {...},
     and with --keys: "queued_items", "current_items", "interrupted_items", "completed", "failed", "skipped"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from respool.batch.documents import awaits_its_items, counts_data, instant, job_data
from respool.batch.model import ItemState, Job
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.cli import options
from respool.cli.closing import failure_kinds, hints
from respool.cli.exits import Exit
from respool.cli.options import option
from respool.cli.reader import A_JOB, find, reader, runner_alive
from respool.cli.talk import counts_text, moment, put, put_json
from respool.errors import UsageError

SCHEMA_VERSION = 1
LISTS: dict[str, tuple[ItemState, ...]] = {
    "queued_items": (ItemState.PENDING,),
    "current_items": (ItemState.RUNNING,),
    "interrupted_items": (),  # what says running though no runner is alive
    "completed": (ItemState.DONE, ItemState.CACHED),
    "failed": (ItemState.FAILED,),
    "skipped": (ItemState.SKIPPED,),
}


@click.command("show")
@A_JOB
@option("--keys", is_flag=True, help="With the keys of the items, by how they stand.")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def show(name: str, keys: bool, spool: str | None, rehearsal: bool, as_json: bool) -> int:
    """One job: what it is, how it stands, and who runs it or ran it last."""
    with reader(spool, rehearsal) as database:
        job, alive = find(database, name), runner_alive(database.places)
        data = document(database, job, alive=alive, keys=keys)
        if as_json:
            put_json(data)
            return int(Exit.DONE)
        for line in _lines(database, job, data):
            put(line)
    return int(Exit.DONE)


def document(database: Database, job: Job, *, alive: bool, keys: bool) -> dict[str, Any]:
    """The document of one job. Without `keys` its cost does not grow with the number of items that are listed."""
    session = database.one("session_of_job", job.id) or (None,) * 6
    nonce, pid, host, workers, started_at, ended_at = session
    data: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION, "job": job_data(job, alive=alive),
        "session_id": nonce, "pid": pid, "host": host, "started_at": instant(started_at),
        "updated_at": instant(job.updated_at if ended_at is None else max(job.updated_at, ended_at)),
        "parallel": int(workers) if workers is not None and workers.isdecimal() else workers,
        "runner_alive": alive, "counts": counts_data(job.counts, alive=alive),
    }  # fmt: skip
    if keys:
        for name, states in LISTS.items():
            data[name] = [key for state in states for key in reading.keys(database, job.id, state)]
        if not alive:
            data["current_items"], data["interrupted_items"] = [], data["current_items"]
    return data


def _lines(database: Database, job: Job, data: Mapping[str, Any]) -> list[str]:
    lines = [
        f"job      {job.id} {job.name}",
        f"task     {job.task} (version {job.version})",
        f"state    {data['job']['state']}",
        f"items    {_standing(database, job, data['runner_alive'])}",
        f"created  {moment(job.created_at)}",
        f"changed  {moment(job.updated_at)}",
    ]
    if data["pid"] is not None:
        does = "runs in" if data["runner_alive"] else "ran last in"
        lines.append(f"runner   {does} process {data['pid']} on {data['host']}, {data['parallel']} at once")
    if job.parent is not None:
        lines.append(f"follows  job {job.parent}")
    for name in LISTS:
        if name in data:
            lines += [f"{name}:", *(f"  {key}" for key in data[name])]
    return [*lines, *hints(database, job, job.paused_reason)]


def _standing(database: Database, job: Job, alive: bool) -> str:
    if awaits_its_items(job):
        return f"still to be made from job {job.parent}"
    return counts_text(job.counts, failure_kinds(database, job), alive=alive)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a reader of the document may rely on. The lists are None if they were not asked for."""

    session_id: str | None
    pid: int | None
    host: str | None
    started_at: str | None
    updated_at: str
    parallel: int | str | None
    counts: dict[ItemState, int]
    interrupted: int
    lists: dict[str, list[str]] | None = field(default=None)

    @property
    def finished(self) -> bool:
        """Nothing is queued, running or interrupted."""
        return not (self.counts[ItemState.PENDING] or self.counts[ItemState.RUNNING] or self.interrupted)


def read_document(text: str) -> Progress:
    """Read what `respool jobs show --json` wrote. Raises UsageError for text that is none, torn, or of a newer form.

    >>> read_document('{"schema_version": 9}')
    Traceback (most recent call last):
    respool.errors.UsageError: this document has schema_version 9; this program reads 1
    """
    try:
        data = json.loads(text)
        version = data["schema_version"]
        if version != SCHEMA_VERSION:
            raise UsageError(f"this document has schema_version {version!r}; this program reads {SCHEMA_VERSION}")
        lists = {name: [str(key) for key in data[name]] for name in LISTS} if "queued_items" in data else None
        counts = {ItemState(state): int(data["counts"][state]) for state in ItemState}
        return Progress(
            data["session_id"], data["pid"], data["host"], data["started_at"], data["updated_at"], data["parallel"],
            counts, int(data["counts"]["interrupted"]), lists,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"this is no document of `respool jobs show --json`: {error}") from None
