"""respool: calls to slow, paid and rate-limited services, pushed through in durable batches.

The public names are loaded when they are first used: importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respool.batch.context import Context
    from respool.batch.policy import Breaker, Retry
    from respool.batch.report import RunReport
    from respool.batch.spool import JobHandle, Spool
    from respool.batch.tasks import task
    from respool.errors import GiveUp, RespoolError, RetryLater, SkipItem
    from respool.pace import Limit

__all__ = [
    "Breaker", "Context", "GiveUp", "JobHandle", "Limit", "RespoolError", "Retry", "RetryLater", "RunReport",
    "SkipItem", "Spool", "task",
]  # fmt: skip

_HOMES = {
    "Breaker": "respool.batch.policy", "Retry": "respool.batch.policy",
    "JobHandle": "respool.batch.spool", "RunReport": "respool.batch.report", "Spool": "respool.batch.spool",
    "Context": "respool.batch.context", "task": "respool.batch.tasks",
    "GiveUp": "respool.errors", "RespoolError": "respool.errors", "RetryLater": "respool.errors",
    "SkipItem": "respool.errors", "Limit": "respool.pace",
}  # fmt: skip


def __getattr__(name: str) -> object:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'respool' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found  # the next use does not come here
    return found
