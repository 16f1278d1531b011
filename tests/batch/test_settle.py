"""The decision on an ended try, over everything that a try can end with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from respool.batch.model import (
    LEGAL_MOVES,
    Done,
    Failed,
    Interrupted,
    ItemState,
    Kind,
    Later,
    Outcome,
    Skipped,
)  # fmt: skip
from respool.batch.policy import Breaker, Retry
from respool.batch.settle import LONGEST, Standing, Streak, follow, settle, tripped

NOW = 1_700_000_000_000_000
waits = st.floats(0, 1e6) | st.floats()  # a service may ask for anything
STORABLE = 1 << 63
failures = st.builds(
    Failed, st.sampled_from(Kind), st.text(max_size=5), st.none() | waits, st.booleans(), st.none()
)  # fmt: skip
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Done, st.none() | st.just("1")), st.builds(Skipped, st.just("no")), failures,
    st.builds(Later, waits, st.just("later")), st.builds(Interrupted, st.just("stop")),
)  # fmt: skip
standings = st.builds(Standing, st.integers(0, 9), st.integers(0, 9), st.integers(0, 10**12))
retries = st.builds(
    Retry, attempts=st.integers(1, 9), crashes=st.integers(1, 9), base=st.floats(0, 100), jitter=st.floats(0, 1)
)  # fmt: skip
chances = st.floats(0, 1, exclude_max=True)


@given(standings, st.integers(1, 50), outcomes, retries, chances)
def test_every_verdict_is_a_legal_move(
    standing: Standing, number: int, outcome: Outcome, retry: Retry, chance: float
) -> None:
    verdict = settle(standing, number, outcome, retry, NOW, chance)
    assert verdict.state in LEGAL_MOVES[ItemState.RUNNING]
    assert (verdict.state is ItemState.DONE) == isinstance(outcome, Done)
    assert verdict.state is not ItemState.FAILED or verdict.kind is not None
    assert verdict.not_before == 0 or (verdict.state is ItemState.PENDING and verdict.not_before >= NOW)
    assert max(verdict.not_before, *verdict.standing) < STORABLE
    assert 0 <= verdict.close_key <= LONGEST
    used = [after - before for before, after in zip(standing, verdict.standing, strict=True)]
    assert all(change >= 0 for change in used)
    assert sum(change > 0 for change in used) <= 1, "a try uses one budget at most"


@given(standings, outcomes, retries, chances)
def test_an_interruption_is_free(standing: Standing, outcome: Outcome, retry: Retry, chance: float) -> None:
    verdict = settle(standing, 1, Interrupted("stop"), retry, NOW, chance)
    assert (verdict.state, verdict.standing) == (ItemState.PENDING, standing)


@given(failures, retries, chances)
def test_an_item_that_always_fails_ends(failed: Failed, retry: Retry, chance: float) -> None:
    standing, number = Standing(), 0
    for number in range(1, 200):
        outcome = failed if failed.kind is not Kind.RATE_LIMITED else Failed(Kind.RAISED, "x", final=failed.final)
        verdict = settle(standing, number, outcome, retry, NOW, chance)
        standing = verdict.standing
        if verdict.state is ItemState.FAILED:
            break
    allowed = retry.crashes if outcome.kind is Kind.CRASHED else retry.attempts
    assert number <= allowed
    assert number == allowed or outcome.final or outcome.kind not in retry.kinds


@given(st.lists(waits, min_size=1, max_size=20), retries)
def test_waits_are_capped_and_cost_no_attempt(asked: list[float], retry: Retry) -> None:
    standing = Standing()
    for number, wait in enumerate(asked, 1):
        verdict = settle(standing, number, Failed(Kind.RATE_LIMITED, "slow", wait), retry, NOW, 0.5)
        standing = verdict.standing
        assert (standing.failures, standing.crashes) == (0, 0)
        assert (verdict.state is ItemState.FAILED) == (standing.waited > retry.waiting * 1e6)
        if verdict.state is ItemState.FAILED:
            break


@given(st.lists(outcomes, max_size=30), st.builds(Breaker, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)))
def test_the_breaker_counts_failures_of_one_kind_in_a_row(history: list[Outcome], breaker: Breaker) -> None:
    streak = Streak()
    for at, outcome in enumerate(history):
        streak = follow(streak, outcome, at)
        if isinstance(outcome, (Done, Skipped)):
            assert streak == Streak()
            assert not tripped(streak, breaker)
    throttled = [one for one in history if isinstance(one, Failed) and one.kind is Kind.RATE_LIMITED]
    telling = [one for one in history if isinstance(one, (Done, Skipped, Failed)) and one not in throttled]
    run = 0
    for outcome in reversed(telling):
        if not isinstance(outcome, Failed) or outcome.kind is not streak.kind:
            break
        run += 1
    assert streak.length == run
