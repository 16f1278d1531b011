"""A run with somebody at its side: signals that reach it, a watcher who looks at it, a caller whose loop is busy."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from respool.batch.report import RunReport
from respool.batch.runner import Runner
from respool.batch.snapshot import Snapshot

Watcher = Callable[[Snapshot], None]
VIEW = 0.1  # seconds between two looks of a watcher


@contextlib.contextmanager
def signalled(runner: Runner) -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal stop the runner; the list says which came. Only in the main thread."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        caught.append(number)
        runner.stop(signal.Signals(number).name)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    try:
        yield caught
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def watched(runner: Runner, watcher: Watcher | None) -> None:
    """Run to the end; `watcher` sees a snapshot ten times a second, and one after the last commit."""
    if watcher is None:
        await runner.run()
        return

    async def look() -> None:
        while True:
            watcher(runner.snapshot())
            await asyncio.sleep(VIEW)

    looking = asyncio.create_task(look())
    try:
        await runner.run()
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        watcher(runner.snapshot())


def in_a_thread(call: Coroutine[Any, Any, RunReport]) -> RunReport:
    """Run the engine in a thread of its own: the caller's event loop is busy being waited for."""
    answer: list[RunReport | BaseException] = []

    def work() -> None:
        try:
            answer.append(asyncio.run(call))
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=work, name="respool-engine")
    thread.start()
    thread.join()
    if isinstance(answer[0], BaseException):
        raise answer[0]
    return answer[0]
