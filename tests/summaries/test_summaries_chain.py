"""Clustering → summaries → verdicts: each follows from the one before, once, and says why where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from quick_tasks import without_waits

from respool import Retry, Spool, task
from respool.batch.model import JobState
from respool.clusters.model import identity
from respool.summaries.settings import KEYS, Settings
from respool.summaries.tasks import generation_task, session_with

NAMES = ["clusters", "summaries of clusters"]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool.db") as made:
        yield made


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (name for names in KEYS.values() for name in names):
        monkeypatch.delenv(name, raising=False)


@task(name="tests:clustering", retry=Retry(attempts=1))
async def clustering(payload: Any) -> Any:
    if payload == "broken":
        raise ValueError("no clusters at all")
    return payload


def run(spool: Spool, result: Any, settings: Settings, name: str = "clusters") -> None:
    follow = without_waits(generation_task(settings))
    with session_with(settings):
        spool.submit(clustering, {"clustering": result}, name=name, then=[(follow, "success")]).run(workers=2)


def test_a_clustering_that_has_ended_is_followed_by_its_summaries_once(spool: Spool, small: Any, provider: Any) -> None:
    server = provider()
    settings = Settings(provider=server.url, model="extractive")
    run(spool, small.to_data(), settings)
    run(spool, small.to_data(), settings)
    assert [job.name for job in spool.jobs()] == NAMES
    assert spool.jobs()[1].counts == {"done": 6}
    assert server.requests == 6


def test_a_cached_clustering_is_followed_too_and_its_summaries_are_cached(spool: Spool, small: Any, provider: Any) -> None:
    server = provider()
    settings = Settings(provider=server.url, model="extractive")
    run(spool, small.to_data(), settings)
    run(spool, small.to_data(), settings, name="the same")
    first, second = spool.jobs()[1], spool.jobs()[3]
    assert spool.jobs()[2].counts == {"cached": 1}
    assert (first.counts, second.counts) == ({"done": 6}, {"cached": 6})
    assert server.requests == 6


def test_only_changed_clusters_are_written_again_and_they_say_why(spool: Spool, small: Any, provider: Any) -> None:
    server = provider()
    settings = Settings(provider=server.url, model="extractive")
    run(spool, small.to_data(), settings)
    first, *rest = small.clusters
    members = (*first.members[2:], "NEW1")
    changed = replace(first, members=members, identity=identity(members, first.kind))
    swapped = [replace(rest[1], number=rest[0].number), replace(rest[0], number=rest[1].number), *rest[2:]]
    run(spool, replace(small, clusters=(changed, *swapped)).to_data(), settings)
    assert server.requests == 7  # two clusters changed their numbers: that is no change of theirs
    why = {item.key: item.payload["why"] for item in spool.job(NAMES[1]).items() if str(item.state) == "done"}
    assert why[str(first.number)] == "members changed +1/−2"


@pytest.mark.parametrize(("result", "settings", "reason"), [
    ("clusters", Settings(), "no provider is configured"),
    ("clusters", Settings(provider="google"),
     "no key for google: GEMINI_API_KEY or GOOGLE_API_KEY is not set, or a placeholder"),
    (None, Settings(provider="http://127.0.0.1:9/v1", model="m"), "no clusters"),
    ({}, Settings(), "no clusters"),
])  # fmt: skip
def test_where_nothing_follows_the_reason_is_recorded(
    spool: Spool, small: Any, result: Any, settings: Settings, reason: str
) -> None:
    run(spool, small.to_data() if result == "clusters" else result, settings)
    child = spool.jobs()[1]
    assert (child.state(), child.skipped_reason) == (JobState.SKIPPED, reason)


def test_what_was_skipped_is_done_when_a_provider_is_configured(spool: Spool, small: Any, provider: Any) -> None:
    run(spool, small.to_data(), Settings())
    run(spool, small.to_data(), Settings(provider=provider().url, model="extractive"))
    assert spool.jobs()[1].counts == {"done": 6}


def test_a_failed_clustering_is_followed_by_nothing(spool: Spool) -> None:
    run(spool, "broken", Settings(provider="http://127.0.0.1:9/v1", model="m"))
    assert [job.name for job in spool.jobs()] == ["clusters"]


def test_the_judge_follows_the_summaries(spool: Spool, small: Any, provider: Any) -> None:
    server = provider()
    run(spool, small.to_data(), Settings(provider=server.url, model="extractive", judge="judge"))
    assert [job.name for job in spool.jobs()] == [*NAMES, "verdicts on summaries of clusters"]
    assert spool.jobs()[2].counts == {"done": 6}
    assert server.requests == 12
