"""The work of one item, the same for every contestant that runs Python: nothing, a millisecond, or a trial item.

A trial item sleeps 20 ms and then leaves its key in a log of effects, so that an item that was lost, or that took
effect twice, can be counted after a kill.
"""

from __future__ import annotations

import asyncio
import os
import time

WORKS = ("noop", "1ms", "trial")
_SECONDS = {"noop": 0.0, "1ms": 0.001, "trial": 0.02}


def work(kind: str, key: str, folder: str) -> str:
    """Do one item, blocking; returns its key."""
    if _SECONDS[kind]:
        time.sleep(_SECONDS[kind])
    if kind == "trial":
        leave_effect(folder, key)
    return key


async def work_async(kind: str, key: str, folder: str) -> str:
    """Do one item in an event loop; returns its key."""
    if _SECONDS[kind]:
        await asyncio.sleep(_SECONDS[kind])
    if kind == "trial":
        leave_effect(folder, key)
    return key


def leave_effect(folder: str, key: str) -> None:
    """Append the key to the log of effects: one write, so that lines of several processes never mix."""
    log = os.open(f"{folder}/effects.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, f"{key}\n".encode())
    finally:
        os.close(log)


def keys(count: int) -> list[str]:
    """The keys of `count` items."""
    return [f"item-{number:07d}" for number in range(count)]
