"""respool: calls to slow, paid and rate-limited services, recorded once, replayed exactly, pushed through in batches.

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
    from respool.cassette.hosts import play_inside
    from respool.cassette.matching import Matching
    from respool.cassette.recording import Recording, use_cassette
    from respool.cassette.redaction import Env, Form, Header, Json, Query, Value
    from respool.errors import GiveUp, RequestNotRecorded, RespoolError, RetryLater, SkipItem
    from respool.pace import Limit

__all__ = [
    "Breaker", "Context", "Env", "Form", "GiveUp", "Header", "JobHandle", "Json", "Limit", "Matching", "Query",
    "Recording", "RequestNotRecorded", "RespoolError", "Retry", "RetryLater", "RunReport", "SkipItem", "Spool", "Value",
    "play_inside", "task", "use_cassette",
]  # fmt: skip

_HOMES = {
    "Breaker": "respool.batch.policy", "Retry": "respool.batch.policy",
    "JobHandle": "respool.batch.spool", "RunReport": "respool.batch.report", "Spool": "respool.batch.spool",
    "Context": "respool.batch.context", "task": "respool.batch.tasks",
    "GiveUp": "respool.errors", "RespoolError": "respool.errors", "RetryLater": "respool.errors",
    "SkipItem": "respool.errors", "Limit": "respool.pace", "RequestNotRecorded": "respool.errors",
    "Matching": "respool.cassette.matching", "play_inside": "respool.cassette.hosts",
    "Recording": "respool.cassette.recording", "use_cassette": "respool.cassette.recording",
    **dict.fromkeys(("Env", "Form", "Header", "Json", "Query", "Value"), "respool.cassette.redaction"),
}  # fmt: skip


def __getattr__(name: str) -> object:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'respool' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found  # the next use does not come here
    return found
