"""The jobs of one run: the ones asked for, what follows from them, and what is handed in meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from respool.batch.course import Course
from respool.batch.declaration import Task
from respool.batch.digests import Digests
from respool.batch.model import Job
from respool.batch.policy import Concurrency
from respool.batch.settle import Standing, Streak
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.followups import EXPANSION_KEY
from respool.clock import Clock
from respool.errors import RespoolError
from respool.pace import Pace

Resolve = Callable[[Job], Task]


class Courses:
    """All courses of a run by job. `roots` None means every open job.

    `changed_items` and `dropped` concern items whose input changed, or vanished, while they ran; `standings` what
    running items had used up when they started.
    """

    def __init__(
        self, database: Database, roots: Sequence[int] | None, workers: int, resolve: Resolve, pace: Pace, clock: Clock
    ) -> None:
        self.database = database
        self.digests = Digests(database)
        self.changed_items: set[int] = set()
        self.dropped: dict[int, str] = {}
        self.standings: dict[int, Standing] = {}
        self._roots = set(roots) if roots is not None else None
        self._asked_for = frozenset(roots or ())
        self._workers, self._resolve, self._pace, self._clock = workers, resolve, pace, clock
        self._courses: dict[int, Course] = {}
        self._broken: set[int] = set()

    def __iter__(self) -> Iterator[Course]:
        return iter(self._courses.values())

    def of(self, job: int) -> Course:
        """The course of a job that is in this run."""
        return self._courses[job]

    def get(self, job: int) -> Course | None:
        """The course of a job, or None if it is not in this run."""
        return self._courses.get(job)

    def include(self, job: int) -> None:
        """Run this job too."""
        if self._roots is not None:
            self._roots.add(job)
        self._broken.discard(job)

    def load(self) -> None:
        """Take up what has been created since, and look again at what there is."""
        wanted = {row[0] for row in self.database.all("open_jobs")}
        if self._roots is not None:
            family = {child for root in self._roots for child in reading.descendants(self.database, root)}
            wanted = (wanted & family) | {root for root in self._roots if root not in self._courses}
        for job in sorted(wanted):
            if job in self._courses:
                course = self._courses[job]
                if not course.running:
                    self.refresh(course)
            elif job not in self._broken:
                self._add(job)

    def _add(self, number: int) -> None:
        job = reading.job(self.database, number)
        try:
            task = self._resolve(job)
        except RespoolError as error:
            if number in self._asked_for:
                raise
            # One job whose task is gone must not keep the others from running; it is paused with the reason.
            with self.database.write():
                now = self._clock.now()
                self.database.run("pause_job", now, error.what, None, now, number)
            self._broken.add(number)
            return
        course = Course(
            job, task, Path(job.settings.get("folder") or Path.cwd()), Concurrency(self._workers), self._pace
        )
        if job.settings.get("job_timeout"):
            course.deadline = self._clock.monotonic() + float(job.settings["job_timeout"])
        if job.paused_at is not None:
            with self.database.write():
                self.database.run("unpause_job", number)
        self._courses[number] = course
        self.refresh(course)
        facts = self.database.one("job_facts", number)
        if facts is not None and facts[3] is not None:
            course.streak = Streak(None, 0, facts[5])

    def refresh(self, course: Course) -> None:
        """Read a course's job again: counts, generation, whether its items are still to be made."""
        course.job = reading.job(self.database, course.job.id)
        course.counts = dict(course.job.counts)
        facts = self.database.one("job_facts", course.job.id)
        course.no_cache = bool(facts and facts[2])
        course.expanding = None
        if course.job.sealed_at is None and course.job.parent is not None:
            row = self.database.one("expansion_item", course.job.id)
            course.expanding = row[0] if row else None
        course.cancelled = course.job.cancelled_at is not None
        course.poke()

    def recount(self, course: Course) -> None:
        """Read a course's counts again."""
        course.counts = reading.counts(self.database, course.job.id)

    def poke(self) -> None:
        """Look at every job again."""
        for course in self:
            course.poke()

    def belongs(self, item: int, course: Course) -> bool:
        """Whether an item is one of this job's."""
        row = self.database.one("job_of_item", item)
        return row is not None and row[0] == course.job.id


def is_expansion(key: str) -> bool:
    """Whether an item is the one that makes the others."""
    return key == EXPANSION_KEY
