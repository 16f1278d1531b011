"""What makes a summary another one, and the reason that is told for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from real_clusters import functional

from respool.batch.sources import fingerprint
from respool.canonical import encode
from respool.clusters.confidence import confidence
from respool.clusters.model import Cluster, identity
from respool.summaries.identity import ASIDE, Known, Work, work_of
from respool.summaries.settings import Model, Settings
from respool.summaries.tasks import generation_task

MODEL = Model("openai", "gpt-5-mini")
TRUST = confidence(functional().clusters[0])


def work(**changes: Any) -> Work:
    whole = functional()
    return replace(work_of(whole, whole.clusters[0], MODEL), **changes)


def known(*works: Work) -> Known:
    return Known([one.payload("new", TRUST) for one in works])


@pytest.mark.parametrize(("before", "why"), [
    ({}, None),
    ({"prompt": "another"}, "prompt changed"),
    ({"schema": "another"}, "schema changed"),
    ({"model": replace(MODEL, name="gpt-4o")}, "model (gpt-4o → gpt-5-mini) changed"),
    ({"model": replace(MODEL, temperature=0.7)}, "model's parameters changed"),
    ({"strict": True}, "strictness changed"),
    ({"evidence": replace(work().evidence, stability=0.01)}, "evidence changed"),
    ({"prompt": "another", "evidence": replace(work().evidence, stability=0.01)}, "evidence, prompt changed"),
])  # fmt: skip
def test_a_miss_says_why(before: dict[str, Any], why: str | None) -> None:
    assert known(work(**before)).why(work()) == why


def test_a_cluster_with_other_members_is_recognised_and_its_changes_are_counted() -> None:
    whole = functional()
    old = whole.clusters[0]
    members = (*old.members[3:], "NEW1", "NEW2")
    changed = replace(old, members=members, identity=identity(members, old.kind))
    assert known(work()).why(work_of(whole, changed, MODEL)) == "members changed +2/−3"
    assert known(work()).why(work_of(whole, whole.clusters[1], MODEL)) == "new"
    assert Known([]).why(work()) == "new"


def test_another_edition_is_made_when_it_is_asked_for_and_then_is_the_current_one() -> None:
    assert known().current(work(), forced=True).edition == 0  # there is none yet
    second = known(work()).current(work(), forced=True)
    assert (second.edition, known(work()).why(second)) == (1, "forced")
    assert known(work(), second).current(work()) == second
    assert known(work(), second).why(second) is None


def test_the_most_alike_reason_is_told_where_several_models_were_asked() -> None:
    several = known(work(model=replace(MODEL, name="a"), prompt="p"), work(model=replace(MODEL, name="b")))
    assert several.why(work()) == "model (b → gpt-5-mini) changed"


def test_what_stands_aside_is_no_part_of_the_key_and_all_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    task = generation_task(Settings(provider="http://127.0.0.1:1/v1", model="m"))
    assert set(task.aside) == set(ASIDE)
    plain = work().payload("new", TRUST)
    told = {name: value for name, value in plain.items() if name not in ASIDE}
    assert fingerprint(task, "1", encode(told)) != fingerprint(task, "1", encode({**told, "edition": 1}))
    assert Work.of_payload(plain) == work() == Work.of_payload({**plain, "why": None})


def test_payloads_of_other_versions_are_no_hits_and_no_errors() -> None:
    assert Known([{"some": "thing"}, None, 3]).why(work()) == "new"


def test_swapped_numbers_change_nothing() -> None:
    """A cluster's number is no part of what its summary is known by."""
    whole = functional()
    first: Cluster = whole.clusters[0]
    assert work_of(whole, replace(first, number=99, parent=3), MODEL) == work()
