"""A small runner for the tests of commands: real shims, real programs, reports collected in a list."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from respool.batch.declaration import Command, Mode, Task
from respool.batch.model import Attempt, Outcome
from respool.batch.places import Places
from respool.batch.workers.commands import CommandWorkers

# One for this test process and the runners that it starts, so that tests side by side do not end each other's strays.
SPOOL = os.environ.setdefault("TEST_SPOOL", f"spool-{os.getpid()}")
PATIENCE = 30.0


def attempt(item: int = 1, *, key: str = "a", number: int = 1, payload: Any = None) -> Attempt:
    return Attempt(item, number, 1, key, json.dumps(payload), "f" * 32, "nonce")


def task(*argv: str, timeout: float | None = None, memory: int | None = None, **command: Any) -> Task:
    return Task("t", Mode.COMMAND, timeout=timeout, memory=memory, command=Command(argv, **command))


def shell(script: str, **options: Any) -> Task:
    return task("/bin/sh", "-c", script.replace("{", "{{").replace("}", "}}"), **options)


def python(code: str, **options: Any) -> Task:
    return task(sys.executable, "-c", code.replace("{", "{{").replace("}", "}}"), **options)


class Bench:
    """Workers in a running loop, and what they reported."""

    def __init__(self, places: Places, size: int = 4, **options: Any) -> None:
        self.places = places
        self.reports: list[tuple[Attempt, Outcome]] = []
        options.setdefault("grace", 0.3)
        self.workers = CommandWorkers(
            size, self._report, lambda *_: None, spool_id=SPOOL, places=places, **options
        )  # fmt: skip

    def _report(self, tried: Attempt, outcome: Outcome) -> None:
        self.reports.append((tried, outcome))

    def outcome(self, tried: Attempt) -> Outcome | None:
        found = [outcome for one, outcome in self.reports if one == tried]
        assert len(found) <= 1, "an attempt reports once"
        return found[0] if found else None

    def output(self, tried: Attempt) -> str:
        return (self.places.attempt(tried.item, tried.number) / "output.log").read_text(encoding="utf-8")

    async def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "this should have happened long ago"
            await asyncio.sleep(0.01)

    async def wait(self, tried: Attempt) -> Outcome:
        await self.until(lambda: self.outcome(tried) is not None)
        outcome = self.outcome(tried)
        assert outcome is not None
        return outcome


def run(folder: Path, job: Task, tried: Attempt | None = None, **options: Any) -> tuple[Outcome, Bench]:
    """Run one attempt to its end."""
    one = tried or attempt()

    async def go() -> tuple[Outcome, Bench]:
        bench = Bench(Places.at(folder / "spool.db"), **options)
        bench.workers.put(one, job)
        outcome = await bench.wait(one)
        await bench.workers.close()
        return outcome, bench

    return asyncio.run(go())


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "this should have happened long ago"
        time.sleep(0.01)
