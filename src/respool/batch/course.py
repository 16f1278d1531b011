"""One job under way in a runner: what may start now, and what it waits for."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from respool.batch.declaration import Mode, Task
from respool.batch.model import OPEN_STATES, Attempt, Failed, ItemState, Job, Kind, Outcome
from respool.batch.policy import Concurrency
from respool.batch.settle import NO_STREAK, Settled, Streak, follow, tripped
from respool.clock import MICROSECONDS, local_time
from respool.errors import SpoolUnwritable
from respool.pace import Grant, Limit, Pace, Token
from respool.phrases import counted


@dataclass(frozen=True, slots=True)
class Pause:
    """That a job stops here, why, and when it can go on by itself (UTC microseconds, None: when somebody acts)."""

    reason: str
    resume_at: int | None = None
    streak: Streak | None = None


@dataclass(slots=True)
class Running:
    """An attempt that was handed out. `alone`: nothing else may start while it runs."""

    attempt: Attempt
    started_at: int
    token: Token | None = None
    note: str | None = None
    alone: bool = False


@dataclass(slots=True)
class Course:
    """The state of one job in its runner; everything that must survive is in the spool as well.

    `expanding` is set while the job is a follow-up whose items are still to be made.
    """

    job: Job
    task: Task
    folder: Path
    concurrency: Concurrency
    pace: Pace
    expanding: int | None = None
    no_cache: bool = False
    streak: Streak = field(default_factory=Streak)
    counts: dict[ItemState, int] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)
    failures: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=5))
    paused: Pause | None = None
    unwritten_pause: Pause | None = None
    cancelled: bool = False
    dry_until: int | None = 0  # nothing is due before this instant; None: nothing is pending at all
    held_until: int = 0  # by a limit or a cool-down, with the key
    held_by: str | None = None
    next_batch_at: int = 0
    in_batch: int = 0  # starts since the last wait between batches
    deadline: float | None = None  # on the monotonic clock
    settled: int = 0
    ended: dict[ItemState, int] = field(default_factory=dict)  # how many came to each final state in this run

    @property
    def cacheable(self) -> bool:
        """Whether finished results of equal work may be taken: commands only if they declare what they produce."""
        if self.expanding is not None or not self.task.cache:
            return False
        return self.task.mode is not Mode.COMMAND or bool(self.task.command and self.task.command.outputs)

    @property
    def limits(self) -> tuple[Limit, ...]:
        return () if self.expanding is not None else self.task.limits

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that a 429 closes: those of the limits, or the task's own name."""
        return tuple(limit.key for limit in self.task.limits) or (self.task.name[:200],)

    def poke(self) -> None:
        """Look again: something may be due."""
        self.dry_until = 0

    def open_for(self, free: int, ahead: int, now: int, leaving: int = 0) -> int:
        """How many attempts this job may start now, given `free` places and `ahead` more to be queued for them;
        `leaving` of its running ones have just ended."""
        if self.paused or self.cancelled or self.dry_until is None or max(self.dry_until, self.held_until) > now:
            return 0
        if self.next_batch_at > now:
            return 0
        room = self.concurrency.limit - len(self.running) + leaving
        if self.concurrency.limit >= self.concurrency.ceiling and not self.streak.length:
            room += ahead  # after a failure nothing is queued: the breaker must be able to stop in time
        if self.task.batch is not None:
            room = min(room, self.task.batch.size - self.in_batch)
        return max(0, min(free + ahead, room))

    def started(self, number: int, now: int) -> None:
        """So many items start: a full batch makes the next start wait."""
        batch = self.task.batch
        if batch is not None:
            self.in_batch += number
            if self.in_batch >= batch.size:
                self.in_batch, self.next_batch_at = 0, now + round(batch.delay * MICROSECONDS)

    def grant(self, want: int, now: int) -> tuple[int, list[Token]]:
        """Ask the limits for up to `want` starts. What is not given holds the job until it can be."""
        if not self.limits or want <= 0:
            return want, []
        answer: Grant = self.pace.take(self.limits, want)
        if answer.count < want and answer.wait > 0:
            used_up = f"the limit of {self.limits[0].key} is used up"
            self.hold(answer.wait, answer.closed_key or self.limits[0].key, now, None if answer.closed_key else used_up)
        return answer.count, list(answer.tokens)

    def hold(self, seconds: float, key: str, now: int, why: str | None = None) -> None:
        """Start nothing for so long; beyond `max_pause` the job pauses instead of waiting."""
        until = now + round(seconds * MICROSECONDS)
        self.held_until, self.held_by = max(self.held_until, until), key
        if seconds > self.task.max_pause and self.paused is None:
            self._pause(
                Pause(
                    f"{why or f'{key} asked to be left alone'} until {local_time(until)} "
                    f"(longer than max_pause = {self.task.max_pause:g} s)",
                    until,
                )
            )

    def look_at_cooldowns(self, now: int) -> None:
        """Honour cool-downs that other runners, or an earlier life of this one, have set."""
        for key in self.keys:
            closed = self.pace.closed(key)
            if closed is not None:
                self.hold(closed[0], key, now)

    def judge(self, settled: Settled, now: int) -> None:
        """Learn from an outcome: the streak, the concurrency, the cool-down of the key."""
        outcome, verdict = settled.outcome, settled.verdict
        if verdict.state is ItemState.DONE:  # what follows says no more than this, at the cost of a microsecond an item
            self.streak = NO_STREAK
            self.concurrency.succeeded()
            return
        self.streak = follow(self.streak, outcome, now)
        if verdict.close_key > 0:
            self.concurrency.throttled()
            for key in self.keys:
                with suppress(SpoolUnwritable):  # this runner holds back all the same; the next commit tells of the disk
                    self.pace.close_key(key, verdict.close_key, _message(outcome))
            self.hold(verdict.close_key, self.keys[0], now)
        if verdict.state is ItemState.FAILED:
            self.failures.append((settled.attempt.key, f"{verdict.kind}: {verdict.message}"))
        opened = self.paused.streak if self.paused is not None else None
        if opened is not None and opened.kind is self.streak.kind:
            self.unwritten_pause = self.paused  # it was still running when the breaker opened: given back like the others
        elif self.paused is None and tripped(self.streak, self.task.breaker):
            self._pause(Pause(_breaker_text(self.streak, _message(outcome)), None, self.streak))

    def reach_deadline(self, seconds: float) -> None:
        """The job's own time is used up."""
        self._pause(Pause(f"its timeout of {seconds:g} s is used up; run it again for a new allowance"))

    def _pause(self, pause: Pause) -> None:
        self.paused = self.unwritten_pause = pause

    def count(self, before: ItemState, after: ItemState, number: int = 1) -> None:
        """Keep the counts that the view shows, and what this run has ended."""
        self.counts[before] = self.counts.get(before, 0) - number
        self.counts[after] = self.counts.get(after, 0) + number
        if after not in OPEN_STATES and self.expanding is None:
            self.ended[after] = self.ended.get(after, 0) + number

    def waiting_for(self, now: int) -> str | None:
        """What this job waits for, as a sentence, or None if it does not wait."""
        if self.paused is not None:
            return f"paused: {self.paused.reason}"
        if self.held_until > now and self.held_by is not None:
            return f"waiting for {self.held_by} until {local_time(self.held_until)}"
        if self.dry_until and self.dry_until > now and not self.running:
            return f"waiting until {local_time(self.dry_until)} to retry"
        return None


def _message(outcome: Outcome) -> str:
    return outcome.message if isinstance(outcome, Failed) else "asked to wait"


def _breaker_text(streak: Streak, message: str) -> str:
    advice = {
        Kind.UNAUTHORISED: "check the key",
        Kind.QUOTA: "check the account",
        Kind.UNAVAILABLE: "check the service",
    }.get(streak.kind or Kind.RAISED, "look at the failures")
    often = counted(streak.length, "time")
    return f"{often} in a row {streak.kind} ({message[:200]}); {advice}, then run the same command again"
