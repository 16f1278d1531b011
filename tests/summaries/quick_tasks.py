"""Tasks of summaries for tests that do not wait."""

from __future__ import annotations

from dataclasses import replace

from respool.batch.declaration import Task


def without_waits(task: Task) -> Task:
    """The task with its budgets and without its waits."""
    retry = replace(task.retry, base=0.0, spread=0.0)
    return replace(task, retry=retry, then=tuple((without_waits(follow), on) for follow, on in task.then))
