"""What becomes of an item when a try has ended: one pure decision, from which the store writes.

`settle` reads no clock and throws no dice: the caller passes the instant and the random number, so that every case can
be tested, and replayed, exactly.
"""

from __future__ import annotations

from typing import NamedTuple

from respool.batch.model import Attempt, Done, Failed, Interrupted, ItemState, Kind, Later, Outcome, Skipped
from respool.batch.policy import Breaker, Retry

MICROSECONDS = 1_000_000
LONGEST = 10 * 365 * 86_400.0  # seconds: what a service may ask for has no bound; a calendar, and SQLite's integers, do


class Standing(NamedTuple):
    """What an item has used up of its budgets so far. `waited` is in microseconds."""

    failures: int = 0
    crashes: int = 0
    waited: int = 0


class Verdict(NamedTuple):
    """What is to be written of the item, and what the job has to know."""

    state: ItemState
    kind: Kind | None
    message: str | None
    not_before: int
    standing: Standing
    close_key: float = 0.0  # seconds for which the service asked to be left alone
    announced: bool = False  # the service named that wait itself


class Settled(NamedTuple):
    """One ended try with the verdict on it. `dropped`: its item is no longer wanted, for this reason."""

    attempt: Attempt
    outcome: Outcome
    verdict: Verdict
    ended_at: int
    dropped: str | None = None


_DONE = Verdict(ItemState.DONE, None, None, 0, Standing())


def settle(standing: Standing, number: int, outcome: Outcome, retry: Retry, now: int, chance: float) -> Verdict:
    """The verdict on attempt `number` (≥ 1) that ended at `now` (UTC microseconds); `chance` is in [0, 1).

    Own failures and crashes count against their budgets, announced waits against their cap, interruptions against
    nothing.

    >>> settle(Standing(), 1, Failed(Kind.RAISED, "boom"), Retry(attempts=2, base=1, jitter=0), 0, 0.5).not_before
    1000000
    """
    if type(outcome) is Done:
        return _DONE if standing == _DONE.standing else Verdict(ItemState.DONE, None, None, 0, standing)
    if isinstance(outcome, Skipped):
        return Verdict(ItemState.SKIPPED, None, outcome.reason, 0, standing)
    if isinstance(outcome, Interrupted):
        return Verdict(ItemState.PENDING, None, f"interrupted: {outcome.reason}", 0, standing)
    if isinstance(outcome, Later):
        return _wait(standing, outcome.after, outcome.reason, retry, now)
    if not isinstance(outcome, Failed):
        raise TypeError(f"not an outcome: {outcome!r}")
    return _failed(standing, number, outcome, retry, now, chance)


def _failed(standing: Standing, number: int, outcome: Failed, retry: Retry, now: int, chance: float) -> Verdict:
    kind, final = outcome.kind, outcome.final
    if kind is Kind.RATE_LIMITED and not final:
        announced = outcome.retry_after is not None
        wait = _bounded(outcome.retry_after if outcome.retry_after is not None else retry.wait(number, chance))
        return _wait(standing, wait, outcome.message, retry, now)._replace(close_key=wait, announced=announced)
    if kind is Kind.CRASHED:
        standing = standing._replace(crashes=standing.crashes + 1)
        used, allowed = standing.crashes, retry.crashes
    else:
        standing = standing._replace(failures=standing.failures + 1)
        used, allowed = standing.failures, retry.attempts
    asked = _bounded(outcome.retry_after or 0.0)
    if final or kind not in retry.kinds or used >= allowed:
        return Verdict(ItemState.FAILED, kind, outcome.message, 0, standing, asked, asked > 0)
    wait = max(asked, _bounded(retry.wait(used, chance)))
    return Verdict(
        ItemState.PENDING, kind, outcome.message, now + round(wait * MICROSECONDS), standing, asked, asked > 0
    )  # fmt: skip


def _bounded(seconds: float) -> float:
    """A wait that can be stored and shown, whatever was asked for (NaN included)."""
    return max(0.0, min(LONGEST, seconds))


def _wait(standing: Standing, seconds: float, reason: str, retry: Retry, now: int) -> Verdict:
    wait = round(_bounded(seconds) * MICROSECONDS)
    standing = standing._replace(waited=standing.waited + wait)
    if standing.waited > retry.waiting * MICROSECONDS:
        text = f"waited longer than {retry.waiting:g} s in all: {reason}"
        return Verdict(ItemState.FAILED, Kind.RATE_LIMITED, text, 0, standing)
    return Verdict(ItemState.PENDING, Kind.RATE_LIMITED, reason, now + wait, standing)


class Streak(NamedTuple):
    """Failures of one kind in a row, over all items of a job. `since` is the instant of the first."""

    kind: Kind | None = None
    length: int = 0
    since: int = 0


NO_STREAK = Streak()


def follow(streak: Streak, outcome: Outcome, now: int) -> Streak:
    """The streak after one more outcome. Successes end it, interruptions and waits say nothing.

    >>> follow(Streak(), Failed(Kind.QUOTA, "no money"), 5)
    Streak(kind=<Kind.QUOTA: 'quota'>, length=1, since=5)
    """
    if isinstance(outcome, Failed):
        if outcome.kind is Kind.RATE_LIMITED:
            return streak
        if outcome.kind is streak.kind:
            return streak._replace(length=streak.length + 1)
        return Streak(outcome.kind, 1, now)
    return NO_STREAK if isinstance(outcome, (Done, Skipped)) else streak


def tripped(streak: Streak, breaker: Breaker) -> bool:
    """Whether this streak pauses the job."""
    threshold = breaker.threshold(streak.kind)
    return threshold > 0 and streak.length >= threshold
