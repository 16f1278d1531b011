"""Following a job that somebody else runs: the same view and the same exit code, from what the spool says."""

from __future__ import annotations

from collections.abc import Mapping

from respool.batch.model import OPEN_STATES, ItemState, Job
from respool.batch.notes import note_of, read_notes
from respool.batch.places import Places
from respool.batch.snapshot import JobView, Snapshot
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.cli.closing import Counts, close
from respool.cli.plain import Logged
from respool.clock import SYSTEM, Clock
from respool.files import FileLock

POLL = 0.25  # seconds
SHOWN = 50
GONE = "nobody runs this spool any more; the same command again, or `respool run`, goes on"


class RunnerGone(Exception):
    """Nobody runs the spool any more, and work of the followed job is left."""


def follow(
    places: Places, job: int, *, view: Logged, as_json: bool, take_over: bool = False, clock: Clock = SYSTEM
) -> int:  # fmt: skip
    """Show `job`, and what follows from it, until all of it has ended or stands still; the exit code of its run.

    When nobody runs the spool any more while work is left, the exit code is 6, or RunnerGone is raised with `take_over`.
    """
    began = clock.monotonic()
    paused: dict[int, str] = {}
    with Database.open(places, read_only=True, clock=clock) as database:
        start = {each.id: each.counts for each in _family(database, job)}
        try:
            version, idle, family = -1, 0, list[Job]()
            while True:
                alive = not FileLock(places.owner_lock).is_free()
                found = database.data_version()
                if found != version:
                    version = found
                    family = _family(database, job)
                view(_snapshot(database, family, start, clock.now()))
                if not _asked(database, job) and not any(_open(each) for each in family):
                    break
                # Asked twice: between two runs of a runner, and during a submission, the lock changes hands.
                idle = 0 if alive else idle + 1
                if idle >= 4 and take_over:
                    raise RunnerGone
                if idle >= 4:
                    paused = {each.id: GONE for each in family if _open(each) and each.paused_at is None}
                    paused = paused or {job: GONE}
                    break
                clock.sleep(POLL)
        finally:
            view.close()
        family = _family(database, job)
        return close(
            database, family, seconds=clock.monotonic() - began, paused=paused, as_json=as_json,
            now={each.id: _gained(each.counts, start.get(each.id, {})) for each in family},
        )  # fmt: skip


def _family(database: Database, job: int) -> list[Job]:
    return [reading.job(database, each) for each in reading.descendants(database, job)]


def _asked(database: Database, job: int) -> bool:
    """Whether the runner has still to take up what was stored for this job."""
    return any(row[2] == job for row in database.all("open_requests"))


def _open(job: Job) -> bool:
    if job.paused_at is not None and not job.counts.get(ItemState.RUNNING, 0):
        return False
    if job.skipped_reason is not None:
        return False
    return job.sealed_at is None or any(job.counts.get(state, 0) for state in OPEN_STATES)


def _finished(counts: Counts) -> int:
    return sum(many for state, many in counts.items() if state not in OPEN_STATES)


def _gained(counts: Counts, start: Counts) -> dict[ItemState, int]:
    """What came to a final state since we began to look."""
    return {state: max(0, many - start.get(state, 0)) for state, many in counts.items()}


def _snapshot(database: Database, family: list[Job], start: Mapping[int, Counts], now: int) -> Snapshot:
    views, notes = [], read_notes(database.places)
    for job in family:
        running = [
            (row[1], row[3] or now, note_of(notes, row[0], row[2]))
            for row in database.all("running_job_rows", job.id, SHOWN)
        ]
        failures = [(row[0], f"{row[1]}: {row[2]}") for row in database.all("last_failures", job.id, 5)]
        waiting = f"paused: {job.paused_reason}" if job.paused_at is not None else None
        settled = _finished(job.counts) - _finished(start.get(job.id, {}))
        views.append(JobView(job.id, job.name, job.counts, running, failures[::-1], waiting, len(running), settled))
    return Snapshot(now, views, draining=False, trouble=None, session="")
