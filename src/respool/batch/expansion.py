"""The first item of a follow-up: it makes the others from its parent's results."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from respool.batch.course import Course
from respool.batch.courses import Courses, is_expansion
from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt, ItemState, Output
from respool.batch.policy import Breaker
from respool.batch.sources import from_values
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.submission import apply_pairs
from respool.clock import Clock
from respool.errors import RespoolError, SkipItem, SpoolUnwritable


def _wants_earlier(expand: Callable[..., Any]) -> bool:
    """Whether it asks for the payloads of what finished before."""
    return "earlier" in inspect.signature(expand).parameters


class Expander:
    """Runs `@items` as a task of its own, and takes in what it gave."""

    def __init__(
        self, database: Database, courses: Courses, intact: Callable[[Sequence[Output]], bool], clock: Clock
    ) -> None:
        self._database, self._courses, self._intact, self._clock = database, courses, intact, clock

    def task_of(self, course: Course, attempt: Attempt) -> Task:
        """The task that this attempt runs: the job's, or the making of its items."""
        if not is_expansion(attempt.key):
            return course.task
        places, parent, expand = self._database.places, course.job.parent or 0, course.task.expand

        def make_items(_: Any) -> list[list[Any]]:
            with Database.open(places, read_only=True) as database:
                results = [
                    {"key": key, "payload": payload, "result": result}
                    for key, payload, result in reading.results(database, parent)
                ]
                if expand is None:
                    made: Any = [(one["key"], one) for one in results]
                elif _wants_earlier(expand):
                    made = expand(results, earlier=[*reading.finished_payloads(database, course.task.name)])
                else:
                    made = expand(results)
            pairs = [[key, payload] for key, payload in (made.items() if isinstance(made, Mapping) else made or ())]
            if not pairs:
                raise SkipItem("no items")
            return pairs

        return Task(
            f"{course.task.name}@items", Mode.THREAD, retry=course.task.retry, breaker=Breaker(0, 0, 0),
            function=make_items,
        )  # fmt: skip

    def is_overtaken(self, attempt: Attempt) -> bool:
        """Whether this attempt made items of results that are no longer the parent's: they are made again."""
        if not is_expansion(attempt.key):
            return False
        item = next(reading.items(self._database, attempt.job, key=attempt.key), None)
        return item is not None and item.payload != json.loads(attempt.payload)

    def continue_from_store(self, course: Course) -> None:
        """Act on what became of `@items`: take in the items, skip the job, or end it as failed."""
        job, now = course.job.id, self._clock.now()
        found = next(reading.items(self._database, job, key="@items"), None)
        if found is None or found.state in (ItemState.PENDING, ItemState.RUNNING):
            return
        if found.state in (ItemState.DONE, ItemState.CACHED):
            try:
                pairs = from_values(found.result, name=course.job.name)
                try:
                    apply_pairs(self._database, job, course.task, pairs, self._intact, self._clock)
                finally:
                    pairs.close()
            except SpoolUnwritable:
                raise
            except RespoolError as error:
                self._skip(course, f"its items cannot be used: {error.what}", now)
                return
            self._courses.refresh(course)
            return
        reason = found.message if found.state is ItemState.SKIPPED else f"its items could not be made: {found.message}"
        if found.state is ItemState.SKIPPED:
            self._skip(course, reason or "no items", now)
        else:
            with self._database.write():
                self._database.run("seal_job", now, now, json.dumps(course.job.source), 0, job)
                self._database.run("end_job", now, now, job)
            self._courses.refresh(course)
            course.dry_until = None

    def _skip(self, course: Course, reason: str, now: int) -> None:
        with self._database.write():
            self._database.run("skip_job", reason, now, now, now, course.job.id)
            data = json.dumps({"reason": reason})
            self._database.run("insert_event", now, course.job.id, None, None, "job_skipped", data)
        self._courses.refresh(course)
        course.expanding = None
        course.dry_until = None


