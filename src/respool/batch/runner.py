"""The engine: one coroutine that claims, hands out, and settles in groups, until nothing is left or it is told to stop.

A beat is one transaction (see store/ledger.py). Between two beats the loop sleeps until an outcome comes in, an item
falls due, somebody asks for something, or it is told to stop. Only the holder of the owner lock runs one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from respool.batch.adopt import adopt_leftovers
from respool.batch.course import Course, Pause, Running
from respool.batch.courses import Courses
from respool.batch.expansion import Expander
from respool.batch.intray import Intray
from respool.batch.model import Attempt, Done, ItemState, Outcome
from respool.batch.settle import Settled, Verdict, settle
from respool.batch.snapshot import Snapshot, view_of
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.ledger import Candidate, Ledger, Plan
from respool.batch.workers.pool import Make, Pool
from respool.clock import MICROSECONDS, Clock
from respool.errors import SpoolUnwritable
from respool.pace import Pace, Token

GROUP = 500  # outcomes to a transaction
BEAT = 0.006  # seconds of work that may be queued ahead of the workers, and thus between two commits
POLL = 0.2  # seconds between two looks at what others have written
LOG_BYTES = 4 << 20  # of the write-ahead log that make a checkpoint due
PATIENCE = 60.0  # seconds that a full disk or a locked database is waited out


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is given. `workers` is the ceiling on attempts at once; `grace` the seconds that running items get
    after the first request to stop; `at_most` ends the run after so many attempts were handed out."""

    workers: int = 1
    grace: float = 30.0
    at_most: int | None = None
    only: tuple[int, ...] = ()
    no_cache: bool = False
    durable: bool = False
    all_jobs: bool = False


