"""Several blocking acts at once, in threads that nobody has to wait for at the end of the program.

Whatever a dead runner left is asked to end and waited for, a few seconds for each: together, they take no longer than
the slowest, and an event loop stays free to hear Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

AT_ONCE = 32

Act = Callable[[], Any]


def at_once(acts: Sequence[Act]) -> list[Any]:
    """What the acts give, in their order. Raises what the first of them that failed has raised.

    >>> at_once([lambda: 1, lambda: 2])
    [1, 2]
    """
    ended = Event()
    answers = _start(acts, ended.set)
    if acts:
        ended.wait()
    return _given(answers)


async def at_once_beside(acts: Sequence[Act]) -> list[Any]:
    """The same beside the event loop. Cancelled, it returns at once; the acts go on unheard."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(ended.set)

    answers = _start(acts, tell)
    if acts:
        await ended.wait()
    return _given(answers)


def _start(acts: Sequence[Act], tell: Callable[[], None]) -> list[tuple[Any, BaseException | None]]:
    waiting: SimpleQueue[tuple[int, Act]] = SimpleQueue()
    for numbered in enumerate(acts):
        waiting.put(numbered)
    answers: list[tuple[Any, BaseException | None]] = [(None, None)] * len(acts)
    left, lock = [len(acts)], Lock()

    def work() -> None:
        with contextlib.suppress(Empty):
            while True:
                number, act = waiting.get_nowait()
                try:
                    answers[number] = (act(), None)
                except BaseException as error:
                    answers[number] = (None, error)
                with lock:
                    left[0] -= 1
                    last = not left[0]
                if last:
                    tell()

    for _ in range(min(AT_ONCE, len(acts))):
        Thread(target=work, name="respool-takeover", daemon=True).start()
    return answers


def _given(answers: Sequence[tuple[Any, BaseException | None]]) -> list[Any]:
    for _, error in answers:
        if error is not None:
            raise error
    return [answer for answer, _ in answers]
