"""respool's real command line: started, timed against the spool's own stamps, its memory sampled."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.contest import ROOT, sample
from bench.figures import Broken, Json, Skip

DEADLINE = 900.0


def command() -> list[str]:
    """The installed `respool` of this environment. Raises Skip if there is none."""
    script = Path(sys.executable).with_name("respool")
    if not script.exists():
        raise Skip(f"{script} is not there (pip install -e .)")
    return [str(script)]


class Ran(NamedTuple):
    """A command that has ended. `spawned_us` is UTC microseconds, as the spool's stamps are; `pss_mb` every 100 ms."""

    code: int
    seconds: float
    spawned_us: int
    pss_mb: list[float]
    output: str


def respool(
    arguments: Sequence[str], folder: Path, *, expect: Sequence[int] = (0,), env: dict[str, str] | None = None
) -> Ran:
    """Run `respool ARGUMENTS` with the spool in `folder`. Raises Broken, with its last line, for another exit code."""
    program = command()

    with (folder / "command.log").open("wb") as log:
        spawned_us, begin = time.time_ns() // 1000, time.perf_counter()
        process = subprocess.Popen(
            [*program, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "RESPOOL_SPOOL": str(folder / "spool.db"), **(env or {})}, start_new_session=True,
        )  # fmt: skip
        samples = sample(process, begin + DEADLINE)
    seconds = time.perf_counter() - begin
    output = (folder / "command.log").read_text(encoding="utf-8", errors="replace")
    if process.returncode not in expect:
        last = (output.strip().splitlines() or ["it printed nothing"])[-1]
        raise Broken(f"respool {' '.join(arguments)} ended with {process.returncode}: {last}")
    return Ran(process.returncode, seconds, spawned_us, samples, output)


def run_items(source: Path, folder: Path, *options: str, **how: Any) -> Ran:
    """`respool run` of the no-op task over a JSONL file, with 4 workers and no live view."""
    command = ["run", "bench.tasks:noop", "--items", str(source), "--name", "bench", "--workers", "4", "--no-tui"]
    return respool([*command, *options], folder, **how)


def write_items(path: Path, numbers: Sequence[int]) -> None:
    """A JSONL file with one item per number."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f'{{"key": "item-{n:07d}", "n": {n}}}\n' for n in numbers)


def ask(folder: Path, sql: str) -> Any:
    """The first column of the first row of a query of the spool."""
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'spool.db'}?mode=ro", uri=True, timeout=5)) as spool:
        return spool.execute(sql).fetchone()[0]


def first_start_s(folder: Path, ran: Ran) -> float:
    """Seconds from the start of the command to the start of the first attempt of the newest session."""
    started = ask(
        folder, "SELECT min(started_at) FROM attempts WHERE session_id = (SELECT max(id) FROM sessions)"
    )  # fmt: skip
    if started is None:
        raise Broken("the run started no item")
    return (int(started) - ran.spawned_us) / 1e6


def row(what: str, target: str, value: float | str | None, unit: str, ok: bool | None, detail: str) -> Json:
    """One line of the table of targets; `ok` is None for a figure without a target."""
    return {"what": what, "target": target, "value": value, "unit": unit, "ok": ok, "detail": detail}
