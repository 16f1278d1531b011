"""Chains of jobs: what a task says follows it, what of a payload names the work, and the word a failing task has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from respool import Retry, Spool, task
from respool.batch.model import Kind
from respool.batch.tasks import task_of
from respool.errors import TryFailed


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    with Spool(tmp_path / "spool.db") as made:
        yield made


@task(name="tests:first")
async def first(payload: Any) -> Any:
    return payload


def test_what_follows_a_follow_up_is_said_by_its_task(spool: Spool) -> None:
    published: list[Any] = []

    @task(name="tests:last")
    async def last(one: Any) -> None:
        published.append((one["key"], one["result"]))

    @task(name="tests:middle", expand=lambda results: {one["key"]: one["result"] for one in results})
    async def middle(number: int) -> int:
        return 10 * number

    chained = replace(task_of(middle), then=((task_of(last), "finish"),))
    spool.submit(first, {"a": 1}, name="p", then=[(chained, "success")]).run()
    assert [job.name for job in spool.jobs()] == ["p", "p > tests:middle", "p > tests:middle > tests:last"]
    assert published == [("a", 10)]
    spool.submit(first, {"a": 2}, name="p", then=[(chained, "success")]).run()
    assert published == [("a", 10), ("a", 20)]


def test_a_task_that_is_submitted_itself_has_its_follow_ups_too(spool: Spool) -> None:
    chained = replace(task_of(first), name="tests:parent", then=((task_of(first), "success"),))
    spool.submit(chained, {"a": 1}, name="p").run()
    assert [job.name for job in spool.jobs()] == ["p", "p > tests:first"]


def test_another_version_of_what_follows_is_owed_to_the_same_results(spool: Spool) -> None:
    for version in ("1", "1", "2"):
        following = replace(task_of(first), name="tests:next", version=version)
        spool.submit(first, {"a": 1}, name="p", then=[(following, "success")]).run()
    assert len([event for event in spool.events() if event.type == "followup_created"]) == 2
    assert spool.jobs()[1].version == "2"


def test_an_attempt_sees_what_earlier_ones_left(spool: Spool) -> None:
    @task(name="tests:leaving", retry=Retry(base=0, jitter=0))
    async def leaving(payload: Any, context: Any) -> list[str]:
        seen = [(folder / "said").read_text() for folder in context.earlier]
        (context.folder / "said").write_text(f"try {context.attempt}")
        if context.attempt < 3:
            raise ValueError("not yet")
        return seen

    job = spool.submit(leaving, {"a": 1}, name="j")
    job.run()
    assert job.results() == {"a": ["try 1", "try 2"]}


def test_fields_that_stand_aside_change_nothing_of_the_work(spool: Spool) -> None:
    calls: list[Any] = []

    @task(name="tests:aside", aside=["why"])
    async def work(payload: Any) -> None:
        calls.append(payload)

    spool.submit(work, {"a": {"n": 1, "why": "new"}}, name="j").run()
    spool.submit(work, {"a": {"n": 1, "why": "another word"}}, name="j").run()
    assert calls == [{"n": 1, "why": "new"}]
    spool.submit(work, {"a": {"n": 2, "why": "another word"}}, name="j").run()
    assert len(calls) == 2


def test_an_expansion_may_look_at_what_finished_before(spool: Spool) -> None:
    seen: list[list[Any]] = []

    def expand(results: list[Any], earlier: list[Any]) -> Any:
        seen.append(earlier)
        return {one["key"]: one["result"] for one in results}

    @task(name="tests:remembering", expand=expand)
    async def remembering(payload: Any) -> None: ...

    for number in (1, 2):
        spool.submit(first, {"a": number}, name="p", then=[(remembering, "success")]).run()
    assert seen == [[], [1]]


def test_a_task_may_say_how_long_a_job_of_it_may_take(spool: Spool) -> None:
    hour = replace(task_of(first), job_timeout=3600.0)
    assert spool.submit(hour, {"a": 1}, name="j").read().settings["job_timeout"] == 3600.0
    assert spool.submit(hour, {"a": 1}, name="k", job_timeout=5).read().settings["job_timeout"] == 5
    spool.submit(first, {"a": 1}, name="p", then=[(hour, "success")]).run()
    assert spool.jobs()[-1].settings["job_timeout"] == 3600.0


@pytest.mark.parametrize("kind", ["truncated", "refused", "invalid"])
def test_a_failing_task_has_a_word_for_it(spool: Spool, kind: str) -> None:
    @task(name="tests:failing", retry=Retry(base=0, kinds=frozenset()))
    async def failing(payload: Any) -> None:
        raise TryFailed(kind, "so it is")

    job = spool.submit(failing, {"a": 1}, name="j")
    job.run()
    (item,) = job.items()
    assert (item.kind, item.message, item.attempts) == (Kind(kind), "so it is", 1)


def test_a_wait_may_have_a_spread_of_seconds() -> None:
    retry = Retry(base=2, jitter=0, spread=1)  # 2^n + U(0, 1) before the next try
    assert [retry.wait(1, 0.0), retry.wait(1, 0.5), retry.wait(2, 0.25)] == [2.0, 2.5, 4.25]
