"""Claiming and settling on a real database: what is written of a beat, all of it or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respool.batch.declaration import Mode, Task
from respool.batch.model import (
    Attempt,
    Done,
    Failed,
    Interrupted,
    Item,
    ItemState,
    Kind,
    Later,
    Outcome,
    Output,
    Skipped,
    outcome_name,
)  # fmt: skip
from respool.batch.policy import Retry
from respool.batch.settle import Settled, Standing, Streak, Verdict, settle
from respool.batch.spool import Spool
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.ledger import Ledger, Plan
from respool.clock import FakeClock
from respool.errors import SpoolUnwritable

TASK = Task("tests:ledger", Mode.THREAD)
BIG = json.dumps("x" * 70_000)


class Desk:
    """A spool with one job, and the ledger that a runner would write in."""

    def __init__(self, path: Path, items: dict[str, Any]) -> None:
        self.clock = FakeClock()
        self.spool = Spool(path, clock=self.clock)
        self.job = self.submit(items)
        self.ledger = self.new_ledger("one")

    @property
    def database(self) -> Database:
        return self.spool.database()

    def submit(self, items: dict[str, Any], name: str = "job") -> int:
        return self.spool.submit(TASK, items, name=name).id

    def new_ledger(self, nonce: str) -> Ledger:
        ledger = Ledger(self.database, nonce)
        ledger.begin_session("1", self.clock.now())
        return ledger

    def plan(self, want: int = 100, job: int | None = None, **options: Any) -> Plan:
        job = job or self.job
        options = {"anew_since": None, "intact": lambda _: True} | options
        generation = reading.job(self.database, job).generation
        return self.ledger.plan(self.ledger.due(job, want, self.clock.now()), job, generation, **options)

    def claim(self, want: int = 100, job: int | None = None, **options: Any) -> list[Attempt]:
        plan = self.plan(want, job, **options)
        with self.database.write():
            return self.ledger.claim(job or self.job, plan, self.clock.now())

    def judged(self, attempt: Attempt, outcome: Outcome, dropped: str | None = None) -> Settled:
        now = self.clock.now()
        verdict = settle(Standing(), attempt.number, outcome, Retry(attempts=2, base=1, jitter=0), now, 0.5)
        if dropped is not None:
            verdict = Verdict(ItemState.CANCELLED, None, None, 0, Standing())
        return Settled(attempt, outcome, verdict, now, dropped)

    def settle(self, *ended: Settled, changed: frozenset[int] = frozenset()) -> dict[int, int]:
        with self.database.write():
            return self.ledger.settle(ended, changed=changed)

    def item(self, key: str, job: int | None = None) -> Item:
        return next(reading.items(self.database, job or self.job, key=key))

    def states(self) -> dict[str, str]:
        return {item.key: str(item.state) for item in reading.items(self.database, self.job)}

    def told(self) -> list[tuple[str, int | None]]:
        return [(event.type, event.attempt) for event in reading.events(self.database) if event.item is not None]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "spool.db", {"a": 1, "b": 2, "c": 3})
    with made.spool:
        yield made


# ── claiming ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_items_come_in_the_order_of_the_input_and_those_that_waited_first(desk: Desk) -> None:
    assert [one.key for one in desk.ledger.due(desk.job, 2, 0)] == ["a", "b"]
    (a,) = desk.claim(1)
    desk.settle(desk.judged(a, Later(10, "busy")))
    due = desk.clock.now() + 10_000_000
    assert [one.key for one in desk.ledger.due(desk.job, 9, due - 1)] == ["b", "c"]
    assert [one.key for one in desk.ledger.due(desk.job, 9, due)] == ["a", "b", "c"]
    assert [one.key for one in desk.ledger.due(desk.job, 1, due)] == ["a"]
    chosen = [desk.item(key).id for key in ("c", "a")]
    assert [one.key for one in desk.ledger.due_of(chosen, 9, due - 1)] == ["c"]


def test_a_claim_is_a_running_item_with_an_open_attempt_that_carries_the_nonce(desk: Desk) -> None:
    attempts = desk.claim(2)
    assert [(one.key, one.number, one.payload, one.nonce) for one in attempts] == [("a", 1, "1", "one"), ("b", 1, "2", "one")]
    assert desk.states() == {"a": "running", "b": "running", "c": "pending"}
    (tried,) = reading.attempts(desk.database, attempts[0].item)
    assert (tried.number, tried.outcome, tried.ended_at) == (1, "running", None)
    assert [one.key for one in desk.claim()] == ["c"], "what runs is not claimed again"


def test_a_claim_that_fails_leaves_nothing_claimed(desk: Desk) -> None:
    plan = desk.plan()

    def claim_and_fail() -> None:
        with desk.database.write():
            desk.ledger.claim(desk.job, plan, desk.clock.now())
            raise KeyError

    with pytest.raises(KeyError):
        claim_and_fail()
    assert set(desk.states().values()) == {"pending"}
    assert reading.attempts(desk.database, desk.item("a").id) == []
    assert len(desk.claim()) == 3


def test_equal_work_has_one_leader_in_a_claim_across_claims_and_across_jobs(desk: Desk) -> None:
    other = desk.submit({"x": 1, "y": 9, "z": 9}, "other")
    first = desk.plan()
    beside = desk.plan(job=other, leading={one.fingerprint: one.item for one in first.start})
    assert [one.key for one in beside.start] == ["y"]
    assert [(one.key, leader) for one, leader in beside.follow] == [
        ("x", desk.item("a").id), ("z", desk.item("y", other).id),
    ]  # fmt: skip
    desk.claim()
    later = desk.plan(job=other)
    assert next((one.key, leader) for one, leader in later.follow) == ("x", desk.item("a").id)


def test_finished_work_is_a_hit_unless_its_files_are_broken_or_it_is_done_anew(desk: Desk) -> None:
    output = Output("/out", 1, "d")
    (a,) = desk.claim(1)
    desk.settle(desk.judged(a, Done("7", (output,))))
    other = desk.submit({"x": 1}, "other")
    (_, hit), *more = desk.plan(job=other).cached
    assert (hit.item, hit.number, more) == (a.item, 1, [])
    assert desk.plan(job=other, intact=lambda outputs: list(outputs) != [output]).cached == []
    assert desk.plan(job=other, anew_since=desk.clock.now() + 1).cached == []
    desk.claim(job=other)
    assert desk.item("x", other).result == 7
    assert ("item_cached", None) in desk.told()


@pytest.mark.parametrize("archived", [False, True])
def test_a_job_does_not_take_the_results_of_its_own_earlier_generations(desk: Desk, archived: bool) -> None:
    (a,) = desk.claim(1)
    desk.settle(desk.judged(a, Done("7")))
    if archived:
        desk.submit({"a": 99, "b": 2, "c": 3})
        desk.submit({"a": 1, "b": 2, "c": 3})
    due = desk.ledger.due(desk.job, 9, 0)
    this = desk.ledger.plan(due, desk.job, 1, anew_since=None, intact=lambda _: True)
    assert len(this.cached) == archived
    fresh = desk.ledger.plan(due, desk.job, 2, anew_since=None, intact=lambda _: True)
    assert fresh.cached == []
    assert len(desk.plan(job=desk.submit({"x": 1}, "other")).cached) == 1, "other jobs do take them"


# ── settling ─────────────────────────────────────────────────────────────────────────────────────────────────────────

outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Done, st.sampled_from([None, "1", '{"a":"é"}', BIG]), st.sampled_from([(), (Output("/o", 1, "d"),)]),
              st.none() | st.just("noted")),
    st.builds(Skipped, st.just("empty")), st.builds(Later, st.just(5.0), st.just("later")),
    st.builds(Interrupted, st.just("stopped")),
    st.builds(Failed, st.sampled_from(Kind), st.just("it failed"), st.none(), st.booleans(), st.none() | st.just("detail")),
)  # fmt: skip
fates = st.tuples(outcomes, st.sampled_from(["plain", "plain", "plain", "changed", "withdrawn"]))


@given(st.lists(fates, min_size=1, max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_what_was_settled_is_what_readers_see(
    tmp_path_factory: pytest.TempPathFactory, ended: list[tuple[Outcome, str]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk") / "spool.db", {str(n): n for n in range(len(ended))})
    with desk.spool:
        attempts = desk.claim()
        judged = [
            desk.judged(attempt, outcome, fate if fate == "withdrawn" else None)
            for attempt, (outcome, fate) in zip(attempts, ended, strict=True)
        ]
        changed = frozenset(one.item for one, (_, fate) in zip(attempts, ended, strict=True) if fate == "changed")
        desk.settle(*judged, changed=changed)
        for entry, (outcome, fate) in zip(judged, ended, strict=True):
            item = desk.item(entry.attempt.key)
            (tried,) = reading.attempts(desk.database, item.id)
            assert (tried.outcome, tried.ended_at) == (outcome_name(outcome), desk.clock.now())
            wanted = {"changed": ItemState.PENDING, "withdrawn": ItemState.CANCELLED}.get(fate, entry.verdict.state)
            assert item.state is wanted
            if isinstance(outcome, Failed):
                assert (tried.kind, tried.message, tried.detail) == (outcome.kind, outcome.message, outcome.detail)
            if item.state is ItemState.DONE and isinstance(outcome, Done):
                assert item.result == (json.loads(outcome.result) if outcome.result is not None else None)
            else:
                assert item.result is None
            if fate == "plain":
                assert (item.kind, item.message, item.not_before) == entry.verdict[1:4]
                assert (item.failures, item.crashes) == entry.verdict.standing[:2]
        assert sorted(attempt for _, attempt in desk.told() if attempt) == [1] * len(ended)


def test_a_group_is_written_whole_or_not_at_all(desk: Desk) -> None:
    """A result too large for its row goes to a file; where that cannot be written, nothing of the group is."""
    attempts = desk.claim()
    group = [desk.judged(one, outcome) for one, outcome in zip(attempts, (Done("1"), Done(BIG), Skipped("no")), strict=True)]
    desk.spool.places.files.mkdir(parents=True, exist_ok=True)
    desk.spool.places.results.write_text("a file where a folder should be")
    before = len(reading.events(desk.database))
    with pytest.raises(SpoolUnwritable):
        desk.settle(*group)
    assert set(desk.states().values()) == {"running"}
    assert {tried.outcome for one in attempts for tried in reading.attempts(desk.database, one.item)} == {"running"}
    assert len(reading.events(desk.database)) == before
    desk.spool.places.results.unlink()
    desk.settle(*group)
    assert desk.states() == {"a": "done", "b": "done", "c": "skipped"}
    assert desk.item("b").result == "x" * 70_000


def test_a_large_result_lies_once_in_a_file_however_often_it_comes(desk: Desk) -> None:
    desk.settle(*(desk.judged(attempt, Done(BIG)) for attempt in desk.claim()))
    assert len([path for path in desk.spool.places.results.rglob("*") if path.is_file()]) == 1
    assert {item.result for item in reading.items(desk.database, desk.job)} == {"x" * 70_000}


def test_the_result_of_what_changed_meanwhile_is_kept_for_whoever_asks_for_it(desk: Desk) -> None:
    (a,) = desk.claim(1)
    desk.submit({"a": 100, "b": 2, "c": 3})
    desk.settle(desk.judged(a, Done("7")), changed=frozenset({a.item}))
    assert (desk.item("a").state, desk.item("a").result, desk.item("a").payload) == (ItemState.PENDING, None, 100)
    other = desk.submit({"x": 1}, "other")
    desk.claim(job=other)
    assert desk.item("x", other).result == 7
    (again,) = desk.claim(1)
    assert (again.key, again.number, again.payload) == ("a", 2, "100")


# ── followers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def leader_and_followers(desk: Desk) -> tuple[int, Attempt]:
    """A job whose first item runs, followed by the second, and by an item of another job."""
    one = desk.submit({"l": 50, "f": 50}, "twins")
    two = desk.submit({"o": 50}, "beside")
    (leader,) = desk.claim(job=one)
    assert desk.claim(job=two) == []
    return one, leader


def test_followers_share_what_their_leader_reached(desk: Desk) -> None:
    twins, leader = leader_and_followers(desk)
    released = desk.settle(desk.judged(leader, Done("5")))
    assert released == {twins: 1, twins + 1: 1}
    assert [(item.key, str(item.state), item.result) for item in reading.items(desk.database, twins)] == [
        ("l", "done", 5), ("f", "cached", 5),
    ]  # fmt: skip
    assert desk.item("o", twins + 1).result == 5


@pytest.mark.parametrize("outcome", [Failed(Kind.INVALID, "no"), Skipped("no"), Interrupted("stop"), Later(1, "x")])
def test_followers_of_a_leader_that_gave_nothing_are_free(desk: Desk, outcome: Outcome) -> None:
    twins, leader = leader_and_followers(desk)
    assert desk.settle(desk.judged(leader, outcome)) == {}
    assert desk.item("f", twins).state is ItemState.PENDING
    free = [one.key for one in desk.ledger.due(twins, 9, desk.clock.now())]
    assert free == (["l", "f"] if isinstance(outcome, Interrupted) else ["f"])
    assert [one.key for one in desk.ledger.due(twins + 1, 9, desk.clock.now())] == ["o"]


def test_followers_of_a_leader_that_changed_do_not_get_what_it_was_before(desk: Desk) -> None:
    twins, leader = leader_and_followers(desk)
    desk.submit({"l": 51, "f": 50, "g": 51}, "twins")
    desk.claim(job=twins)  # g follows l, whose attempt still works on 50
    desk.settle(desk.judged(leader, Done("5")), changed=frozenset({leader.item}))
    desk.claim(job=twins)
    results = {item.key: (str(item.state), item.result) for item in reading.items(desk.database, twins)}
    assert results == {"l": ("running", None), "f": ("cached", 5), "g": ("pending", None)}


def test_nobody_follows_what_ended_in_the_same_beat(desk: Desk) -> None:
    twins = desk.submit({"l": 50}, "twins")
    (leader,) = desk.claim(job=twins)
    two = desk.submit({"o": 50}, "beside")
    plan = desk.plan(job=two)
    assert plan.follow
    with desk.database.write():
        desk.ledger.settle([desk.judged(leader, Skipped("no"))])
        desk.ledger.claim(two, plan, desk.clock.now())
    assert [one.key for one in desk.ledger.due(two, 9, desk.clock.now())] == ["o"], "nobody would have released it"


# ── jobs and sessions ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_ends_with_its_last_item(desk: Desk) -> None:
    attempts = desk.claim()
    for attempt in attempts:
        assert reading.job(desk.database, desk.job).ended_at is None
        with desk.database.write():
            desk.ledger.settle([desk.judged(attempt, Done())])
            ended = desk.ledger.finish([desk.job], [desk.job], desk.clock.now())
    assert ended == [desk.job]
    assert reading.job(desk.database, desk.job).ended_at == desk.clock.now()
    assert [event.type for event in reading.events(desk.database)][-1] == "job_ended"


def test_the_breaker_gives_back_the_streak_and_no_more(desk: Desk) -> None:
    attempts = desk.claim()
    desk.settle(desk.judged(attempts[0], Failed(Kind.QUOTA, "long ago", final=True)))
    desk.clock.advance(100)
    since = desk.clock.now()
    desk.settle(*(desk.judged(one, Failed(Kind.QUOTA, "now", final=True)) for one in attempts[1:]))
    with desk.database.write():
        given_back = desk.ledger.trip(desk.job, Streak(Kind.QUOTA, 2, since), "no money", desk.clock.now())
    assert given_back == 2
    assert desk.states() == {"a": "failed", "b": "pending", "c": "pending"}
    assert {desk.item(key).failures for key in "bc"} == {0}
    job = reading.job(desk.database, desk.job)
    assert (job.paused_reason, job.paused_at, job.resume_at) == ("no money", desk.clock.now(), None)


def test_a_session_begins_and_ends_once(desk: Desk) -> None:
    other = desk.new_ledger("two")
    assert other.session == desk.ledger.session + 1
    assert [row[1] for row in desk.database.all("open_sessions", other.session)] == ["one"]
    desk.ledger.end_session("ended", desk.clock.now())
    assert desk.database.all("open_sessions", other.session) == []
