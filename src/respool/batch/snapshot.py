"""What a view of a run shows: values, made on the runner's loop."""

from __future__ import annotations

from dataclasses import dataclass

from respool.batch.course import Course
from respool.batch.model import ItemState


@dataclass(frozen=True, slots=True)
class JobView:
    """One job of a run. `running` holds (key, started at in UTC microseconds, note), `settled` counts this run's."""

    id: int
    name: str
    counts: dict[ItemState, int]
    running: list[tuple[str, int, str | None]]
    failures: list[tuple[str, str]]
    waiting: str | None
    concurrency: int
    settled: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one instant (UTC microseconds). `trouble` says why nothing can be written now."""

    now: int
    jobs: list[JobView]
    draining: bool
    trouble: str | None
    session: str


def view_of(course: Course, now: int) -> JobView:
    """The view of one job."""
    running = [(one.attempt.key, one.started_at, one.note) for one in list(course.running.values())[:50]]
    return JobView(
        course.job.id, course.job.name, dict(course.counts), running, list(course.failures), course.waiting_for(now),
        course.concurrency.limit, course.settled,
    )  # fmt: skip
