"""Reading a large spool: every page is there, none costs more than the part that it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from respool.batch.model import ItemState, JobState
from respool.batch.spool import Spool
from respool.batch.store.connection import Database
from respool.batch.tasks import task
from respool.summaries.tasks import GENERATION
from respool.web.looking import Looking, Place
from respool.web.problems import Problem
from respool.web.products import running_message
from respool.web.redacting import Redactor

ITEMS, JOBS = 10_000, 150
SUMMED = ("succeeded", "failed", "skipped", "rejected", "cancelled", "remaining")
ENOUGH = 1.0  # seconds of this process's own time; a page takes some milliseconds


@task(mode="thread", name="test_looking:nothing")
def nothing(payload: Any) -> None:
    """Never called: what is looked at here was only submitted."""


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looking]:
    path: Path = tmp_path_factory.mktemp("large") / "spool.db"
    with Spool(path) as spool:
        spool.submit(nothing, {f"item {number:05}": {"n": number} for number in range(ITEMS)}, name="large")
        for number in range(JOBS - 1):
            spool.submit(nothing, {"a": number}, name=f"small {number:04}")
        for number in range(2, JOBS, 10):
            spool.job(number).cancel()
        places = spool.places
    with Database.open(places, read_only=True) as database:
        yield Looking(database, Redactor())


def own_time(act: Callable[[], Any]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def test_every_item_is_on_one_page(looking: Looking) -> None:
    keys, cursor = [], None
    while True:
        items, cursor = looking.items(1, cursor=cursor, limit=500)
        keys += [item["key"] for item in items]
        if cursor is None:
            break
    assert keys == [f"item {number:05}" for number in range(ITEMS)]


def test_items_by_state_and_key(looking: Looking) -> None:
    pending, more = looking.items(1, state=ItemState.PENDING, limit=3)
    assert [item["payload"] for item in pending] == [{"n": 0}, {"n": 1}, {"n": 2}]
    following, _ = looking.items(1, state=ItemState.PENDING, cursor=more, limit=1)
    assert following[0]["key"] == "item 00003"
    assert looking.items(1, state=ItemState.DONE) == ([], None)
    assert [item["key"] for item in looking.items(1, key="item 09999")[0]] == ["item 09999"]


def test_every_job_is_on_one_page_of_its_state(looking: Looking) -> None:
    def numbers(state: JobState | None) -> list[int]:
        found, before = [], None
        while True:
            jobs, before = looking.jobs(state=state, limit=70, **({} if before is None else {"before": before}))
            found += [job.id for job in jobs]
            if before is None:
                return found

    everything = numbers(None)
    assert everything == list(range(JOBS, 0, -1))
    cancelled = numbers(JobState.CANCELLED)
    assert cancelled == list(range(JOBS - 8, 0, -10))
    assert sorted(cancelled + numbers(JobState.PENDING)) == sorted(everything)
    assert [job.name for job in looking.jobs(name="SMALL 004", limit=99)[0]] == [f"small 004{n}" for n in range(9, -1, -1)]


@pytest.mark.parametrize(
    "act",
    [
        lambda looking: looking.jobs(limit=50),
        lambda looking: looking.jobs(state=JobState.DONE, limit=50),
        lambda looking: looking.items(1, limit=50),
        lambda looking: looking.items(1, limit=50, cursor=str(Place(9_000 << 32, 9_000))),
        lambda looking: looking.document(looking.job(1)),
        lambda looking: looking.latest_attempts(1, 200),
        lambda looking: looking.failures(1),
    ],
    ids=["jobs", "jobs of a state", "items", "items further on", "a job", "attempts", "failures"],
)  # fmt: skip
def test_no_page_walks_through_all(looking: Looking, act: Callable[[Looking], Any]) -> None:
    assert min(own_time(lambda: act(looking)) for _ in range(3)) < ENOUGH


def test_a_job_of_summaries_speaks_as_summaries_do(looking: Looking) -> None:
    job = replace(looking.job(1), task=GENERATION)
    assert running_message(job, None) == "Generating LLM summaries for clusters..."
    assert running_message(job, "@items") == "Generating LLM summaries for clusters..."
    counts = {ItemState.DONE: 2, ItemState.RUNNING: 2, ItemState.PENDING: 3}
    assert running_message(replace(job, counts=counts), "4") == "Cluster 4 (3/7)"
    assert running_message(looking.job(1), "4") is None
    numbers = looking.result(job, None, 1)
    assert sum(numbers[name] for name in SUMMED) == numbers["total"]
    assert looking.message(replace(job, counts={ItemState.FAILED: 1})) == "Done: 0 succeeded, 1 failed, 0 cached"


@pytest.mark.parametrize("cursor", ["", "x", "1", "1_x", "_"])
def test_a_cursor_of_somebody_else(looking: Looking, cursor: str) -> None:
    with pytest.raises(Problem, match="is no cursor"):
        looking.items(1, cursor=cursor)
    assert looking.items(1, cursor="9" * 19 + "_" + "9" * 19) == ([], None)