class Runner:
    """Runs the given jobs and what follows from them. `stop` may be called from a signal handler on the loop."""

    def __init__(
        self, database: Database, session: int, nonce: str, courses: Courses, pace: Pace, settings: Settings,
        clock: Clock, chance: Callable[[], float], instead: Make | None = None,
    ) -> None:  # fmt: skip
        self.database, self.clock, self.settings = database, clock, settings
        self.nonce = nonce
        self.courses = courses
        self.draining = False
        self.trouble: str | None = None
        self._session, self._chance = session, chance
        self._pace = pace
        self._ledger = Ledger(database, session, nonce)
        self._pool = Pool(
            settings.workers, self._reported, self._noted, spool_id=reading.spool_id(database), places=database.places,
            nonce=nonce, durable=settings.durable, instead=instead,
        )  # fmt: skip
        self._expander = Expander(database, courses, self.intact, clock)
        self._intray = Intray(database, courses, self.intact, clock)
        self._arrived: list[tuple[Attempt, Outcome]] = []
        self._judged: list[Settled] = []
        self._wake = asyncio.Event()
        self._interrupting: str | None = None
        self._drain_until: float | None = None
        self._trouble_since: float | None = None
        self._handed_out = 0
        self._ahead = 0
        self._last_beat = clock.monotonic()
        self._last_poll = 0.0

    def stop(self, reason: str = "asked to stop") -> None:
        """First call: hand nothing out any more, let what runs finish within the grace time. Second: end it now."""
        if self.draining:
            self._interrupting = reason
        self.draining = True
        if self._drain_until is None:
            self._drain_until = self.clock.monotonic() + self.settings.grace
            self._take_back(reason)
        self._wake.set()

    def _take_back(self, reason: str) -> None:
        """What was queued ahead of the workers has not begun: it does not begin any more."""
        ended = {attempt.item for attempt, _ in self._arrived} | {entry.attempt.item for entry in self._judged}
        for course in self.courses:
            waiting = [running.attempt for item, running in course.running.items() if item not in ended]
            for attempt in waiting[self.settings.workers :]:
                self._pool.interrupt(attempt, reason)

    async def run(self) -> None:
        """Run to the end. Raises SpoolUnwritable if the disk stays full for longer than a minute."""
        adopt_leftovers(self.database, self.clock, self._chance, own=self._session)
        self.courses.load()
        try:
            with self.database.checkpointing(LOG_BYTES):
                for course in list(self.courses):
                    course.look_at_cooldowns(self.clock.now())
                    if course.expanding is not None:
                        self._expander.continue_from_store(course)
                while True:
                    self._turn()
                    if not self.in_flight and not self._judged and not self._arrived and self._finished():
                        break
                    await self._sleep()
        finally:
            await self._close()

    @property
    def in_flight(self) -> int:
        """Attempts that were handed out and have not been settled."""
        return sum(len(course.running) for course in self.courses)

    def snapshot(self) -> Snapshot:
        """What a view shows, now."""
        now = self.clock.now()
        return Snapshot(now, [view_of(course, now) for course in self.courses], self.draining, self.trouble, self.nonce)

    def intact(self, outputs: Sequence[tuple[str, int, str]]) -> bool:
        """Whether produced files are still what they were."""
        return all(self.courses.digests.of(Path(path)) == digest for path, _, digest in outputs)

    def _turn(self) -> None:
        now = self.clock.monotonic()
        if now - self._last_poll >= POLL:
            self._last_poll = now
            self._look_at_requests()
            self._look_at_deadlines(now)
        if self._drain_until is not None and now >= self._drain_until:
            self._interrupting = self._interrupting or "the grace time is over"
        if self._interrupting is not None:
            for course in self.courses:
                for running in list(course.running.values()):
                    self._pool.interrupt(running.attempt, self._interrupting)
        try:
            self._beat()
            self.trouble = self._trouble_since = None
        except SpoolUnwritable as error:
            self.trouble = str(error)
            self._trouble_since = self._trouble_since or now
            if now - self._trouble_since > PATIENCE:
                raise

    def _beat(self) -> None:
        began, now = self.clock.monotonic(), self.clock.now()
        fresh = self._arrived[:GROUP]
        del self._arrived[: len(fresh)]
        self._judged += [self._judge(attempt, outcome, now) for attempt, outcome in fresh]
        if self._judged:
            self._pace_ahead(len(self._judged), began - self._last_beat)
            self._last_beat = began
        plans = self._plan(now) if not self.draining else []
        paused = [course for course in self.courses if course.unwritten_pause is not None]
        if not self._judged and not plans and not paused:
            return
        started: list[tuple[Course, Attempt, Token | None]] = []
        try:
            with self.database.write():
                released, ended = self._write(now, paused)
                for course, plan, tokens in plans:
                    for attempt in self._ledger.claim(course.job.id, plan, now):
                        started.append((course, attempt, tokens.pop() if tokens else None))
                touched = {course.job.id for course, plan, _ in plans if plan.cached}
                ended += self._ledger.finish(touched, touched, now)
        except BaseException:
            self._pace.unused([token for _, _, token in started if token is not None])
            self._pace.unused([token for _, _, tokens in plans for token in tokens])
            raise
        self._pace.unused([token for _, _, tokens in plans for token in tokens])
        self._after(released, ended, plans, started, now)

    def _write(self, now: int, paused: list[Course]) -> tuple[dict[int, int], list[int]]:
        released = self._ledger.settle(self._judged, changed=self.courses.changed_items)
        for course in paused:
            pause = course.unwritten_pause
            if pause is not None and pause.streak is not None:
                self._ledger.trip(course.job.id, pause.streak, pause.reason, now)
            elif pause is not None:
                self._ledger.pause(course.job.id, pause.reason, pause.resume_at, now)
        touched = {entry.attempt.job for entry in self._judged} | set(released)
        results = {entry.attempt.job for entry in self._judged if isinstance(entry.outcome, Done)} | set(released)
        return released, self._ledger.finish(touched, results, now)

    def _after(
        self, released: dict[int, int], ended: list[int], plans: list[tuple[Course, Plan, list[Token]]],
        started: list[tuple[Course, Attempt, Token | None]], now: int,
    ) -> None:  # fmt: skip
        """What the commit has made true: counts, places, tokens, follow-ups."""
        judged, self._judged = self._judged, []
        tokens: list[Token] = []
        expanded: list[Course] = []
        for entry in judged:
            course = self.courses.of(entry.attempt.job)
            running = course.running.pop(entry.attempt.item)
            if running.token is not None:
                tokens.append(running.token)
            self._pool.forget(entry.attempt)
            self.courses.changed_items.discard(entry.attempt.item)
            self.courses.dropped.pop(entry.attempt.item, None)
            course.settled += 1
            course.count(ItemState.RUNNING, entry.verdict.state)
            if entry.verdict.state is ItemState.PENDING:
                course.poke()
            if course.expanding == entry.attempt.item:
                expanded.append(course)
        self._pace.ended(tokens)
        for job, number in released.items():
            if (course_of := self.courses.get(job)) is not None:
                course_of.count(ItemState.PENDING, ItemState.CACHED, number)
        for course in self.courses:
            if course.unwritten_pause is not None:
                if course.unwritten_pause.streak is not None:
                    self.courses.recount(course)
                course.unwritten_pause = None
        for course, plan, _ in plans:
            course.count(ItemState.PENDING, ItemState.CACHED, len(plan.cached))
        for course, attempt, token in started:
            course.count(ItemState.PENDING, ItemState.RUNNING)
            course.running[attempt.item] = Running(attempt, now, token)
            self._pool.put(attempt, self._expander.task_of(course, attempt), course.folder)
        self._handed_out += len(started)
        for course in expanded:
            self._expander.continue_from_store(course)
        if any(plan.follow for _, plan, _ in plans) or any(not isinstance(entry.outcome, Done) for entry in judged):
            self.courses.poke()  # what was to follow an attempt that ended in this beat, or did not succeed, is free
        if ended:
            self.courses.load()

    def _judge(self, attempt: Attempt, outcome: Outcome, now: int) -> Settled:
        course = self.courses.of(attempt.job)
        standing = self.courses.standings.pop(attempt.item)
        verdict = settle(standing, attempt.number, outcome, course.task.retry, now, self._chance())
        dropped = self.courses.dropped.get(attempt.item)
        if dropped is None and course.cancelled and verdict.state is ItemState.PENDING:
            dropped = "cancelled"
        if dropped is not None:
            verdict = Verdict(ItemState.CANCELLED, None, None, 0, standing)
        settled = Settled(attempt, outcome, verdict, now, dropped)
        course.judge(settled, now)
        return settled

    def _plan(self, now: int) -> list[tuple[Course, Plan, list[Token]]]:
        free = self.settings.workers - self.in_flight + len(self._judged)
        plans: list[tuple[Course, Plan, list[Token]]] = []
        for course in self.courses:
            want = course.open_for(max(0, free), self._ahead, now, sum(e.attempt.job == course.job.id for e in self._judged))
            if self.settings.at_most is not None:
                want = min(want, self.settings.at_most - self._handed_out - sum(len(p.start) for _, p, _ in plans))
            if want <= 0:
                continue
            candidates = self._candidates(course, want, now)
            if not candidates:
                continue
            granted, tokens = course.grant(len(candidates), now)
            plan = self._decide(course, candidates, granted)
            if plan.start or plan.cached or plan.follow:
                plans.append((course, plan, tokens))
                free -= len(plan.start)
            else:
                self._pace.unused(tokens)
        return plans

    def _candidates(self, course: Course, want: int, now: int) -> list[Candidate]:
        if course.expanding is not None:
            found = self._ledger.due_of([course.expanding], want, now)
        elif self.settings.only:
            found = self._ledger.due_of(self.settings.only, want, now)
            found = [candidate for candidate in found if self.courses.belongs(candidate.item, course)]
        else:
            found = self._ledger.due(course.job.id, want, now)
        if len(found) < want:
            row = self.database.one("next_due", course.job.id)
            due = row[0] if row else None
            course.dry_until = None if due is None or self.settings.only else max(due, now + 1)
        suspects = [candidate for candidate in found if candidate.runner_deaths > course.task.retry.crashes]
        if suspects:
            # It ran whenever the runner died: it may be the cause, so it runs alone, where it harms no other.
            found = suspects[:1] if not self.in_flight else []
            course.poke()
        return found

    def _decide(self, course: Course, candidates: list[Candidate], granted: int) -> Plan:
        """Cache hits and followers need no grant of the limits; starts do."""
        if course.cacheable:
            use_cache = not (self.settings.no_cache or course.no_cache)
            plan = self._ledger.plan(
                candidates, course.job.id, course.job.generation, use_cache=use_cache, intact=self.intact
            )
        else:
            plan = Plan(start=list(candidates))
        kept = plan.start[:granted]
        if len(kept) < len(plan.start):
            started = {candidate.item for candidate in kept}
            plan.follow = [(candidate, leader) for candidate, leader in plan.follow if leader in started]
            plan.start = kept
            course.poke()
        for candidate in kept:
            self.courses.standings[candidate.item] = candidate.standing
        return plan

    def _pace_ahead(self, number: int, seconds: float) -> None:
        """Queue as much ahead of the workers as they do in one beat: nothing for slow items, hundreds for quick ones."""
        rate = number / max(seconds, 1e-4)
        self._ahead = min(GROUP, int(rate * BEAT)) if seconds < 5 * BEAT else 0

    def _look_at_requests(self) -> None:
        for attempt, reason in self._intray.look():
            self._pool.interrupt(attempt, reason)

    def _look_at_deadlines(self, now: float) -> None:
        for course in self.courses:
            if course.deadline is not None and now >= course.deadline and course.paused is None:
                course.reach_deadline(float(course.job.settings["job_timeout"]))
                for running in list(course.running.values()):
                    self._pool.interrupt(running.attempt, "the job's timeout")

    def _finished(self) -> bool:
        """Nothing runs: is there anything to wait for?"""
        if self.draining or (self.settings.at_most is not None and self._handed_out >= self.settings.at_most):
            return True
        self._look_at_requests()  # whoever handed something in a moment ago must not find the door closed
        return all(course.paused is not None or course.cancelled or course.dry_until is None for course in self.courses)

    async def _sleep(self) -> None:
        if self._arrived or (self._judged and self.trouble is None):
            await asyncio.sleep(0)
            return
        if self.trouble is not None:
            await asyncio.sleep(0.5)
            return
        now = self.clock.now()
        waits = [POLL]
        for course in self.courses:
            for instant in (course.held_until, course.dry_until or 0):
                if instant > now:
                    waits.append((instant - now) / MICROSECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), min(waits))
        self._wake.clear()

    def _reported(self, attempt: Attempt, outcome: Outcome) -> None:
        self._arrived.append((attempt, outcome))
        self._wake.set()

    def _noted(self, attempt: Attempt, text: str) -> None:
        course = self.courses.get(attempt.job)
        running = course.running.get(attempt.item) if course is not None else None
        if running is not None:
            running.note = text

    async def _close(self) -> None:
        """End what still runs, write what came in, free everything."""
        await self._pool.close()
        await asyncio.sleep(0)
        with contextlib.suppress(SpoolUnwritable):
            now = self.clock.now()
            self.draining = True
            while self._arrived or self._judged:
                self._beat()
            ending = "paused" if any(course.paused for course in self.courses) else "ended"
            self.courses.digests.save()
            self._ledger.end_session(ending, now)
            self.database.checkpoint()
        self._pace.close()


def pauses(courses: Courses) -> dict[int, Pause]:
    """The jobs that are paused, by number."""
    return {course.job.id: course.paused for course in courses if course.paused is not None}
