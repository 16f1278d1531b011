"""Questions to a spool. Readers hold no statement open between two questions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from respool.batch.model import Item, ItemState, Job, Kind
from respool.batch.store.connection import Database
from respool.errors import JobNotFound, SpoolUnreadable


class Event(NamedTuple):
    """One thing that happened. `seq` is the stream's id; `v` the version of this form; `key` the item's."""

    seq: int
    at: int
    job: int | None
    item: int | None
    attempt: int | None
    type: str
    data: dict[str, Any]
    v: int = 1
    key: str | None = None


class Tried(NamedTuple):
    """One attempt as readers see it; instants in UTC microseconds."""

    number: int
    started_at: int
    ended_at: int | None
    outcome: str
    kind: str | None
    message: str | None
    detail: str | None


def spool_id(database: Database) -> str:
    """The name that this spool carries in receipts and in the environment of its commands."""
    row = database.one("spool_id")
    if row is None:
        raise SpoolUnreadable("the spool has no id", where=str(database.places.database), command="respool doctor")
    return str(row[0])


def jobs(database: Database) -> list[Job]:
    """All jobs, the oldest first, with their counts."""
    counts: dict[int, dict[ItemState, int]] = {}
    for job, state, number in database.all("all_counts"):
        counts.setdefault(job, {})[ItemState(state)] = number
    return [replace(job_of_row(row), counts=counts.get(row[0], {})) for row in database.all("jobs")]


def job(database: Database, name: int | str) -> Job:
    """One job with its counts, by number or name. Raises JobNotFound."""
    row = None
    if isinstance(name, int) or name.isdecimal():
        row = database.one("job_by_id", int(name))
    if row is None and isinstance(name, str):
        row = database.one("job_by_name", name)
    if row is None:
        raise JobNotFound(f"no job {name!r}", where=str(database.places.database), command="respool jobs list")
    counts = {ItemState(state): number for state, number in database.all("counts", row[0])}
    return replace(job_of_row(row), counts=counts)


def counts(database: Database, job: int) -> dict[ItemState, int]:
    """The number of a job's items in each state."""
    return {ItemState(state): number for state, number in database.all("counts", job)}


def job_of_row(row: Sequence[Any]) -> Job:
    """A job, without counts, from a row of `jobs`."""
    return Job(
        id=row[0], name=row[1], task=row[2], version=row[3], settings=json.loads(row[4]), source=json.loads(row[5]),
        generation=row[6], created_at=row[7], updated_at=row[8], sealed_at=row[9], ended_at=row[10], paused_at=row[11],
        paused_reason=row[12], resume_at=row[13], cancelled_at=row[14], skipped_reason=row[15], parent=row[16],
        source_digest=row[17],
    )  # fmt: skip


def items(
    database: Database, job: int, *, state: ItemState | None = None, kind: Kind | None = None, key: str | None = None,
    limit: int = -1, every: bool = False,
) -> Iterator[Item]:  # fmt: skip
    """The items of a job in input order, with payloads and results.

    The item that makes the others of a follow-up is given if it failed, if it is named by its key, or with `every`.
    """
    for row in database.each("items_of_job", job, state, kind, key, limit, every):
        yield item_of_row(database, row)


def item_of_row(database: Database, row: Sequence[Any]) -> Item:
    """An item with its payload and result, from a row of `items_of_job` or one that begins as it does."""
    return Item(
        id=row[0], job=row[1], key=row[2], state=ItemState(row[3]), reason=row[4],
        kind=Kind(row[5]) if row[5] else None, message=row[6], attempts=row[7], failures=row[8], crashes=row[9],
        not_before=row[10], payload=json.loads(row[11]), result=read_result(database, row[12], row[13]),
        started_at=row[14], ended_at=row[15],
    )  # fmt: skip


def read_result(database: Database, inline: str | None, file: str | None) -> Any:
    """A result, from the row or from its file. Raises SpoolUnreadable if the file is gone."""
    if file is not None:
        path = database.places.result(file)
        try:
            inline = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SpoolUnreadable(
                f"a result's file cannot be read: {error.strerror}", where=str(path), command="respool doctor --fix"
            ) from None
    return json.loads(inline) if inline is not None else None


def results(database: Database, job: int) -> Iterator[tuple[str, Any, Any]]:
    """(key, payload, result) of every item that is done or cached, in input order."""
    for key, payload, result, file in database.each("results_of_job", job):
        yield key, json.loads(payload), read_result(database, result, file)


def finished_payloads(database: Database, task: str) -> Iterator[Any]:
    """The payloads of all that is done or cached, in any job of this task, the newest job last."""
    return (payload for job in jobs(database) if job.task == task for _, payload, _ in results(database, job.id))


def keys(database: Database, job: int, state: ItemState) -> Iterator[str]:
    """The keys of a job's items in one state."""
    return (row[0] for row in database.each("keys_of_state", job, state))


def attempts(database: Database, item: int) -> list[Tried]:
    """The attempts of one item, the first first."""
    return [Tried._make(row) for row in database.all("attempts_of_item", item)]


def events(database: Database, after: int = 0, job: int | None = None, limit: int = 1000) -> list[Event]:
    """Up to `limit` events after a sequence number."""
    rows = database.all("events_after", after, job, limit)
    return [Event._make((*row[:6], json.loads(row[6]) if row[6] else {}, 1, row[7])) for row in rows]


def descendants(database: Database, job: int) -> list[int]:
    """The job itself and all that follows from it."""
    return [row[0] for row in database.all("descendants", job)]


def typical_seconds(database: Database, job: int | None, task: str) -> float | None:
    """The mean duration of finished attempts, of this job or else of this task anywhere; None if there are none."""
    rows = database.all("durations", job) if job is not None else []
    rows = rows or database.all("durations_of_task", task)
    if not rows:
        return None
    return float(sum(row[0] for row in rows)) / len(rows) / 1e6
