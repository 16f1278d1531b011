"""How the end of a run is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from respool.batch.model import ItemState, Job
from respool.batch.report import RunReport, summary

JOB = Job(
    id=7, name="genes", task="m:f", version="1", settings={}, source={}, generation=1, created_at=0, updated_at=0,
    sealed_at=1, ended_at=1, paused_at=None, paused_reason=None, resume_at=None, cancelled_at=None, skipped_reason=None,
    parent=None,
    counts={ItemState.FAILED: 1, ItemState.DONE: 97, ItemState.CACHED: 2, ItemState.SKIPPED: 0},
)  # fmt: skip


@pytest.mark.parametrize(("facts", "told"), [
    ({}, "genes #7: 97 done, 2 cached, 1 failed"),
    ({"counts": {}}, "genes #7: no items"),
    ({"skipped_reason": "no items"}, "genes #7: skipped (no items)"),
    ({"paused_at": 1, "paused_reason": "check the key"}, "genes #7: 97 done, 2 cached, 1 failed (paused: check the key)"),
])  # fmt: skip
def test_a_job_in_a_line(facts: dict[str, object], told: str) -> None:
    assert summary(replace(JOB, **facts)) == told  # type: ignore[arg-type]


def test_a_run_is_a_line_for_each_job() -> None:
    jobs = [JOB, replace(JOB, id=8)]
    assert str(RunReport(jobs, None, {}, 1.0)).splitlines() == [summary(job) for job in jobs]
