"""respool itself: coroutines, threads, processes through the library; one program per item through the command line."""

from __future__ import annotations

import importlib
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench import items as bench_items
from bench.figures import Contestant, Figures, Source

RECORDED = Source(
    "sqlite", "spool.db", "SELECT max(seq), count(*) FROM events WHERE seq > :since AND type = 'item_done'",
    "SELECT count(DISTINCT item_id) FROM attempts WHERE outcome = 'done'",
)  # fmt: skip
COMMANDS = {
    "noop": ["true", "{}"], "1ms": ["sleep", "0.001"],
    "trial": ["sh", "-c", "sleep 0.02; echo $1 >> effects.log", "sh", "{}"],
}  # fmt: skip


def run_mode(mode: str, items: int, workers: int, work: str, folder: Path) -> Figures:
    """Submit `items` items of the task of `mode`, and run them; on a folder with a spool, go on with it."""
    from respool import Spool

    function = getattr(importlib.import_module("bench.tasks"), f"run_{mode}")
    with Spool(folder / "spool.db") as spool:
        begin = time.perf_counter()
        spool.submit(function, items=_rows(items, work, str(folder)), name="bench")
        started = time.perf_counter()
        spool.run(workers=workers)
    return Figures(started, started - begin)


def _rows(count: int, work: str, folder: str) -> Iterator[tuple[str, dict[str, str]]]:
    place = folder if work == "trial" else ""
    for key in bench_items.keys(count):
        yield key, {"key": key, "work": work, "folder": place}


def run_commands(items: int, workers: int, work: str, folder: Path) -> Figures:
    """The same through the real command line, one program per item."""
    from bench.respool_cli import command

    source = folder / "items.jsonl"
    if not source.exists():
        source.write_text("".join(f'{{"key": "{key}"}}\n' for key in bench_items.keys(items)), encoding="utf-8")
    started = time.perf_counter()
    subprocess.run(
        [*command(), "run", "--items", str(source), "--workers", str(workers),
         "--spool", str(folder / "spool.db"), "--no-tui", "--", *COMMANDS[work]],
        cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return Figures(started)


def _of_mode(mode: str, **items: int) -> Contestant:
    name = f"respool_{mode}"
    return Contestant(name, items, RECORDED, partial(run_mode, mode), same_kind=name)


CONTESTANTS = (
    _of_mode("async", **{"noop": 100_000, "1ms": 8_000, "trial": 200}),
    _of_mode("thread", **{"noop": 20_000, "1ms": 4_000, "trial": 200}),
    _of_mode("process", **{"noop": 10_000, "1ms": 4_000, "trial": 200}),
    Contestant(
        "respool_command", {"noop": 600, "1ms": 600, "trial": 200}, RECORDED, run_commands,
        same_kind="respool_command", launcher=True,
    ),
)
