"""Tasks that behave in every way that workers must cope with: each once as `async def` (…_async), once plain."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from respool.batch.context import Context
from respool.errors import GiveUp, RetryLater, SkipItem


def nothing(payload: Any) -> None:
    pass


def echo(payload: Any) -> Any:
    return payload


def fail(payload: Any) -> None:
    raise ValueError(f"bad {payload['n']}")


def invalid(payload: Any) -> Any:
    return {"rows": [1, {2}]}


def skip(payload: Any) -> None:
    raise SkipItem("nothing to do")


def later(payload: Any) -> None:
    raise RetryLater(2.5, "not yet")


def give_up(payload: Any) -> None:
    raise GiveUp("hopeless")


def leave(payload: Any) -> None:
    raise SystemExit(3)


seen: ContextVar[int] = ContextVar("seen", default=0)


def remember(payload: Any) -> int:
    """What was remembered before us in our own context: nothing."""
    before = seen.get()
    seen.set(payload["n"])
    return before


def told(payload: Any, context: Context) -> Any:
    context.note("half way")
    (context.folder / "mine.txt").write_text("x")
    return [context.key, context.attempt, context.job, context.idempotency_key, context.payload]


def hang(payload: Any) -> None:
    Path(payload["started"]).touch()
    time.sleep(60)


def crowd(payload: Any) -> int:
    """How many of us are at work at this moment, ourselves included."""
    mine = Path(payload["folder"]) / str(payload["n"])
    mine.touch()
    time.sleep(0.02)
    count = len(list(mine.parent.iterdir()))
    mine.unlink()
    return count


async def nothing_async(payload: Any) -> None:
    pass


async def echo_async(payload: Any) -> Any:
    await asyncio.sleep(0)
    return payload


async def fail_async(payload: Any) -> None:
    fail(payload)


async def invalid_async(payload: Any) -> Any:
    return invalid(payload)


async def skip_async(payload: Any) -> None:
    skip(payload)


async def later_async(payload: Any) -> None:
    later(payload)


async def give_up_async(payload: Any) -> None:
    give_up(payload)


async def leave_async(payload: Any) -> None:
    leave(payload)


async def remember_async(payload: Any) -> int:
    token = seen.set(seen.get() + 1)
    await asyncio.sleep(0)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    seen.reset(token)
    before = remember(payload)
    assert await asyncio.create_task(inherited()) == payload["n"]
    return before


async def inherited() -> int:
    return seen.get()


async def told_async(payload: Any, context: Context) -> Any:
    return told(payload, context)


async def hang_async(payload: Any) -> None:
    Path(payload["started"]).touch()
    await asyncio.sleep(60)


async def crowd_async(payload: Any) -> int:
    mine = Path(payload["folder"]) / str(payload["n"])
    mine.touch()
    await asyncio.sleep(0.02)
    count = len(list(mine.parent.iterdir()))
    mine.unlink()
    return count


# -- poison -----------------------------------------------------------------------------------------------------------


def segfault(payload: Any) -> None:
    ctypes.string_at(0)


def die(payload: Any) -> None:
    os._exit(payload["code"])


def killed(payload: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hog(payload: Any) -> int:
    held = [bytearray(1 << 20) for _ in range(payload["megabytes"])]
    return len(held)


def daemon(payload: Any) -> int:
    """Leave a child behind that holds every descriptor that it got and wants to live long."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    if payload["then"] == "die":
        os._exit(7)
    return pid


def fork_and_return(payload: Any) -> str:
    """Comes back twice: in this process, and before that in its child."""
    child = os.fork()
    if child == 0:
        return "child"
    os.waitpid(child, 0)
    return "parent"


def pid(payload: Any) -> int:
    return os.getpid()


def slow(payload: Any) -> str:
    Path(payload["started"]).touch()
    time.sleep(payload["seconds"])
    return "finished"


async def stubborn_async(payload: Any) -> None:
    """Swallows every cancellation."""
    Path(payload["started"]).touch()
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


async def very_stubborn_async(payload: Any) -> None:
    Path(payload["started"]).touch()
    for _ in range(200):
        with contextlib.suppress(BaseException):
            await asyncio.sleep(0.05)


async def self_cancelling_async(payload: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    if payload["then"] == "await":
        await asyncio.sleep(1)


async def foreign_cancel_async(payload: Any) -> None:
    raise asyncio.CancelledError("of the task's own making")
