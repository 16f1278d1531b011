"""The façade, run for real: what runs, what does not run again, what follows."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from respool import Breaker, GiveUp, Limit, Retry, RetryLater, SkipItem, Spool, task
from respool.batch.declaration import Batch
from respool.batch.model import ItemState
from respool.batch.store import reading
from respool.batch.store.intake import Wishes
from respool.batch.tasks import task_of
from respool.errors import JobNotFound, SpoolBusy, UsageError
from respool.files import FileLock

QUICK = Retry(base=0.01, jitter=0)


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    with Spool(tmp_path / "spool.db") as made:
        yield made


class Calls(list[Any]):
    """What a task was called with, and the task itself."""

    def task(self, **options: Any) -> Any:
        @task(name="tests:recorded", **options)
        async def recorded(payload: Any) -> Any:
            self.append(payload)
            if isinstance(payload, dict) and payload.get("fail"):
                raise ValueError(payload["fail"])
            return {"got": payload}

        return recorded


def states(spool: Spool, job: int | str) -> dict[str, str]:
    return {item.key: str(item.state) for item in spool.job(job).items()}


def test_a_job_runs_and_a_second_run_repeats_nothing(spool: Spool) -> None:
    calls = Calls()
    job = spool.submit(calls.task(), {"a": 1, "b": 2}, name="j")
    report = spool.run([job.id], workers=2)
    assert report.jobs[0].counts == {ItemState.DONE: 2}
    assert job.results() == {"a": {"got": 1}, "b": {"got": 2}}
    assert str(spool.submit(calls.task(), {"a": 1, "b": 2}, name="j").run()) == "j #1: 2 done"
    assert sorted(calls) == [1, 2]


def test_only_what_changed_runs_again(spool: Spool) -> None:
    calls = Calls()
    spool.submit(calls.task(), {"a": 1, "b": 2, "c": 3}, name="j").run()
    calls.clear()
    job = spool.submit(calls.task(), {"new": 9, "c": 3, "b": 20}, name="j")
    job.run()
    assert sorted(calls) == [9, 20]
    assert states(spool, "j") == {"a": "cancelled", "new": "done", "c": "done", "b": "done"}
    assert next(job.items(key="a")).reason == "withdrawn"


def test_a_payload_that_comes_back_is_answered_from_the_cache(spool: Spool) -> None:
    calls = Calls()
    for value in (1, 2, 1):
        spool.submit(calls.task(), {"a": value}, name="j").run()
    assert calls == [1, 2]
    assert states(spool, "j") == {"a": "cached"}
    assert spool.job("j").results() == {"a": {"got": 1}}


def test_equal_work_runs_once_across_items_and_jobs(spool: Spool) -> None:
    calls = Calls()
    spool.submit(calls.task(), {"a": 7, "b": 7, "c": 7}, name="one").run(workers=3)
    spool.submit(calls.task(), {"z": 7}, name="two").run()
    assert calls == [7]
    assert sorted(states(spool, "one").values()) == ["cached", "cached", "done"]
    assert states(spool, "two") == {"z": "cached"}


def test_no_cache_and_version_run_again(spool: Spool) -> None:
    calls = Calls()
    spool.submit(calls.task(), {"a": 7}, name="one").run()
    spool.submit(calls.task(), {"a": 7}, name="two", wishes=Wishes(no_cache=True)).run()
    spool.submit(calls.task(version="2"), {"a": 7}, name="one").run()
    assert calls == [7, 7, 7]


def test_a_fresh_generation_ignores_this_jobs_results(spool: Spool) -> None:
    calls = Calls()
    spool.submit(calls.task(), {"a": 1, "b": 2}, name="j").run()
    spool.submit(calls.task(), {"a": 1, "b": 2}, name="j", wishes=Wishes(fresh=True)).run()
    assert sorted(calls) == [1, 1, 2, 2]


def test_forced_items_really_run(spool: Spool) -> None:
    calls = Calls()
    for _ in range(2):
        spool.submit(calls.task(), {"a": 1, "b": 2}, name="j", wishes=Wishes(force=("b",))).run()
    spool.submit(calls.task(), {"a": 1, "b": 2}, name="j", wishes=Wishes(force=True)).run()
    assert sorted(calls) == [1, 1, 2, 2, 2]


def test_failures_are_retried_then_stay_until_asked_for(spool: Spool) -> None:
    calls = Calls()
    failing = calls.task(retry=Retry(attempts=3, base=0.01, jitter=0))
    job = spool.submit(failing, {"a": {"fail": "no"}, "b": 1}, name="j")
    assert job.run().jobs[0].counts == {ItemState.FAILED: 1, ItemState.DONE: 1}
    assert len(calls) == 4
    spool.submit(failing, {"a": {"fail": "no"}, "b": 1}, name="j").run()
    assert len(calls) == 4
    assert job.retry() == 1
    job.run()
    assert len(calls) == 7
    spool.submit(failing, {"a": {"fail": "no"}, "b": 1}, name="j", wishes=Wishes(retry_failed=True)).run()
    assert len(calls) == 10


def test_a_failed_leader_lets_its_followers_try(spool: Spool) -> None:
    tries: list[int] = []

    @task(name="tests:first_fails")
    async def first_fails(payload: Any) -> int:
        tries.append(payload)
        await asyncio.sleep(0.01)
        if len(tries) == 1:
            raise GiveUp("the first one")
        return 1

    spool.submit(first_fails, {"a": 5, "b": 5, "c": 5}, name="j").run(workers=3)
    assert states(spool, "j") == {"a": "failed", "b": "done", "c": "cached"}


def test_skip_and_give_up_and_later(spool: Spool) -> None:
    seen: list[str] = []

    @task(name="tests:signals")
    async def signals(payload: str) -> str:
        seen.append(payload)
        if payload == "skip":
            raise SkipItem("nothing to do")
        if payload == "never":
            raise GiveUp("hopeless")
        if seen.count("later") == 1 and payload == "later":
            raise RetryLater(0.05)
        return payload

    job = spool.submit(signals, {name: name for name in ("skip", "never", "later")}, name="j")
    job.run(workers=3)
    assert states(spool, "j") == {"skip": "skipped", "never": "failed", "later": "done"}
    assert seen.count("later") == 2
    assert seen.count("never") == 1


def test_a_follow_up_is_made_once_for_each_change(spool: Spool) -> None:
    calls, published = Calls(), []

    @task(name="tests:publish")
    async def publish(one: Any) -> None:
        published.append((one["key"], one["result"]))

    def submit(items: dict[str, int]) -> None:
        spool.submit(calls.task(), items, name="parent", then=[(publish, "success")]).run(workers=2)

    submit({"a": 1})
    submit({"a": 1})
    assert published == [("a", {"got": 1})]
    submit({"a": 1, "b": 2})
    assert sorted(published) == [("a", {"got": 1}), ("b", {"got": 2})]
    child = spool.jobs()[1]
    assert (child.parent, str(child.state())) == (1, "done")
    created = [event for event in spool.events() if event.type == "followup_created"]
    assert len(created) == 2


def test_a_failed_parent_makes_no_success_child_until_it_succeeds(spool: Spool) -> None:
    broken = [True]

    @task(name="tests:maybe", retry=Retry(attempts=1))
    async def maybe(payload: int) -> int:
        if broken[0]:
            raise ValueError("not yet")
        return payload

    @task(name="tests:after")
    async def after(one: Any) -> None: ...

    @task(name="tests:always")
    async def always(one: Any) -> None: ...

    job = spool.submit(maybe, {"a": 1}, name="p", then=[(after, "success"), (always, "finish")])
    job.run()
    assert [made.name for made in spool.jobs()] == ["p", "p > tests:always"]
    assert spool.jobs()[1].skipped_reason == "no items"
    broken[0] = False
    job.retry()
    job.run()
    assert {made.name: str(made.state()) for made in spool.jobs()} == {
        "p": "done", "p > tests:always": "done", "p > tests:after": "done",
    }  # fmt: skip


def test_a_child_that_has_nothing_to_do_is_skipped_with_the_reason(spool: Spool) -> None:
    calls = Calls()

    def expand(results: list[Any]) -> list[Any]:
        raise SkipItem("not configured")

    @task(name="tests:summaries", expand=expand)
    async def summaries(one: Any) -> None: ...

    spool.submit(calls.task(), {"a": 1}, name="p", then=[(summaries, "success")]).run()
    assert spool.jobs()[1].skipped_reason == "not configured"


def test_the_breaker_pauses_and_gives_the_items_back(spool: Spool) -> None:
    good = [False]

    class Unauthorised(Exception):
        status_code = 401

    calls: list[int] = []

    @task(name="tests:keyed", retry=QUICK, breaker=Breaker(unauthorised=3))
    async def keyed(payload: int) -> int:
        calls.append(payload)
        if not good[0]:
            raise Unauthorised("wrong key")
        return payload

    job = spool.submit(keyed, {str(n): n for n in range(50)}, name="j")
    report = job.run(workers=2)
    assert len(calls) <= 6
    assert "unauthorised" in report.paused[job.id].reason
    assert job.read().counts == {ItemState.PENDING: 50}
    assert str(job.read().state()) == "paused"
    good[0] = True
    assert job.run(workers=2).jobs[0].counts == {ItemState.DONE: 50}


def test_a_429_closes_the_key_and_costs_no_attempt(spool: Spool) -> None:
    class Throttled(Exception):
        status_code = 429

        def __init__(self) -> None:
            super().__init__("slow down")
            self.headers = {"Retry-After": "0.2"}

    stamps: list[float] = []

    @task(name="tests:throttled", retry=Retry(attempts=1))
    async def throttled(payload: int) -> int:
        stamps.append(time.monotonic())
        if len(stamps) == 1:
            raise Throttled
        return payload

    report = spool.submit(throttled, {str(n): n for n in range(4)}, name="j").run(workers=1)
    assert report.jobs[0].counts == {ItemState.DONE: 4}
    assert len(stamps) == 5
    assert stamps[1] - stamps[0] >= 0.15


def test_a_long_announced_wait_pauses_the_job(spool: Spool) -> None:
    class Throttled(Exception):
        status_code = 429
        headers = {"Retry-After": "7200"}  # noqa: RUF012

    @task(name="tests:long")
    async def long(payload: int) -> None:
        raise Throttled("come back later")

    job = spool.submit(long, {"a": 1}, name="j")
    report = job.run()
    assert report.paused[job.id].resume_at is not None
    again = job.run()
    assert again.paused, "a cool-down holds over a restart"


def test_a_limit_is_never_exceeded(spool: Spool) -> None:
    stamps: list[float] = []

    @task(name="tests:limited", limit=Limit("api", "5/1s"))
    async def limited(payload: int) -> None:
        stamps.append(time.monotonic())

    spool.submit(limited, {str(n): n for n in range(12)}, name="j").run(workers=8)
    assert len(stamps) == 12
    for first, sixth in zip(stamps, stamps[5:], strict=False):
        assert sixth - first >= 0.99


def test_a_jobs_timeout_pauses_it_and_the_next_run_goes_on(spool: Spool) -> None:
    slow = [True]

    @task(name="tests:slow")
    async def slowly(payload: int) -> int:
        if slow[0] and payload:
            await asyncio.sleep(30)
        return payload

    job = spool.submit(slowly, {"a": 0, "b": 1, "c": 2}, name="j", job_timeout=0.4)
    report = job.run()
    assert "timeout" in report.paused[job.id].reason
    assert job.read().counts == {ItemState.DONE: 1, ItemState.PENDING: 2}
    slow[0] = False
    assert job.run().jobs[0].counts == {ItemState.DONE: 3}


def test_only_and_at_most(spool: Spool) -> None:
    calls = Calls()
    job = spool.submit(calls.task(), {"a": 1, "b": 2, "c": 3}, name="j")
    job.run(only=["b"])
    assert calls == [2]
    job.run(at_most=1)
    assert calls == [2, 1]
    with pytest.raises(JobNotFound, match="no item 'zz'"):
        job.run(only=["zz"])


def test_a_live_runner_takes_up_what_is_submitted_and_refuses_a_second(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    go = threading.Event()

    @task(name="tests:waiting", mode="thread")
    def waiting(payload: int) -> int:
        go.wait(20)
        return payload

    calls = Calls()

    def live() -> None:
        with Spool(path) as own:
            own.submit(waiting, {"w": 1}, name="first").run()

    runner = threading.Thread(target=live)
    runner.start()
    with Spool(path) as other:
        while not (path.exists() and other.jobs() and other.jobs()[0].counts.get(ItemState.RUNNING)):
            time.sleep(0.02)
        with pytest.raises(SpoolBusy, match="a live runner holds this spool"):
            other.run()
        handle = other.submit(calls.task(), {"x": 1, "y": 2}, name="second")
        assert handle.stored_for_live_runner
        go.set()
        runner.join(30)
        assert states(other, "second") == {"x": "done", "y": "done"}


def test_a_runner_that_has_not_said_yet_who_it_is_is_told_as_such(tmp_path: Path) -> None:
    """It takes the lock first, and writes into it a moment later."""
    with Spool(tmp_path / "spool.db") as spool:
        spool.database()
        taken = FileLock(spool.places.owner_lock)
        assert taken.acquire()
        try:
            with pytest.raises(SpoolBusy, match="it has just begun, and has not said yet who it is"):
                spool.run()
        finally:
            taken.release()


def test_cancel_and_run_again(spool: Spool) -> None:
    calls = Calls()
    job = spool.submit(calls.task(), {"a": 1}, name="j")
    assert job.cancel() == 1
    assert str(job.read().state()) == "cancelled"
    spool.submit(calls.task(), {"a": 1}, name="j").run()
    assert calls == [1]


def test_a_key_that_is_there_twice_is_refused_and_leaves_no_trace(spool: Spool) -> None:
    calls = Calls()
    spool.submit(calls.task(), {"a": 1}, name="j").run()
    with pytest.raises(UsageError, match="'a' is there twice"):
        spool.submit(calls.task(), [("a", 1), ("a", 2)], name="j")
    assert states(spool, "j") == {"a": "done"}


@pytest.mark.parametrize("workers", [0, -1, True, "two", 1.5])
def test_workers_must_be_a_whole_number(spool: Spool, workers: Any) -> None:
    spool.submit(Calls().task(), {"a": 1}, name="j")
    with pytest.raises(UsageError, match="workers must be"):
        spool.run(workers=workers)


def test_large_results_lie_in_files_named_by_content(spool: Spool) -> None:
    @task(name="tests:large")
    async def large(payload: int) -> str:
        return "x" * 100_000

    job = spool.submit(large, {"a": 1}, name="j")
    job.run()
    assert job.results() == {"a": "x" * 100_000}
    assert len(list(spool.places.results.rglob("*"))) == 2


def test_an_edited_file_of_many_items_costs_only_its_changes(spool: Spool, tmp_path: Path) -> None:
    calls = Calls()
    file = tmp_path / "items.jsonl"
    lines = [json.dumps({"key": f"k{n}", "n": n}) for n in range(9000)]
    file.write_text("\n".join(lines) + "\n")
    job = spool.submit(calls.task(), file, name="j")
    job.run(workers=50)
    assert len(calls) == 9000
    calls.clear()
    lines[4000] = json.dumps({"key": "k4000", "n": -1})
    del lines[8000]
    file.write_text("\n".join([json.dumps({"key": "top", "n": 0}), *lines]) + "\n")
    spool.submit(calls.task(), file, name="j").run(workers=50)
    assert sorted(call["key"] for call in calls) == ["k4000", "top"]
    assert job.read().counts == {ItemState.DONE: 9000, ItemState.CANCELLED: 1}
    assert next(job.items()).key == "top"


def test_every_commit_satisfies_the_schema(spool: Spool) -> None:
    calls = Calls()
    spool.submit(calls.task(retry=QUICK), {"a": 1, "b": {"fail": "x"}}, name="j").run(workers=2)
    spool.close()
    with sqlite3.connect(spool.places.database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT count(*) FROM attempts WHERE outcome = 'running'").fetchone() == (0,)
    connection.close()


def test_a_job_whose_submission_broke_off_does_not_run_even_if_it_is_named(spool: Spool) -> None:
    calls = Calls()
    many = [(f"k{number}", number) for number in range(6000)]
    with pytest.raises(UsageError, match="'k0' is there twice"):
        spool.submit(calls.task(), [*many, ("k0", 0)], name="j")
    assert spool.job("j").read().counts, "the first block came"
    report = spool.run(["j"])
    assert (calls, str(report.jobs[0].state())) == ([], "filling")


def test_after_each_batch_of_starts_the_next_one_waits_whoever_has_ended(spool: Spool) -> None:
    calls = Calls()
    paced = replace(task_of(calls.task()), batch=Batch(2, 0.2))
    job = spool.submit(paced, {key: key for key in "abcde"}, name="j")
    job.run(workers=8)
    started = sorted(attempt.started_at for item in job.items() for attempt in reading.attempts(spool.database(), item.id))
    assert len(started) == 5
    assert started[2] - started[1] >= 200_000
    assert started[4] - started[3] >= 200_000
