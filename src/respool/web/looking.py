"""What the web door reads of a spool: pages of jobs and items, progress, attempts. Costs do not grow with the spool.

Everything that other programs wrote is redacted here, so that no answer can forget it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from respool.batch.documents import awaits_its_items, counts_data, instant, item_data, job_data
from respool.batch.model import OPEN_STATES, Item, ItemState, Job, JobState, Kind
from respool.batch.notes import note_of, read_notes
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.clock import MICROSECONDS, SYSTEM, Clock, local_time
from respool.files import FileLock
from respool.web.problems import Fault, Problem
from respool.web.products import running_message, tally_of
from respool.web.redacting import Redactor

SPAN = 30  # seconds that the rate looks back
START = (-(1 << 63), 0)  # before the first item
LAST = 1 << 62  # after the newest job
ELSE = {  # what a job says of which nothing runs, and which has not ended either
    JobState.FILLING: "Its items are being taken in", JobState.INTERRUPTED: "Interrupted: the next run goes on with it",
    JobState.CANCELLED: "Cancelled",
}  # fmt: skip
WRITTEN = ("key", "reason", "message", "payload", "result")  # of an item's document, by other programs
SMALL = 1 << 14  # characters of a payload that is looked through for what a message may quote
SCANNED = 200  # jobs read at once when a state is looked for


class Place(NamedTuple):
    """Where a page of items ends."""

    position: int
    id: int

    @classmethod
    def of(cls, cursor: str | None) -> Place:
        """The place that a cursor names. Raises Problem for text that is none."""
        if cursor is None:
            return cls(*START)
        position, _, item = cursor.partition("_")
        try:
            return cls(_stored(int(position)), _stored(int(item)))
        except ValueError:
            raise bad_cursor(cursor) from None

    def __str__(self) -> str:
        return f"{self.position}_{self.id}"


def _stored(number: int) -> int:
    """The nearest number that the store can compare with."""
    return max(-LAST * 2, min(number, LAST * 2 - 1))


def bad_cursor(cursor: str) -> Problem:
    """The answer to a cursor that this server did not give."""
    fault = Fault(parameter="cursor", detail="take it from `next` of the page before")
    return Problem(422, f"{cursor!r} is no cursor", errors=[fault])


class Failures(NamedTuple):
    """The failed items of one kind, with what one of them said."""

    kind: str
    many: int
    message: str


class Tried(NamedTuple):
    """One attempt of an item; instants in UTC microseconds."""

    key: str
    number: int
    started_at: int
    ended_at: int | None
    outcome: str
    kind: str | None
    message: str | None
    detail: str | None


class Looking:
    """A reader of one spool; `database` is its own read-only connection, `alive` tells if a runner is."""

    def __init__(self, database: Database, redactor: Redactor, clock: Clock = SYSTEM) -> None:
        self.database, self.redacted, self.clock = database, redactor.redacted, clock
        self._owner = FileLock(database.places.owner_lock)

    @property
    def alive(self) -> bool:
        """Whether a live runner holds the spool."""
        return not self._owner.is_free()

    def job(self, number: int) -> Job:
        """One job with its counts. Raises JobNotFound."""
        return reading.job(self.database, number)

    def jobs(
        self, *, state: JobState | None = None, name: str | None = None, before: int = LAST, limit: int = 50
    ) -> tuple[list[Job], int | None]:  # fmt: skip
        """Up to `limit` jobs, the newest first, with their counts; and where the next page begins, if there is one."""
        found: list[int] = []
        alive, at_once = self.alive, limit + 1 if state is None else SCANNED
        while len(found) <= limit:
            rows = self.database.all("jobs_before", before, name or None, at_once)
            for row in rows:
                present = zip((ItemState.RUNNING, ItemState.PENDING, ItemState.FAILED), row[18:], strict=True)
                rough = replace(reading.job_of_row(row), counts=dict(present))
                if state is None or rough.state(runner_alive=alive) is state:
                    found.append(rough.id)
            if len(rows) < at_once:
                break
            before = rows[-1][0]
        return [self.job(number) for number in found[:limit]], found[limit - 1] if len(found) > limit else None

    def summary(self, job: Job) -> dict[str, Any]:
        """The document of one job in a list."""
        document: dict[str, Any] = self.redacted(job_data(job, alive=self.alive))
        return document

    def document(self, job: Job) -> dict[str, Any]:
        """The whole document of one job."""
        return self.summary(job) | {"progress": self.progress(job), "children": self.children(job.id)}

    def children(self, job: int) -> list[int]:
        """The jobs that follow from this one directly."""
        return [row[0] for row in self.database.all("children", job)]

    def progress(self, job: Job) -> dict[str, Any]:
        """How far a job is, at what rate, and what it does just now."""
        counts = job.counts
        left = sum(counts.get(state, 0) for state in OPEN_STATES)
        rate = self._rate(job.id) if left else None
        told = {
            "message": self.message(job), "settled": job.total - left, "total": job.total, "per_second": rate,
            "seconds_left": round(left / rate, 1) if rate and self.alive else None,
        }  # fmt: skip
        redacted: dict[str, Any] = self.redacted(told)
        return redacted

    def _rate(self, job: int) -> float | None:
        now = self.clock.now()
        many, first, last = self.database.one("settled_lately", job, now - SPAN * MICROSECONDS) or (0, None, None)
        if many < 2 or last <= first:
            return None
        return float(round((many - 1) / (last - first) * MICROSECONDS, 3))

    def message(self, job: Job) -> str:
        """One line: what is done now, what is waited for, or how it ended."""
        state = job.state(runner_alive=self.alive)
        if state is JobState.SKIPPED:
            return f"Skipped: {job.skipped_reason}"
        if state is JobState.PAUSED:
            until = f" (goes on at {local_time(job.resume_at)})" if job.resume_at is not None else ""
            return f"Paused: {job.paused_reason}{until}"
        if state in (JobState.RUNNING, JobState.PENDING) or awaits_its_items(job):
            return self._doing(job)
        if state in ELSE:
            return ELSE[state]
        if (tally := tally_of(self.database, job)) is not None:
            return str(tally)
        count = job.counts.get
        cached = count(ItemState.CACHED, 0) + count(ItemState.SKIPPED, 0)
        return f"Done: {count(ItemState.DONE, 0)} succeeded, {count(ItemState.FAILED, 0)} failed, {cached} cached"

    def _doing(self, job: Job) -> str:
        item, key, attempt = self.database.one("latest_running", job.id) or (0, None, 0)
        settled = job.total - sum(job.counts.get(state, 0) for state in OPEN_STATES)
        own = running_message(job, key) if key is not None or not settled else None
        if own is not None:
            return own
        if awaits_its_items(job):
            return f"Its items are still to be made from job {job.parent}"
        if key is None:
            return "Waiting for its turn"
        return f"{note_of(read_notes(self.database.places), item, attempt) or key} ({settled + 1}/{job.total})"

    def items(
        self, job: int, *, state: ItemState | None = None, kind: Kind | None = None, key: str | None = None,
        cursor: str | None = None, limit: int = 100,
    ) -> tuple[list[dict[str, Any]], str | None]:  # fmt: skip
        """Up to `limit` items in input order as redacted documents, and the cursor of the next page, if there is one."""
        if key is not None:
            found = list(reading.items(self.database, job, key=key, state=state, kind=kind))
            return self._documents(found), None
        state = ItemState.FAILED if kind is not None and state is None else state
        position, item = Place.of(cursor)
        if state is None:
            rows = self.database.all("items_after", job, position, item, limit + 1)
        else:
            rows = self.database.all("items_of_state_after", job, position, item, limit + 1, state, kind)
        page, more = rows[:limit], len(rows) > limit
        # respool's own item of a follow-up, which made the others, concerns nobody unless it failed.
        found = [
            reading.item_of_row(self.database, row) for row in page if row[2] != "@items" or row[3] == ItemState.FAILED
        ]
        return self._documents(found), str(Place(page[-1][16], page[-1][0])) if more else None

    def _documents(self, items: Iterable[Item]) -> list[dict[str, Any]]:
        alive = self.alive
        documents = [item_data(item, alive=alive) for item in items]
        # Only what others wrote, and without our names for it: where nothing is named like a secret, one look is enough.
        told = self.redacted([[document[name] for name in WRITTEN] for document in documents])
        return [document | dict(zip(WRITTEN, texts, strict=True)) for document, texts in zip(documents, told, strict=True)]

    def notes(self, job: int) -> dict[str, str]:
        """What the running items of a job have said last, by key."""
        notes = read_notes(self.database.places)
        rows = self.database.all("running_job_rows", job, 1000) if notes else []
        told = {row[1]: note for row in rows if (note := note_of(notes, row[0], row[2]))}
        redacted: dict[str, str] = self.redacted(told)
        return redacted

    def attempts_of(self, job: int, key: str) -> list[Tried]:
        """All attempts of one item, the first first. Raises Problem if there is no such item."""
        found = next(reading.items(self.database, job, key=key, limit=1), None)
        if found is None:
            raise Problem(404, f"no item {key!r} in job {job}")
        return self._tried((found.id, key, *tried) for tried in reading.attempts(self.database, found.id))

    def latest_attempts(self, job: int, limit: int) -> list[Tried]:
        """The latest attempts of a job, the newest first."""
        return self._tried(self.database.all("latest_attempts", job, limit))

    def _tried(self, rows: Iterable[tuple[Any, ...]]) -> list[Tried]:
        given = list(rows)
        told = self._redacted_with_payloads([row[1:] for row in given], (row[0] for row in given if row[7] is not None))
        return [Tried(*row) for row in told]

    def _redacted_with_payloads(self, told: list[Any], items: Iterable[int]) -> list[Any]:
        """What is told of these items, redacted together with their payloads: a message may quote a secret of one."""
        rows = self.database.all("small_payloads", json.dumps(sorted(set(items))), SMALL)
        redacted: list[Any] = self.redacted([[json.loads(row[0]) for row in rows], told])[1]
        return redacted

    def workers(self, job: int) -> int | None:
        """How many items at once the latest run of this job could do; None if that is unknown, or a cluster's."""
        session = self.database.one("session_of_job", job)
        return int(session[3]) if session is not None and session[3].isdecimal() else None

    def failures(self, job: int) -> list[Failures]:
        """The failed items by kind, the most frequent first."""
        rows = self.database.all("failures_by_kind", job)
        told = [(kind, many, message or "") for _, kind, many, message in rows]
        return [Failures(*row) for row in self._redacted_with_payloads(told, (row[0] for row in rows))]

    def events(self, after: int, job: int | None, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` events after a number, as documents."""
        found = reading.events(self.database, after, job, limit)
        told = [{**event._asdict(), "at": instant(event.at)} for event in found]
        quoting = (event.item for event in found if event.item is not None and "message" in event.data)
        return self._redacted_with_payloads(told, quoting)

    def result(self, job: Job, cursor: str | None, limit: int) -> dict[str, Any]:
        """What a job gave: its counts, and one page of results."""
        many = job.counts.get
        rows, next_page = self._results(job.id, cursor, limit)
        counts = counts_data(job.counts, alive=True)
        numbers = {
            "total": job.total, "succeeded": counts["done"], "failed": counts["failed"], "rejected": 0,
            "skipped": counts["cached"] + counts["skipped"], "cancelled": counts["cancelled"],
            "remaining": counts["pending"] + counts["running"],
        }  # fmt: skip
        if (tally := tally_of(self.database, job)) is not None:
            numbers = {name: getattr(tally, name) for name in numbers}
        return {
            "job": job.id, "state": job.state(runner_alive=self.alive), "complete": not any(many(s, 0) for s in OPEN_STATES),
            **numbers, "results": rows, "next": next_page,
        }  # fmt: skip

    def _results(self, job: int, cursor: str | None, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        items, next_page = self.items(job, cursor=cursor, limit=limit)
        finished = ("done", "cached")
        return [{"key": each["key"], "result": each["result"]} for each in items if each["state"] in finished], next_page


def attempt_data(tried: Tried) -> dict[str, Any]:
    """An attempt for machines."""
    data = tried._asdict()
    return data | {"started_at": instant(tried.started_at), "ended_at": instant(tried.ended_at)}
