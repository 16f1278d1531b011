"""The engine: one coroutine that claims, hands out, and settles in groups, until nothing is left or it is told to stop.

A beat is one transaction (see store/ledger.py). Between two beats the loop sleeps until an outcome comes in, an item
falls due, somebody asks for something, or it is told to stop. Only the holder of the owner lock runs one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from respool.batch.adopt import Leftovers, find_leftovers
from respool.batch.course import Course, Pause, Running
from respool.batch.courses import Courses
from respool.batch.expansion import Expander
from respool.batch.intray import Intray
from respool.batch.model import Attempt, Done, Failed, ItemState, Kind, Outcome
from respool.batch.notes import Notes
from respool.batch.patience import PAUSE, Patience, leave_receipts, unrecorded
from respool.batch.planning import GROUP, Claims, Planner, Settings, in_a_process
from respool.batch.settle import Settled, Verdict, settle
from respool.batch.snapshot import Snapshot, view_of
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.ledger import Ledger
from respool.batch.workers.pool import Instead, Pool
from respool.clock import MICROSECONDS, Clock
from respool.errors import RespoolError, SpoolUnwritable
from respool.files import give_back, reserve
from respool.pace import Pace, Token

POLL = 0.2  # seconds between two looks at what others have written
RESERVE = 1 << 20  # bytes of the disk that are held for what is under way when it fills up
HURRY = 0.1  # seconds that a foreign writer may hold up the loop


class Runner:
    """Runs the given jobs and what follows from them. `stop` may be called from a signal handler on the loop."""

    def __init__(
        self, database: Database, nonce: str, courses: Courses, pace: Pace, settings: Settings,
        clock: Clock, chance: Callable[[], float], instead: Instead | None = None,
    ) -> None:  # fmt: skip
        self.database, self.clock, self.settings = database, clock, settings
        self.nonce = nonce
        self._where = instead.place if instead is not None else None
        self.courses = courses
        self.draining = False
        self._chance, self._pace, self._spool = chance, pace, reading.spool_id(database)
        self._patience = Patience(settings.patience, clock)
        self._ledger = Ledger(database, nonce)
        self._pool = Pool(
            settings.workers, self._reported, self._noted, spool_id=self._spool, places=database.places,
            nonce=nonce, durable=settings.durable, instead=instead,
        )  # fmt: skip
        self._planner = Planner(self._ledger, courses, settings, self.intact, self._unused, clock.now())
        self._expander = Expander(database, courses, self.intact, clock)
        self._notes = Notes(database.places, clock)
        self._intray = Intray(database, courses, self.intact, clock)
        self._arrived: list[tuple[Attempt, Outcome]] = []
        self._judged: list[Settled] = []
        self._wake = asyncio.Event()
        self._adopting: asyncio.Task[Leftovers] | None = None
        self._spent: list[tuple[bool, Token]] = []  # (whether it was used, the token): still to be handed back
        self._to_expand: list[Course] = []
        self._to_load = False
        self._interrupting: str | None = None
        self._drain_until: float | None = None
        self._last_beat = clock.monotonic()
        self._last_poll = 0.0

    def stop(self, reason: str = "asked to stop") -> None:
        """First call: hand nothing out any more, let what runs finish within the grace time. Second: end it now."""
        if self.draining:
            self._interrupting = reason
            self._patience.end()
            if self._adopting is not None:
                self._adopting.cancel()
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
        """Run to the end. Raises SpoolUnwritable if nothing can be written for longer than the patience lasts."""
        with self.database.hurried(HURRY), self.database.checkpointing():
            try:
                await self._patience.write(self._begin)
                await self._adopt()
                await self._patience.write(self._take_up)
                while not self._turn():
                    await self._sleep()
            finally:
                await self._close()

    def _begin(self) -> None:
        self._ledger.allow_for_a_clock_set_back(self.clock.now())
        self._ledger.begin_session(self._where or str(self.settings.workers), self.clock.now())
        reserve(self.database.places.reserve, RESERVE)  # without one, a full disk costs what is under way

    async def _adopt(self) -> None:
        """Take over what a dead runner left; a second request to stop leaves it to the next run."""
        self._adopting = asyncio.ensure_future(find_leftovers(self.database, own=self._ledger.session))
        try:
            found = await self._adopting
        except asyncio.CancelledError:
            if self._interrupting is None:
                raise
        else:
            await self._patience.write(partial(found.write, self.database, self.clock, self._chance))
        finally:
            self._adopting = None

    def _take_up(self) -> None:
        self.courses.load()
        for course in self.courses:
            course.look_at_cooldowns(self.clock.now())
            if course.expanding is not None and course not in self._to_expand:
                self._to_expand.append(course)
        self._tidy()

    @property
    def in_flight(self) -> int:
        """Attempts that were handed out and have not been settled."""
        return sum(len(course.running) for course in self.courses)

    def snapshot(self) -> Snapshot:
        """What a view shows, now."""
        now = self.clock.now()
        jobs = [view_of(course, now) for course in self.courses]
        return Snapshot(now, jobs, self._drain_until is not None, self._patience.trouble, self.nonce)

    def intact(self, outputs: Sequence[tuple[str, int, str]]) -> bool:
        """Whether produced files are still what they were."""
        return all(self.courses.digests.of(Path(path)) == digest for path, _, digest in outputs)

    def _turn(self) -> bool:
        """One beat and what goes with it; whether the run is over."""
        now = self.clock.monotonic()
        if self._drain_until is not None and now >= self._drain_until:
            self._interrupting = self._interrupting or "the grace time is over"
            self._patience.end()
        if self._interrupting is not None:
            for course in self.courses:
                for running in list(course.running.values()):
                    self._pool.interrupt(running.attempt, self._interrupting)
        try:
            self._hand_back()
            if now - self._last_poll >= POLL:
                self._last_poll = now
                self._look_at_requests()
                self._look_at_deadlines(now)
                self._put_up_notes()
            self._beat()
            self._tidy()
            over = not self.in_flight and not self._judged and not self._arrived and self._finished()
        except SpoolUnwritable as error:
            self.courses.poke()  # what was taken for started was not
            self._patience.lost(error)
            return False
        self._patience.restored()
        return over

    def _tidy(self) -> None:
        """What a commit has brought with it, and must be done again if it fails."""
        while self._to_expand:
            self._expander.continue_from_store(self._to_expand[0])
            self._to_expand.pop(0)
        if self._to_load:
            self.courses.load()
            self._to_load = False
        self._hand_back()

    def _hand_back(self) -> None:
        if self._spent:
            self._pace.ended([token for used, token in self._spent if used])
            self._pace.unused([token for used, token in self._spent if not used])
            self._spent.clear()

    def _unused(self, tokens: Sequence[Token]) -> None:
        self._spent += [(False, token) for token in tokens]

    def _beat(self) -> None:
        began, now = self.clock.monotonic(), self.clock.now()
        fresh = self._arrived[:GROUP]
        del self._arrived[: len(fresh)]
        self._judged += [self._judge(attempt, outcome, now) for attempt, outcome in fresh]
        if self._judged:
            self._planner.learn(len(self._judged), began - self._last_beat)
            self._last_beat = began
        plans = self._planner.plan(now, self._judged) if not self.draining else []
        paused = [course for course in self.courses if course.unwritten_pause is not None]
        if not self._judged and not plans and not paused:
            return
        started: list[tuple[Course, Running]] = []
        try:
            with self.database.write():
                released, ended = self._write(now, paused)
                for one in plans:
                    for attempt in self._ledger.claim(one.course.job.id, one.plan, now):
                        token = one.tokens.pop() if one.tokens else None
                        started.append((one.course, Running(attempt, now, token, alone=one.alone)))
                touched = {one.course.job.id for one in plans if one.plan.cached}
                ended += self._ledger.finish(touched, touched, now)
        except BaseException:
            self._unused([running.token for _, running in started if running.token is not None])
            raise
        finally:
            self._unused([token for one in plans for token in one.tokens])
        self._after(released, ended, plans, started)

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
        self, released: dict[int, int], ended: list[int], plans: list[Claims], started: list[tuple[Course, Running]]
    ) -> None:
        """What the commit has made true: counts, places, tokens, follow-ups."""
        judged, self._judged = self._judged, []
        for entry in judged:
            course = self.courses.of(entry.attempt.job)
            running = course.running.pop(entry.attempt.item)
            if running.token is not None:
                self._spent.append((True, running.token))
            self._pool.forget(entry.attempt, entry.outcome)
            changed = entry.dropped is None and entry.attempt.item in self.courses.changed_items
            state = ItemState.PENDING if changed else entry.verdict.state
            self.courses.changed_items.discard(entry.attempt.item)
            self.courses.dropped.pop(entry.attempt.item, None)
            course.settled += course.expanding != entry.attempt.item
            course.count(ItemState.RUNNING, state)
            if state is ItemState.PENDING:
                course.poke()
            if course.expanding == entry.attempt.item:
                self._to_expand.append(course)
        for job, number in released.items():
            if (course_of := self.courses.get(job)) is not None:
                course_of.count(ItemState.PENDING, ItemState.CACHED, number)
        for course in self.courses:
            if course.unwritten_pause is not None:
                if course.unwritten_pause.streak is not None:
                    self.courses.recount(course)
                course.unwritten_pause = None
        for one in plans:
            one.course.count(ItemState.PENDING, ItemState.CACHED, len(one.plan.cached))
        for course, started_one in started:
            self._hand_out(course, started_one)
        self._planner.handed_out += len(started)
        if any(one.plan.follow for one in plans) or any(not isinstance(entry.outcome, Done) for entry in judged):
            self.courses.poke()  # what was to follow an attempt that ended in this beat, or did not succeed, is free
        self._to_load = self._to_load or bool(ended)

    def _hand_out(self, course: Course, running: Running) -> None:
        attempt, task = running.attempt, self._expander.task_of(course, running.attempt)
        course.count(ItemState.PENDING, ItemState.RUNNING)
        course.running[attempt.item] = running
        if running.alone:
            try:
                task = in_a_process(task, course)
            except RespoolError as error:
                self._reported(attempt, Failed(Kind.CRASHED, error.what, final=True, detail=str(error)))
                return
        self._pool.put(attempt, task, course.folder)

    def _judge(self, attempt: Attempt, outcome: Outcome, now: int) -> Settled:
        course = self.courses.of(attempt.job)
        if self._expander.is_overtaken(attempt):
            self.courses.changed_items.add(attempt.item)
        standing = self.courses.standings.pop(attempt.item)
        verdict = settle(standing, attempt.number, outcome, course.task.retry, now, self._chance())
        dropped = self.courses.dropped.get(attempt.item)
        again = verdict.state is ItemState.PENDING or attempt.item in self.courses.changed_items
        if dropped is None and course.cancelled and again:
            dropped = "cancelled"
        if dropped is not None:
            verdict = Verdict(ItemState.CANCELLED, None, None, 0, standing)
        settled = Settled(attempt, outcome, verdict, now, dropped)
        course.judge(settled, now)
        return settled

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
        if self.draining or self._planner.exhausted:
            return True
        self._look_at_requests()  # whoever handed something in a moment ago must not find the door closed
        return all(course.paused is not None or course.cancelled or course.dry_until is None for course in self.courses)

    async def _sleep(self) -> None:
        if self._patience.trouble is not None:
            await asyncio.sleep(PAUSE)
            return
        if self._arrived or self._judged:
            await asyncio.sleep(0)
            return
        now = self.clock.now()
        waits = [POLL]
        for course in self.courses:
            for instant in (course.held_until, course.next_batch_at, course.dry_until or 0):
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
            self._notes.changed = True

    def _put_up_notes(self) -> None:
        self._notes.write(
            (running.attempt.item, running.attempt.number, running.note)
            for course in self.courses for running in course.running.values()
        )  # fmt: skip

    async def _close(self) -> None:
        """End what still runs, write what came in, free everything."""
        self.draining = True
        await self._pool.close()
        await asyncio.sleep(0)
        try:
            await self._patience.write(self._write_the_rest)
        except SpoolUnwritable as error:
            give_back(self.database.places.reserve)
            ended = [*self._arrived, *((entry.attempt, entry.outcome) for entry in self._judged)]
            raise unrecorded(error, *leave_receipts(self.database.places, self._spool, ended)) from error
        finally:
            give_back(self.database.places.reserve)
            self._notes.clear()
            with contextlib.suppress(SpoolUnwritable):  # its slots free themselves when this process has ended
                self._pace.close()

    def _write_the_rest(self) -> None:
        while self._arrived or self._judged:
            self._beat()
        self._tidy()
        self.courses.digests.save()
        if self._ledger.session:
            ending = "paused" if any(course.paused for course in self.courses) else "ended"
            self._ledger.end_session(ending, self.clock.now())
        self.database.checkpoint()


def pauses(courses: Courses) -> dict[int, Pause]:
    """The jobs that are paused, by number."""
    return {course.job.id: course.paused for course in courses if course.paused is not None}
