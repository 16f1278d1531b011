"""What others ask of a live runner: submissions, retries, cancellations, runs. Looked at a few times a second."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from respool.batch.courses import Courses
from respool.batch.model import Attempt, Output
from respool.batch.store.connection import Database
from respool.batch.store.intake import cancel, resume, retry
from respool.batch.submission import apply_staged
from respool.clock import Clock
from respool.errors import RespoolError, SpoolUnwritable


class Intray:
    """Reads the requests and grants them, as the holder of the owner lock."""

    def __init__(
        self, database: Database, courses: Courses, intact: Callable[[Sequence[Output]], bool], clock: Clock
    ) -> None:
        self._database, self._courses, self._intact, self._clock = database, courses, intact, clock
        self._seen = -1

    def look(self) -> Iterator[tuple[Attempt, str]]:
        """Grant what was asked since the last look; yields the attempts that have to be interrupted, with the reason."""
        version = self._database.data_version()
        if version == self._seen:
            return
        for request, verb, job, text in self._database.all("open_requests"):
            yield from self._grant(request, verb, job, text)
        self._seen = version  # only now: what could not be granted because of a full disk is looked at again

    def _grant(self, request: int, verb: str, job: int, text: str) -> Iterator[tuple[Attempt, str]]:
        now = self._clock.now()
        arguments: dict[str, Any] = json.loads(text)
        answer: str | None = None
        if verb == "submit":
            try:
                yield from self._take_in(request, job, text)
            except SpoolUnwritable:
                raise
            except (RespoolError, LookupError) as error:
                answer = str(error)
        with self._database.write():
            if verb == "retry":
                retry(self._database, job, arguments.get("kind"), arguments.get("keys"), now)
            elif verb == "cancel":
                cancel(self._database, job, now)
            elif verb == "run":
                resume(self._database, job, now)
            self._database.run("drop_staged", request)
            self._database.run("close_request", now, request)
            if answer is not None:
                data = json.dumps({"reason": answer})
                self._database.run("insert_event", now, job, None, None, "submission_refused", data)
        if verb == "cancel":
            course = self._courses.get(job)
            if course is not None:
                course.cancelled = True
                self._courses.recount(course)
                yield from [(running.attempt, "cancelled") for running in course.running.values()]
            return
        self._take_up(job)

    def _take_in(self, request: int, job: int, text: str) -> Iterator[tuple[Attempt, str]]:
        report = apply_staged(self._database, request, text, self._intact, self._clock)
        self._courses.changed_items |= report.running_changed
        for item in report.running_returned:
            self._courses.dropped.pop(item, None)
        course = self._courses.get(job)
        for item in report.withdrawn_running:
            self._courses.dropped[item] = "withdrawn"
            if course is not None and item in course.running:
                yield course.running[item].attempt, "withdrawn"

    def _take_up(self, job: int) -> None:
        """Run this job too, or go on with it."""
        course = self._courses.get(job)
        if course is None:
            self._courses.include(job)
            self._courses.load()
        else:
            course.paused = None
            self._courses.refresh(course)
