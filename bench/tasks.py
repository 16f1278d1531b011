"""The tasks that respool runs in the bench: the same work as every contestant's (items.py), in each mode."""

from __future__ import annotations

import os
from typing import Any

from bench import items
from respool import GiveUp, task

Payload = dict[str, Any]


@task
async def run_async(payload: Payload) -> str:
    return await items.work_async(payload["work"], payload["key"], payload["folder"])


@task(mode="thread")
def run_thread(payload: Payload) -> str:
    return items.work(payload["work"], payload["key"], payload["folder"])


@task(mode="process")
def run_process(payload: Payload) -> str:
    return items.work(payload["work"], payload["key"], payload["folder"])


@task
async def noop(payload: Payload) -> None:
    """Nothing; but the item that the environment names fails for good."""
    if payload["n"] == int(os.environ.get("BENCH_FAILS", "-1")):
        raise GiveUp("asked to fail by the bench")
