"""Jobs and items as documents for machines: the one form that the command line's --json and the web API share.

Instants are RFC 3339 in UTC. docs/jobs-show.schema.json describes the job's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from respool.batch.model import Item, ItemState, Job
from respool.clock import rfc3339


def instant(at: int | None) -> str | None:
    """An instant for machines."""
    return None if at is None else rfc3339(at)


def state_text(state: ItemState, *, alive: bool) -> str:
    """An item's state; what says running is interrupted if no runner is `alive`."""
    return "interrupted" if state is ItemState.RUNNING and not alive else str(state)


def awaits_its_items(job: Job) -> bool:
    """Whether a job is a follow-up of which nothing is there yet but respool's own item, which will make the others."""
    return job.parent is not None and job.sealed_at is None and job.counts == {ItemState.PENDING: 1}


def counts_data(counts: Mapping[ItemState, int], *, alive: bool) -> dict[str, int]:
    """The counts: every state, and how many only say that they run though no runner is `alive`."""
    data = {str(state): counts.get(state, 0) for state in ItemState}
    if not alive:
        data["running"], data["interrupted"] = 0, data["running"]
    return {"interrupted": 0, **data}


def job_data(job: Job, *, alive: bool = False) -> dict[str, Any]:
    """A job; `alive` says if a runner is."""
    return {
        "id": job.id, "name": job.name, "task": job.task, "version": job.version, "state": str(job.state(runner_alive=alive)),
        "total": job.total, "counts": counts_data(job.counts, alive=alive), "generation": job.generation,
        "created_at": instant(job.created_at), "updated_at": instant(job.updated_at), "ended_at": instant(job.ended_at),
        "paused": None if job.paused_at is None else {
            "since": instant(job.paused_at), "reason": job.paused_reason, "resume_at": instant(job.resume_at)
        },
        "skipped_reason": job.skipped_reason, "parent": job.parent,
    }  # fmt: skip


def item_data(item: Item, *, alive: bool) -> dict[str, Any]:
    """An item with its payload and result; `alive` says if a runner is."""
    return {
        "key": item.key, "state": state_text(item.state, alive=alive), "reason": item.reason, "kind": item.kind,
        "message": item.message, "attempts": item.attempts, "failures": item.failures, "crashes": item.crashes,
        "not_before": instant(item.not_before) if 0 < item.not_before < 1 << 62 else None,
        "started_at": instant(item.started_at), "ended_at": instant(item.ended_at), "payload": item.payload,
        "result": item.result,
    }  # fmt: skip
