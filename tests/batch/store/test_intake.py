"""What a submission writes of items that are there and of those that are not, for every wish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respool import Retry, SkipItem, Spool, task
from respool.batch.model import ItemState
from respool.batch.store import reading
from respool.batch.store.followups import deliver_followups
from respool.batch.store.intake import Declaration, Wishes, cancel, declare, open_job, retry
from respool.errors import UsageError

CALLS: list[Any] = []


@task(retry=Retry(attempts=1), mode="thread")
def work(payload: Any) -> Any:
    CALLS.append(payload)
    if payload == "skip":
        raise SkipItem("nothing to do")
    if payload == "fail":
        raise ValueError("it fails")
    return {"of": payload}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    CALLS.clear()
    with Spool(tmp_path / "spool.db") as made:
        yield made


def submit(spool: Spool, items: Any, wishes: Wishes | None = None, name: str = "job") -> int:
    return spool.submit(work, items, name=name, wishes=wishes).id


def states(spool: Spool, job: int = 1) -> dict[str, str]:
    return {item.key: str(item.state) for item in reading.items(spool.database(), job)}


def reasons(spool: Spool, job: int = 1) -> dict[str, str | None]:
    return {item.key: item.reason for item in reading.items(spool.database(), job)}


FINISHED = {"done": 1, "skipped": "skip", "failed": "fail"}
ALL = Wishes(force=True)
OUTCOMES = {
    Wishes(): {"done": "done", "skipped": "skipped", "failed": "failed"},
    Wishes(retry_failed=True): {"done": "done", "skipped": "skipped", "failed": "pending"},
    Wishes(fresh=True): {"done": "pending", "skipped": "pending", "failed": "pending"},
    ALL: {"done": "pending", "skipped": "pending", "failed": "pending"},
    Wishes(force=("skipped", "not there")): {"done": "done", "skipped": "pending", "failed": "failed"},
    Wishes(no_cache=True): {"done": "done", "skipped": "skipped", "failed": "failed"},
    Wishes(rerun_changed=True): {"done": "done", "skipped": "skipped", "failed": "failed"},
}


@pytest.mark.parametrize("wishes", OUTCOMES, ids=str)
def test_what_each_wish_does_to_what_is_finished(spool: Spool, wishes: Wishes) -> None:
    submit(spool, FINISHED)
    spool.run(workers=3)
    assert states(spool) == {key: key for key in FINISHED}
    submit(spool, FINISHED, wishes)
    assert states(spool) == OUTCOMES[wishes]
    CALLS.clear()
    spool.run(workers=3)
    again = [FINISHED[key] for key, state in OUTCOMES[wishes].items() if state == "pending"]
    assert sorted(map(str, CALLS)) == sorted(map(str, again))
    assert states(spool) == {key: key for key in FINISHED}


@pytest.mark.parametrize("wishes", [
    Wishes(), Wishes(retry_failed=True, fresh=True, no_cache=True, rerun_changed=True), ALL, Wishes(force=("a", "b")),
])  # fmt: skip
def test_wishes_survive_their_way_through_a_request(wishes: Wishes) -> None:
    assert Wishes.from_data(json.loads(json.dumps(wishes.to_data()))) == wishes


@pytest.mark.parametrize("same_version", [True, False])
def test_code_that_changed_under_a_version_is_remembered_until_it_is_run_again(spool: Spool, same_version: bool) -> None:
    def declared(digest: str, version: str) -> Declaration:
        return Declaration("job", "m:f", version, {}, {}, source_digest=digest)

    database = spool.database()
    job = open_job(database, declared("one", "1"), 10)
    changed_at = {}
    for now, digest, version in ((20, "one", "1"), (30, "two", "1" if same_version else "2")):
        assert open_job(database, declared(digest, version), now) == job
        changed_at[now] = (database.one("job_facts", job) or ())[6]
    assert changed_at == {20: None, 30: 30 if same_version else None}


items = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2), max_size=6)
orders = st.randoms(use_true_random=False)


@given(st.lists(items, min_size=1, max_size=4), orders)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_a_job_is_what_was_submitted_last_and_keeps_what_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, history: list[dict[str, int]], order: Any
) -> None:
    with Spool(tmp_path_factory.mktemp("intake") / "spool.db") as spool:
        before: dict[str, int] = {}
        for number, submitted in enumerate(history):
            pairs = list(submitted.items())
            order.shuffle(pairs)
            job = submit(spool, pairs)
            rows = list(reading.items(spool.database(), job))
            kept = [(item.key, item.payload) for item in rows if item.reason != "withdrawn"]
            assert kept == pairs
            gone = {item.key for item in rows if item.reason == "withdrawn"}
            assert gone == {key for one in history[: number + 1] for key in one} - set(submitted)
            for item in rows:
                if item.key in submitted and before.get(item.key) == submitted[item.key]:
                    assert item.state is not ItemState.PENDING, "what is the same is not run again"
                elif item.key in submitted:
                    assert item.state is ItemState.PENDING
            spool.run(workers=3)
            before = submitted
            assert set(states(spool, job).values()) <= {"done", "cached", "cancelled"}


def test_every_change_says_why(spool: Spool) -> None:
    submit(spool, {"same": 1, "edited": 1, "gone": 1})
    assert set(reasons(spool).values()) == {"new"}
    submit(spool, {"same": 1, "edited": 2})
    assert reasons(spool) == {"same": "new", "edited": "its input changed", "gone": "withdrawn"}
    submit(spool, {"same": 1, "edited": 2, "gone": 1})
    assert reasons(spool)["gone"] == "back in the input"


def test_a_key_twice_names_the_key_and_the_source_and_changes_no_item(spool: Spool) -> None:
    submit(spool, {"a": 1})
    before = list(reading.items(spool.database(), 1))
    with pytest.raises(UsageError, match="the key 'b' is there twice") as refused:
        submit(spool, [("a", 2), ("b", 1), ("b", 1)])
    assert refused.value.where == "job, items 2 and 3"
    assert list(reading.items(spool.database(), 1)) == before


def test_a_retry_is_of_the_kind_and_the_keys_that_were_asked_for(spool: Spool) -> None:
    job = submit(spool, {"a": "fail", "b": "fail", "ok": 1})
    spool.run(workers=3)
    database = spool.database()
    for kind, keys, count in (("timeout", None, 0), (None, ["ok", "none"], 0), ("raised", ["a"], 1), (None, None, 1)):
        with database.write():
            assert retry(database, job, kind, keys, 5) == count
    assert states(spool) == {"a": "pending", "b": "pending", "ok": "done"}
    assert {(item.failures, item.crashes) for item in reading.items(database, job)} == {(0, 0)}
    assert reading.job(database, job).ended_at is None


def test_a_retry_takes_a_cancelled_job_up_again_but_for_what_was_cancelled(spool: Spool) -> None:
    job = submit(spool, {"failed": "fail", "a": 1, "b": 2})
    spool.run(at_most=2)
    spool.job(job).then(work, on="success")
    assert spool.job(job).cancel() == 1
    assert spool.job(job).retry() == 1
    spool.run()
    assert CALLS == ["fail", 1, "fail"]
    assert states(spool) == {"failed": "failed", "a": "done", "b": "cancelled"}
    assert str(reading.job(spool.database(), job).state()) == "failed"
    spool.database().connection.execute("UPDATE items SET state = 'skipped', kind = NULL WHERE key = 'failed'")
    with spool.database().write():
        assert deliver_followups(spool.database(), job, 5) == [], "a job of which something was cancelled is no success"


def test_what_is_cancelled_ends_the_job_and_comes_back_with_the_next_submission(spool: Spool) -> None:
    job = submit(spool, {"a": 1, "b": 2})
    database = spool.database()
    with database.write():
        assert cancel(database, job, 5) == 2
    read = reading.job(database, job)
    assert (str(read.state()), read.ended_at) == ("cancelled", 5)
    assert spool.run().jobs == []
    submit(spool, {"a": 1, "b": 2})
    assert states(spool) == {"a": "pending", "b": "pending"}
    assert reading.job(database, job).cancelled_at is None


def test_the_rules_of_a_job_are_those_declared_last(spool: Spool) -> None:
    database = spool.database()

    def rules(*names: str) -> list[str]:
        declaration = Declaration("job", "m:f", "1", {}, {}, rules=tuple((name, "1", {}, "finish") for name in names))
        with database.write():
            job = declare(database, declaration, 1)
        return [row[1] for row in database.all("rules", job)]

    assert rules("m:a", "m:b") == ["m:a", "m:b"]
    assert rules("m:b") == ["m:b"]
    assert rules() == []
