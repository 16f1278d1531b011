"""What starts next: which items of which job are due, may start under the limits, and are not known already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from respool.batch.course import Course
from respool.batch.courses import Courses
from respool.batch.declaration import Mode, Task
from respool.batch.model import Output
from respool.batch.settle import Settled
from respool.batch.store.ledger import Candidate, Ledger, Plan
from respool.batch.tasks import resolve
from respool.errors import RespoolError
from respool.pace import Token

GROUP = 500  # outcomes to a transaction
BEAT = 0.004  # seconds of work that may be queued ahead of the workers, and thus between two commits


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is given. `workers` is the ceiling on attempts at once; `grace` the seconds that running items get
    after the first request to stop; `patience` those that a full disk or a locked database is waited for; `at_most` ends
    the run after so many attempts were handed out."""

    workers: int = 1
    grace: float = 30.0
    patience: float = 60.0
    at_most: int | None = None
    only: tuple[int, ...] = ()
    no_cache: bool = False
    durable: bool = False


@dataclass(slots=True)
class Claims:
    """What one beat wants to start in one job, and the slots that its limits gave for that."""

    course: Course
    plan: Plan
    tokens: list[Token]
    alone: bool = False


class Planner:
    """Plans for the runner of `courses`. What a limit gave and no plan needs is handed to `unused`; the run began at the
    instant `began`."""

    def __init__(
        self, ledger: Ledger, courses: Courses, settings: Settings, intact: Callable[[Sequence[Output]], bool],
        unused: Callable[[Sequence[Token]], None], began: int,
    ) -> None:  # fmt: skip
        self.handed_out = 0
        self._ledger, self._courses, self._settings = ledger, courses, settings
        self._intact, self._unused, self._began = intact, unused, began
        self._ahead = 0

    @property
    def exhausted(self) -> bool:
        """Whether the run may hand out nothing more, whatever is due."""
        return self._settings.at_most is not None and self.handed_out >= self._settings.at_most

    def learn(self, number: int, seconds: float) -> None:
        """So many attempts ended in that time: as much as ends in one beat is queued ahead of the workers, nothing for
        slow items, hundreds for quick ones."""
        rate = number / max(seconds, 1e-4)
        self._ahead = min(GROUP, int(rate * BEAT)) if seconds < 5 * BEAT else 0

    def plan(self, now: int, judged: Sequence[Settled]) -> list[Claims]:
        """What to start at the instant `now`, when `judged` have just ended and are still counted as running."""
        in_flight = sum(len(course.running) for course in self._courses) - len(judged)
        if any(running.alone for course in self._courses for running in course.running.values()):
            return []
        plans: list[Claims] = []
        try:
            self._plan_all(plans, in_flight, now, judged)
        except BaseException:
            self._unused([token for one in plans for token in one.tokens])
            raise
        return plans

    def _plan_all(self, plans: list[Claims], in_flight: int, now: int, judged: Sequence[Settled]) -> None:
        free = self._settings.workers - in_flight
        for course in self._courses:
            leaving = sum(entry.attempt.job == course.job.id for entry in judged)
            want = course.open_for(max(0, free), self._ahead, now, leaving)
            if self._settings.at_most is not None:
                want = min(want, self._settings.at_most - self.handed_out - sum(len(each.plan.start) for each in plans))
            candidates = self._candidates(course, want, now) if want > 0 else []
            suspect = next((one for one in candidates if one.runner_deaths > course.task.retry.crashes), None)
            if suspect is not None:
                # It ran whenever the runner died: it may be the cause, so it runs alone, where it harms no other.
                course.poke()
                if in_flight or plans:
                    continue
                candidates = [suspect]
            if not candidates:
                continue
            granted, tokens = course.grant(len(candidates), now)
            plan = self._decide(course, candidates, granted, plans)
            if not (plan.start or plan.cached or plan.follow):
                self._unused(tokens)
                continue
            plans.append(Claims(course, plan, tokens, alone=suspect is not None))
            course.started(len(plan.start), now)
            free -= len(plan.start)
            if suspect is not None:
                return

    def _candidates(self, course: Course, want: int, now: int) -> list[Candidate]:
        if course.job.filling:
            course.dry_until = None  # until its submission comes to its end
            return []
        if course.expanding is not None:
            found = self._ledger.due_of([course.expanding], want, now)
        elif self._settings.only:
            found = self._ledger.due_of(self._settings.only, want, now)
            found = [candidate for candidate in found if self._courses.belongs(candidate.item, course)]
        else:
            found = self._ledger.due(course.job.id, want, now)
        if len(found) < want:
            row = self._ledger.database.one("next_due", course.job.id)
            due = row[0] if row else None
            course.dry_until = None if due is None or self._settings.only else max(due, now + 1)
        return found

    def _decide(self, course: Course, candidates: list[Candidate], granted: int, before: Sequence[Claims]) -> Plan:
        """Cache hits and followers need no grant of the limits; starts do."""
        if course.cacheable:
            since = self._began if self._settings.no_cache else course.job.sealed_at if course.no_cache else None
            plan = self._ledger.plan(
                candidates, course.job.id, course.job.generation, anew_since=since, intact=self._intact,
                leading={one.fingerprint: one.item for claims in before for one in claims.plan.start},
            )  # fmt: skip
        else:
            plan = Plan(start=list(candidates))
        kept = plan.start[:granted]
        if len(kept) < len(plan.start):
            started = {candidate.item for candidate in kept}
            plan.follow = [(candidate, leader) for candidate, leader in plan.follow if leader in started]
            plan.start = kept
            course.poke()
        for candidate in kept:
            self._courses.standings[candidate.item] = candidate.standing
        return plan


def in_a_process(task: Task, course: Course) -> Task:
    """`task` as it is tried when its item may be what kills the runner. Raises RespoolError if only the runner itself
    can run it: a function of this process that no other can load by its name."""
    if task.mode in (Mode.PROCESS, Mode.COMMAND):
        return task
    try:
        resolve(task.name, folder=course.folder)
    except RespoolError as error:
        raise RespoolError(
            f"it was running whenever its runner died, so that it may only be tried in a process of its own; there "
            f"{task.name} cannot be loaded: {error.what}", why=error.why,
            command="move the function to the top level of a file, then: respool jobs retry",
        ) from None  # fmt: skip
    return replace(task, mode=Mode.PROCESS)
