"""What earlier runs of re-recording came to: read off the spool, where every attempt is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from respool.batch.model import ItemState
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.clock import MICROSECONDS, rfc3339
from respool.rerecord.units import FACTS

TASK = "respool rerecord"  # the task's name: all jobs of re-recording, whatever they selected, have this one
OPEN = (ItemState.PENDING, ItemState.RUNNING)


@dataclass(frozen=True, slots=True)
class Ended:
    """One attempt on a unit that came to an end: "done" or "failed". Instants are UTC microseconds."""

    files: tuple[str, ...]
    item: int
    number: int
    outcome: str
    kind: str | None
    message: str | None
    started_at: int
    ended_at: int


def ended(database: Database) -> list[Ended]:
    """Every attempt of every job that ended in success or failure, the oldest first."""
    found = []
    for job in reading.jobs(database):
        if job.task != TASK:
            continue
        for item in reading.items(database, job.id, every=True):
            files = tuple(item.payload["files"])
            for tried in reading.attempts(database, item.id):
                if tried.outcome in ("done", "failed") and tried.ended_at is not None:
                    told = (tried.number, tried.outcome, tried.kind, tried.message, tried.started_at, tried.ended_at)
                    found.append(Ended(files, item.id, *told))
    return sorted(found, key=lambda each: each.ended_at)


def any_open(database: Database) -> bool:
    """Whether a unit of any job of re-recording has not come to its end."""
    return any(job.counts.get(state, 0) for job in reading.jobs(database) if job.task == TASK for state in OPEN)


def latest_failures(attempts: list[Ended]) -> dict[str, Ended]:
    """File → its own latest attempt, for the files of which that one failed, whatever ran before or after it."""
    latest: dict[str, Ended] = {}
    for each in attempts:
        latest |= dict.fromkeys(each.files, each)
    return {file: each for file, each in latest.items() if each.outcome == "failed"}


def failure_records(database: Database, attempts: list[Ended]) -> Iterator[dict[str, Any]]:
    """The failures as they are exported: {file, cassette, kind, status, attempt, time, seconds, message}."""
    for each in attempts:
        if each.outcome != "failed":
            continue
        try:
            kept = json.loads((database.places.attempt(each.item, each.number) / "files" / FACTS).read_bytes())
        except (OSError, ValueError):
            kept = {}
        for file in each.files:
            yield {
                "file": file, "cassette": kept.get("cassette"), "kind": each.kind, "status": kept.get("status"),
                "attempt": each.number, "time": rfc3339(each.ended_at),
                "seconds": round((each.ended_at - each.started_at) / MICROSECONDS, 3), "message": each.message,
            }  # fmt: skip
