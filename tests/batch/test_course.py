"""One job under way: what may start, what holds it back, and what it learns from outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.batch.course import Course, Pause, Running
from respool.batch.declaration import Batch, Command, Mode, Task
from respool.batch.model import Attempt, Done, Failed, ItemState, Job, Kind, Later, Outcome, Skipped
from respool.batch.policy import Breaker, Concurrency, Retry
from respool.batch.settle import Settled, Standing, settle
from respool.clock import MICROSECONDS, FakeClock
from respool.pace import Limit, Pace

JOB = Job(
    id=1, name="job", task="m:f", version="1", settings={}, source={}, generation=1, created_at=0, updated_at=0, sealed_at=1,
    ended_at=None, paused_at=None, paused_reason=None, resume_at=None, cancelled_at=None, skipped_reason=None, parent=None,
)  # fmt: skip


class Desk:
    """A course with a clock that is moved by hand."""

    def __init__(self, folder: Path, workers: int = 4, **declared: Any) -> None:
        self.clock = FakeClock()
        self.folder = folder
        self.pace = Pace(folder, self.clock)
        self.course = self.another(workers, **declared)

    def another(self, workers: int = 4, **declared: Any) -> Course:
        task = Task("m:f", declared.pop("mode", Mode.THREAD), **declared)
        return Course(JOB, task, self.folder, Concurrency(workers), self.pace)

    def run(self, item: int) -> None:
        self.course.running[item] = Running(Attempt(item, 1, 1, f"k{item}", "1", "f", "n"), self.clock.now())

    def judge(self, outcome: Outcome) -> Settled:
        now = self.clock.now()
        verdict = settle(Standing(), 1, outcome, Retry(attempts=1), now, 0.5)
        settled = Settled(Attempt(1, 1, 1, "key", "1", "f", "n"), outcome, verdict, now)
        self.course.judge(settled, now)
        return settled

    def open_for(self, free: int, ahead: int = 0, leaving: int = 0) -> int:
        return self.course.open_for(free, ahead, self.clock.now(), leaving)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with made.pace:
        yield made


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(1, 8), st.integers(0, 3))
def test_never_more_starts_than_places_and_concurrency_allow(
    free: int, ahead: int, running: int, ceiling: int, throttles: int
) -> None:
    course = Course(JOB, Task("m:f", Mode.THREAD), Path(), Concurrency(ceiling), PACE)
    for _ in range(throttles):
        course.concurrency.throttled()
    for item in range(running):
        course.running[item] = Running(Attempt(item, 1, 1, "k", "1", "f", "n"), 0)
    leaving = min(running, 2)
    starts = course.open_for(free, ahead, 5, leaving)
    assert 0 <= starts <= free + ahead
    if throttles and ceiling > 1:
        assert starts + running - leaving <= max(course.concurrency.limit, running - leaving), "no queue while throttled"
    else:
        assert starts == max(0, min(free + ahead, ceiling - running + leaving + ahead))


PACE: Any = None  # a course without limits asks nothing of it


def test_after_a_failure_nothing_is_queued_ahead(desk: Desk) -> None:
    assert desk.open_for(1, ahead=50) == 51
    desk.judge(Failed(Kind.UNAVAILABLE, "down"))
    assert desk.open_for(1, ahead=50) == 4
    desk.judge(Done())
    assert desk.open_for(1, ahead=50) == 51


def test_what_is_paused_cancelled_dry_or_held_starts_nothing(desk: Desk) -> None:
    course, now = desk.course, desk.clock.now()
    assert desk.open_for(1) == 1
    for name, value in (("paused", Pause("x")), ("cancelled", True), ("dry_until", None), ("dry_until", now + 1),
                        ("held_until", now + 1)):  # fmt: skip
        before = getattr(course, name)
        setattr(course, name, value)
        assert desk.open_for(1) == 0, name
        setattr(course, name, before)
    course.dry_until = course.held_until = now
    assert desk.open_for(1) == 1
    course.dry_until = None
    course.poke()
    assert desk.open_for(1) == 1


# ── limits and cool-downs ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_limit_that_is_used_up_holds_the_job_until_it_is_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path, limits=(Limit("api", "2/10s"),))
    with desk.pace:
        count, tokens = desk.course.grant(5, desk.clock.now())
        assert (count, len(tokens)) == (2, 2)
        desk.pace.ended(tokens)
        assert desk.course.grant(1, desk.clock.now())[0] == 0
        assert desk.open_for(1) == 0
        assert (desk.course.waiting_for(desk.clock.now()) or "").startswith("waiting for api until ")
        desk.clock.advance(10.1)
        assert desk.open_for(1) == 1
        assert desk.course.grant(1, desk.clock.now())[0] == 1


def test_without_limits_everything_is_granted(desk: Desk) -> None:
    assert desk.course.grant(7, desk.clock.now()) == (7, [])


def test_making_a_childs_items_uses_up_no_limit(tmp_path: Path) -> None:
    desk = Desk(tmp_path, limits=(Limit("api", "1/10s"),))
    with desk.pace:
        desk.course.expanding = 3
        assert desk.course.grant(2, desk.clock.now()) == (2, [])
        desk.course.expanding = None
        assert desk.course.grant(2, desk.clock.now())[0] == 1


def test_a_limit_that_is_used_up_for_long_is_not_blamed_on_the_service(tmp_path: Path) -> None:
    desk = Desk(tmp_path, limits=(Limit("api", "1/day"),), max_pause=60.0)
    with desk.pace:
        desk.pace.ended(desk.course.grant(1, desk.clock.now())[1])
        assert desk.course.grant(1, desk.clock.now()) == (0, [])
        assert desk.course.paused is not None
        assert desk.course.paused.reason.startswith("the limit of api is used up until ")


def test_a_throttle_closes_the_key_for_everybody_who_names_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, limits=(Limit("api", "100/s"),))
    with desk.pace:
        desk.judge(Failed(Kind.RATE_LIMITED, "slow down", retry_after=30))
        assert desk.open_for(4) == 0
        assert desk.course.concurrency.limit == 2
        other = desk.another(limits=(Limit("api", "100/s"),))
        other.look_at_cooldowns(desk.clock.now())
        assert other.open_for(1, 0, desk.clock.now()) == 0
        stranger = desk.another(limits=(Limit("another", "100/s"),))
        stranger.look_at_cooldowns(desk.clock.now())
        assert stranger.open_for(1, 0, desk.clock.now()) == 1
        desk.clock.advance(31)
        assert desk.open_for(4) == 2, "at half the concurrency"


def test_a_wait_up_to_max_pause_is_sat_out_and_a_longer_one_pauses_the_job(tmp_path: Path) -> None:
    desk = Desk(tmp_path, max_pause=60.0)
    with desk.pace:
        desk.judge(Failed(Kind.RATE_LIMITED, "slow", retry_after=60))
        assert desk.course.paused is None
        desk.clock.advance(61)
        at = desk.clock.now()
        desk.judge(Failed(Kind.RATE_LIMITED, "slow", retry_after=61))
        assert desk.course.paused is not None
        assert desk.course.paused is desk.course.unwritten_pause
        assert desk.course.paused.resume_at == at + 61 * MICROSECONDS
        assert "max_pause = 60 s" in desk.course.paused.reason


@pytest.mark.parametrize("asked", [1e9, 1e14, 1e300])
def test_no_answer_of_a_service_is_too_long_to_be_told(desk: Desk, asked: float) -> None:
    """A wait of a thousand centuries is a pause with a date, not an error of the calendar."""
    settled = desk.judge(Failed(Kind.RATE_LIMITED, "never", retry_after=asked))
    assert desk.course.paused is not None
    assert "until 20" in desk.course.paused.reason
    assert settled.verdict.state is ItemState.FAILED


# ── the breaker ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_breaker_opens_at_its_threshold_and_says_what_to_do(tmp_path: Path) -> None:
    desk = Desk(tmp_path, breaker=Breaker(unauthorised=3))
    with desk.pace:
        for outcome in (Failed(Kind.UNAUTHORISED, "bad key"), Failed(Kind.UNAUTHORISED, "bad key"), Later(1, "x")):
            desk.judge(outcome)
        assert desk.course.paused is None
        desk.judge(Failed(Kind.UNAUTHORISED, "bad key"))
        pause = desk.course.paused
        assert pause is not None
        assert pause.streak is not None
        assert pause.streak.length == 3
        assert pause.reason.startswith("3 times in a row unauthorised (bad key); check the key")
        assert desk.course.waiting_for(desk.clock.now()) == f"paused: {pause.reason}"
        desk.judge(Failed(Kind.UNAUTHORISED, "bad key"))
        assert desk.course.paused is pause, "the first reason stays"
        desk.course.unwritten_pause = None
        desk.judge(Failed(Kind.QUOTA, "no money"))
        assert desk.course.unwritten_pause is None
        desk.judge(Failed(Kind.UNAUTHORISED, "bad key"))
        assert desk.course.unwritten_pause is pause, "what was still running is given back, too"


def test_after_each_batch_of_starts_the_next_one_waits(tmp_path: Path) -> None:
    desk = Desk(tmp_path, workers=8, batch=Batch(3, 2.0))
    with desk.pace:
        assert desk.open_for(8, ahead=50) == 3
        desk.course.started(2, desk.clock.now())
        assert desk.open_for(8) == 1
        desk.course.started(1, desk.clock.now())
        assert desk.open_for(8) == 0
        desk.clock.advance(1.9)
        assert desk.open_for(8) == 0
        desk.clock.advance(0.1)
        assert desk.open_for(8) == 3
        desk.course.started(1, desk.clock.now())
        assert desk.open_for(8) == 2


def test_the_last_failures_are_kept_to_be_shown(desk: Desk) -> None:
    for number in range(7):
        desk.judge(Failed(Kind.RAISED, f"no {number}"))
    desk.judge(Skipped("no"))
    assert list(desk.course.failures) == [("key", f"raised: no {number}") for number in range(2, 7)]


def test_a_deadline_is_a_pause_and_not_a_failure(desk: Desk) -> None:
    desk.course.reach_deadline(90)
    assert desk.course.paused is not None
    assert "timeout of 90 s" in desk.course.paused.reason
    assert desk.course.paused.resume_at is None


# ── what a view is told ──────────────────────────────────────────────────────────────────────────────────────────────


def test_counts_move_with_the_items(desk: Desk) -> None:
    course = desk.course
    course.counts = {ItemState.PENDING: 3}
    course.count(ItemState.PENDING, ItemState.RUNNING)
    course.count(ItemState.PENDING, ItemState.CACHED, 2)
    assert {state: n for state, n in course.counts.items() if n} == {ItemState.RUNNING: 1, ItemState.CACHED: 2}


def test_waiting_for_a_retry_is_said_only_while_nothing_runs(desk: Desk) -> None:
    assert desk.course.waiting_for(desk.clock.now()) is None
    desk.course.dry_until = desk.clock.now() + 5 * MICROSECONDS
    assert (desk.course.waiting_for(desk.clock.now()) or "").endswith("to retry")
    desk.run(1)
    assert desk.course.waiting_for(desk.clock.now()) is None


@pytest.mark.parametrize(("declared", "expanding", "cacheable"), [
    ({}, None, True), ({"cache": False}, None, False), ({}, 3, False),
    ({"mode": Mode.COMMAND, "command": Command(("x",))}, None, False),
    ({"mode": Mode.COMMAND, "command": Command(("x",), outputs=("{}.out",))}, None, True),
])  # fmt: skip
def test_what_may_be_answered_from_the_cache(
    desk: Desk, declared: dict[str, Any], expanding: int | None, cacheable: bool
) -> None:
    course = desk.another(**declared)
    course.expanding = expanding
    assert course.cacheable is cacheable


def test_the_keys_that_a_throttle_closes_are_the_limits_or_the_tasks_own(desk: Desk) -> None:
    assert desk.course.keys == ("m:f",)
    assert desk.another(limits=(Limit("a", "1/s"), Limit("b", "1/s"))).keys == ("a", "b")
