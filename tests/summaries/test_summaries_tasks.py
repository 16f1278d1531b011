"""Jobs of summaries over real clusters and real HTTP: what failures cost, what stops a job, what is never asked twice."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from respool.batch.model import ItemState, Kind
from respool.batch.store.intake import Wishes
from respool.errors import TryFailed, UsageError
from respool.summaries.provider import Answer, Question, Usage
from respool.summaries.result import calls_of, judge_of, spent, tally
from respool.summaries.settings import Model
from respool.summaries.tasks import RETRY, generation_task, rows_of


def kinds(handle: Any) -> dict[str, str | None]:
    return {item.key: item.kind for item in handle.items()}


def calls(summaries: Any, handle: Any) -> dict[str, list[str]]:
    """The outcome of each call of each cluster."""
    database = summaries.spool.database()
    return {item.key: [call.outcome for call in calls_of(database, item)] for item in handle.items()}


def test_every_cluster_gets_its_summary_once(summaries: Any, provider: Any, small: Any) -> None:
    server = provider()
    handle = summaries.run(small, summaries.settings(server), workers=3)
    assert set(summaries.states(handle).values()) == {"done"}
    assert server.requests == 6
    summaries.run(small, summaries.settings(server))
    assert server.requests == 6
    for result in handle.results().values():
        assert result["summary"]["tags"][0] == "extractive"
        assert result["asked"]["model"] == f"extractive at {server.url}"


@pytest.mark.parametrize(("fault", "outcome"), [
    ("truncated", "truncated"), ("malformed", "invalid"), ("ungrounded", "invalid"), ("503", "unavailable"),
    ("disconnect", "unavailable"),
])  # fmt: skip
def test_what_goes_wrong_once_costs_a_try_and_is_mended(
    summaries: Any, provider: Any, small: Any, fault: str, outcome: str
) -> None:
    server = provider({1: fault})
    handle = summaries.run(replace(small, clusters=small.clusters[:2]), summaries.settings(server))
    assert set(summaries.states(handle).values()) == {"done"}
    assert sorted(calls(summaries, handle).values()) == [[outcome, "valid"], ["valid"]]
    assert server.requests == 3


def test_a_repair_is_asked_with_the_finding(summaries: Any, provider: Any, small: Any) -> None:
    server = provider({1: "ungrounded"})
    handle = summaries.run(replace(small, clusters=small.clusters[:1]), summaries.settings(server))
    (item,) = handle.items()
    first, second = calls_of(summaries.spool.database(), item)
    assert first.findings == (f"$.themes[0].genes[{len(json.loads(first.answer)['themes'][0]['genes']) - 1}]: 'BRCA3': "
                              "it is no member that is shown",)  # fmt: skip
    assert first.findings[0] in second.question
    assert item.result["asked"]["calls"] == 2
    assert item.result["asked"]["usage"]["input"] == first.usage.input + second.usage.input


def test_never_more_than_three_answered_calls(summaries: Any, provider: Any, small: Any) -> None:
    server = provider(dict.fromkeys(range(1, 100), "ungrounded"))
    handle = summaries.run(small, summaries.settings(server), workers=3)
    assert server.requests == 18
    assert set(kinds(handle).values()) == {Kind.INVALID}
    assert tally(summaries.spool.database(), handle.read()).failed == 6


def test_no_question_is_asked_twice(summaries: Any, provider: Any, small: Any) -> None:
    """A model at temperature 0 would give the answer again that could not be used."""
    server = provider(dict.fromkeys(range(1, 100), "truncated"))
    handle = summaries.run(replace(small, clusters=small.clusters[:1]), summaries.settings(server))
    (item,) = handle.items()
    asked = [call.question for call in calls_of(summaries.spool.database(), item)]
    assert len(set(asked)) == 3
    assert "Your answer 2 cannot be used" in asked[2]
    assert re.fullmatch(r"the answer was cut after \d+ tokens, before the 2000 that are allowed; be briefer", item.message)


def test_a_question_that_is_too_long_for_the_model_is_told_as_such(summaries: Any, provider: Any, small: Any) -> None:
    server = provider({1: "too_long"})
    handle = summaries.run(replace(small, clusters=small.clusters[:1]), summaries.settings(server))
    (item,) = handle.items()
    assert item.attempts == 1
    assert f"the question is too long for extractive at {server.url}: request (9012 tokens) exceeds" in item.message
    assert "give the model a larger context" in item.message


def test_a_throttle_uses_no_try_and_closes_the_key(summaries: Any, provider: Any, small: Any) -> None:
    server = provider({1: "429", 2: "ungrounded", 3: "truncated"})
    handle = summaries.run(replace(small, clusters=small.clusters[:1]), summaries.settings(server))
    (item,) = handle.items()
    assert [call.outcome for call in calls_of(summaries.spool.database(), item)] == [
        "rate_limited", "invalid", "truncated", "valid",
    ]  # fmt: skip
    assert item.result["asked"]["calls"] == 3


def test_a_refusal_is_final_and_does_not_stop_the_others(summaries: Any, provider: Any, small: Any) -> None:
    server = provider({1: "refused"})
    handle = summaries.run(small, summaries.settings(server))
    failed = [item for item in handle.items() if item.state is ItemState.FAILED]
    assert [(item.kind, item.message, item.attempts) for item in failed] == [
        (Kind.REFUSED, "the model declined: I cannot help with that.", 1)
    ]
    assert server.requests == 6


class Asked(list[Question]):
    """Answers (or fails) as told, and keeps the questions."""

    def __init__(self, answer: Answer | Exception) -> None:
        self._answer = answer

    async def __call__(self, model: Model, question: Question) -> Answer:
        self.append(question)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("kind", ["unauthorised", "quota"])
def test_what_no_other_cluster_would_survive_stops_the_job_with_one_message(summaries: Any, small: Any, kind: str) -> None:
    ask = Asked(TryFailed(kind, "no such key"))
    handle = summaries.run(small, summaries_settings(), ask=ask)
    assert len(ask) == 1
    pause = summaries.report.paused[handle.id]
    assert "no such key" in pause.reason
    assert handle.read().counts == {ItemState.PENDING: 6}


def summaries_settings(**more: Any) -> Any:
    from respool.summaries.settings import Settings

    return Settings(provider="http://127.0.0.1:9/v1", model="m", **more)


def test_a_limit_on_the_cost_stops_the_job_and_keeps_all(summaries: Any, small: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    from respool.summaries.settings import Settings

    settings = Settings(provider="openai", model="gpt-4o", max_cost=0.04, max_tokens=500)
    empty = {
        "title": "t", "summary": "s", "coherence": "unrelated", "themes": [], "not_explained": [], "tags": [],
        "confidence": "none", "confidence_reason": "r",
    }  # fmt: skip
    ask = Asked(Answer(json.dumps(empty), "stop", Usage(600, 500), 0.1))  # $0.0065 each
    handle = summaries.run(small, settings, ask=ask)
    counts = handle.read().counts
    assert 0 < counts[ItemState.DONE] < 6
    assert counts[ItemState.DONE] + counts[ItemState.PENDING] == 6
    cost = spent(summaries.spool.database(), handle.read()).cost
    assert cost == pytest.approx(0.0065 * len(ask))
    assert cost <= 0.04
    assert "limit on the cost" in summaries.report.paused[handle.id].reason
    summaries.run(small, replace(settings, max_cost=1.0), ask=ask)
    assert handle.read().counts == {ItemState.DONE: 6}
    assert len(ask) == 6


def test_a_malformed_row_is_one_failed_cluster(summaries: Any, provider: Any, small: Any) -> None:
    data = small.to_data()
    data["clusters"][2]["members"] = "not a list"
    data["clusters"].append(None)
    handle = summaries.run(data, summaries.settings(provider()))
    failed = {item.key: item.message for item in handle.items() if item.state is ItemState.FAILED}
    assert set(failed) == {"row 3", "row 7"}
    assert "members" in str(failed["row 3"])
    assert tally(summaries.spool.database(), handle.read()).succeeded == 5


@pytest.mark.parametrize("nothing", [None, {}, [], {"clusters": []}, {"clusters": None}])
def test_empty_and_null_are_no_clusters(nothing: Any) -> None:
    assert rows_of(nothing) == []


@pytest.mark.parametrize("wrong", ["text", 3, {"clusters": "x"}, {"kind": "functional"}])
def test_what_is_no_clustering_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):
        rows_of(wrong if wrong != {"kind": "functional"} else {"clusters": [1], "kind": "functional"})


def test_failed_ones_are_no_hits_and_are_tried_again_when_asked_for(summaries: Any, provider: Any, small: Any) -> None:
    server = provider({1: "refused"})
    settings = summaries.settings(server)
    summaries.run(small, settings)
    handle = summaries.run(small, settings)
    assert server.requests == 6
    summaries.run(small, settings, wishes=Wishes(retry_failed=True))
    assert server.requests == 7
    assert handle.read().counts == {ItemState.DONE: 6}


def test_forced_ones_are_another_edition(summaries: Any, provider: Any, small: Any) -> None:
    server = provider()
    settings = summaries.settings(server)
    handle = summaries.run(small, settings)
    first = next(handle.items()).key
    summaries.run(small, settings, force=[first])
    assert server.requests == 7
    item = next(handle.items())
    assert (item.payload["edition"], item.payload["why"]) == (1, "forced")
    summaries.run(small, settings)  # what was forced is what there is now
    assert server.requests == 7


def test_the_judge_sees_the_same_evidence_and_is_a_job_of_its_own(summaries: Any, provider: Any, small: Any) -> None:
    server = provider()
    handle = summaries.run(small, summaries.settings(server, judge="another"))
    judged = judge_of(summaries.spool.database(), handle.read())
    assert judged is not None
    assert server.requests == 12
    generated = {item.key: item.payload["evidence"] for item in handle.items()}
    assert {item.key: item.payload["evidence"] for item in summaries.spool.job(judged.id).items()} == generated
    results = summaries.spool.job(judged.id).results()
    assert all(not result["rejected"] and result["verdicts"] for result in results.values())
    summaries.run(small, summaries.settings(server, judge="a third"))  # judged again, generated not
    assert server.requests == 18
    assert {item.payload["model"]["name"] for item in summaries.spool.job(judged.id).items()} == {"a third"}


def test_an_unjudged_summary_is_reused_and_only_judged_again(summaries: Any, provider: Any, small: Any) -> None:
    server = provider(dict.fromkeys(range(7, 60), "503"))
    handle = summaries.run(small, summaries.settings(server, judge="another"))
    judged = judge_of(summaries.spool.database(), handle.read())
    assert judged is not None
    assert tally(summaries.spool.database(), handle.read()).rejected == 0  # an outage is no verdict
    assert not summaries.spool.job(judged.id).results()
    before, server.faults = server.requests, {}
    summaries.spool.job(judged.id).retry()
    summaries.run(small, summaries.settings(server, judge="another"))
    assert server.requests == before + 6
    assert len(summaries.spool.job(judged.id).results()) == 6


class Against(Asked):
    """Writes nothing, and bears nothing out."""

    def __init__(self) -> None: ...

    async def __call__(self, model: Model, question: Question) -> Answer:
        self.append(question)
        if question.schema_name == "judgement":
            said: Any = {"verdicts": [{"claim": 1, "verdict": "contradicted", "reason": "it is not there"}]}
        else:
            said = {
                "title": "t", "summary": "s", "coherence": "unrelated", "themes": [], "not_explained": [], "tags": [],
                "confidence": "none", "confidence_reason": "r",
            }  # fmt: skip
        return Answer(json.dumps(said), "stop", Usage(1, 1), 0.0)


def test_a_rejected_summary_stays_rejected_until_asked_for(summaries: Any, small: Any) -> None:
    ask, settings = Against(), summaries_settings(judge="j")
    handle = summaries.run(small, settings, ask=ask)
    assert tally(summaries.spool.database(), handle.read()).to_data() == {
        "total": 6, "succeeded": 0, "failed": 0, "skipped": 0, "rejected": 6, "cancelled": 0, "remaining": 0,
    }  # fmt: skip
    assert len(ask) == 12
    summaries.run(small, settings, ask=ask)
    assert len(ask) == 12
    key = next(handle.items()).key
    summaries.run(small, settings, ask=ask, force=[key])
    assert len(ask) == 13  # the same text again: what the judge said of it stands


def test_waits_are_two_to_the_nth_and_up_to_a_second(summaries: Any) -> None:
    assert [RETRY.wait(1, 0.0), RETRY.wait(1, 0.999), RETRY.wait(2, 0.0)] == [2.0, 2.999, 4.0]
    assert RETRY.attempts == 3


def test_a_job_has_an_hour_and_a_limit_on_its_calls() -> None:
    task = generation_task(summaries_settings(requests_per_minute=30, tokens_per_minute=50_000))
    assert task.job_timeout == 3600.0
    (limit,) = task.limits
    assert str(limit) == "5/min"  # 50,000 tokens hold five calls of the largest kind
    assert str(generation_task(summaries_settings(requests_per_minute=30)).limits[0]) == "30/min"
