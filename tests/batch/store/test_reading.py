"""What readers are told: complete, in order, and an error with a way out where something is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool import Retry, Spool, task
from respool.batch.model import ItemState, Job, JobState, Kind
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.errors import JobNotFound, SpoolUnreadable


@task(retry=Retry(attempts=2, base=0), mode="thread")
def work(payload: Any) -> Any:
    if payload == "fail":
        raise ValueError("no")
    return payload if payload != "big" else "x" * 70_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Two jobs that have run, and one that has not."""
    with Spool(tmp_path / "spool.db") as spool:
        spool.submit(work, {"z": 1, "a": "fail", "m": "big"}, name="one").run(workers=3)
        spool.submit(work, {"twin": 1}, name="2").run()
        spool.submit(work, {"p": 5, "q": 6}, name="three")
        with Database.open(spool.places, read_only=True) as reader:
            yield reader


def test_jobs_are_found_by_number_and_by_name(database: Database) -> None:
    assert [(job.id, job.name) for job in reading.jobs(database)] == [(1, "one"), (2, "2"), (3, "three")]
    for known in (1, "1", "one"):
        assert reading.job(database, known).id == 1
    assert reading.job(database, "2").id == 2
    for job in reading.jobs(database):
        assert reading.job(database, job.id) == job
        assert reading.counts(database, job.id) == job.counts
    for unknown in (9, "9", "none", ""):
        with pytest.raises(JobNotFound, match=repr(unknown)) as missing:
            reading.job(database, unknown)
        assert missing.value.command == "respool jobs list"


def test_items_come_in_input_order_and_can_be_chosen(database: Database) -> None:
    def keys(**chosen: Any) -> list[str]:
        return [item.key for item in reading.items(database, 1, **chosen)]

    assert keys() == ["z", "a", "m"]
    assert keys(limit=2) == ["z", "a"]
    assert keys(state=ItemState.DONE) == ["z", "m"]
    assert keys(kind=Kind.RAISED) == keys(key="a") == keys(state=ItemState.FAILED, key="a") == ["a"]
    assert keys(state=ItemState.DONE, key="a") == keys(key="none") == []
    assert list(reading.keys(database, 3, ItemState.PENDING)) == ["p", "q"]


def test_an_item_tells_all_of_its_tries(database: Database) -> None:
    failed = next(reading.items(database, 1, key="a"))
    assert (failed.attempts, failed.failures, failed.kind, failed.message) == (2, 2, Kind.RAISED, "ValueError: no")
    tried = reading.attempts(database, failed.id)
    assert [(one.number, one.outcome, one.kind) for one in tried] == [(1, "failed", "raised"), (2, "failed", "raised")]
    assert all(one.ended_at is not None and one.started_at <= one.ended_at for one in tried)
    assert "ValueError: no" in (tried[0].detail or "")
    assert (failed.started_at, failed.ended_at) == (tried[1].started_at, tried[1].ended_at)


def test_results_are_of_what_is_done_or_cached(database: Database) -> None:
    assert list(reading.results(database, 1)) == [("z", 1, 1), ("m", "big", "x" * 70_000)]
    assert list(reading.results(database, 2)) == [("twin", 1, 1)]
    assert next(reading.items(database, 2)).state is ItemState.CACHED


def test_a_result_whose_file_is_gone_is_an_error_with_the_way_out(database: Database) -> None:
    (file,) = (path for path in database.places.results.rglob("*") if path.is_file())
    file.unlink()
    with pytest.raises(SpoolUnreadable, match="result's file cannot be read") as gone:
        list(reading.results(database, 1))
    assert (gone.value.where, gone.value.command) == (str(file), "respool doctor --fix")


@given(st.integers(0, 30), st.integers(1, 7))
def test_events_can_be_read_in_any_portions(chunk: int, limit: int) -> None:
    database = EVENTS[0]
    whole = reading.events(database)
    seqs = [event.seq for event in whole]
    assert seqs == sorted(set(seqs))
    part = reading.events(database, after=chunk, limit=limit)
    assert part == [event for event in whole if event.seq > chunk][:limit]
    assert reading.events(database, job=2) == [event for event in whole if event.job == 2]


EVENTS: list[Database] = []


@pytest.fixture(autouse=True)
def _events(database: Database) -> Iterator[None]:
    EVENTS.append(database)
    yield
    EVENTS.clear()


def test_durations_are_of_the_job_or_else_of_its_task(database: Database) -> None:
    own = reading.typical_seconds(database, 1, work_name := reading.job(database, 1).task)
    assert own is not None
    assert 0 <= own < 60
    assert reading.typical_seconds(database, 3, work_name) is not None
    assert reading.typical_seconds(database, None, "m:unknown") is None


def test_a_spool_has_one_name_for_ever(database: Database) -> None:
    name = reading.spool_id(database)
    with Database.open(database.places) as again:
        assert reading.spool_id(again) == name
        with again.write():
            again.connection.execute("DELETE FROM spool")
    with pytest.raises(SpoolUnreadable, match="has no id"):
        reading.spool_id(database)


FACTS = {"sealed_at": 1, "ended_at": None, "paused_at": None, "cancelled_at": None, "skipped_reason": None}


@pytest.mark.parametrize(("counts", "facts", "alive", "state"), [
    ({}, {}, False, "done"), ({"done": 1}, {}, False, "done"), ({"done": 1, "failed": 1}, {}, False, "failed"),
    ({"pending": 1, "failed": 1}, {}, False, "pending"), ({"pending": 1}, {"sealed_at": None}, False, "filling"),
    ({"running": 1, "pending": 1}, {}, True, "running"), ({"running": 1}, {}, False, "interrupted"),
    ({"pending": 1}, {"paused_at": 1}, False, "paused"), ({"done": 1}, {"paused_at": 1}, False, "done"),
    ({"cancelled": 1}, {"cancelled_at": 1}, False, "cancelled"), ({"running": 1}, {"cancelled_at": 1}, True, "running"),
    ({}, {"skipped_reason": "no items"}, False, "skipped"),
])  # fmt: skip
def test_the_state_of_a_job_follows_from_its_facts_and_items(
    database: Database, counts: dict[str, int], facts: dict[str, Any], alive: bool, state: str
) -> None:
    from dataclasses import replace

    job: Job = replace(
        reading.job(database, 3), counts={ItemState(name): n for name, n in counts.items()}, **(FACTS | facts)
    )
    assert job.state(runner_alive=alive) is JobState(state)
    assert job.total == sum(counts.values())
