"""How respool runs as a contestant; the files respool_*.py in peers/ say in which mode."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import items as bench_items
from bench.figures import Figures, Skip, Source

RECORDED = Source(
    "sqlite", "spool.db", "SELECT max(seq), count(*) FROM events WHERE seq > :since AND type = 'item_done'",
    "SELECT count(DISTINCT item_id) FROM attempts WHERE outcome = 'done'",
)  # fmt: skip


def available() -> Any:
    """The module respool with its runner. Raises Skip while it has none."""
    respool = importlib.import_module("respool")
    if not hasattr(respool, "Spool"):
        raise Skip("respool's runner is not importable (`from respool import Spool`)")
    return respool


def run_mode(mode: str, items: int, workers: int, work: str, folder: Path) -> Figures:
    """Submit `items` items of the task of `mode`, and run them; on a folder with a spool, go on with it."""
    respool = available()
    function = getattr(importlib.import_module("bench.tasks"), f"run_{mode}")
    spool = respool.Spool(folder / "spool.db")
    begin = time.perf_counter()
    spool.submit(function, items=_rows(items, work, str(folder)), name="bench")
    started = time.perf_counter()
    spool.run(workers=workers)
    return Figures(started, started - begin)


def _rows(count: int, work: str, folder: str) -> Iterator[tuple[str, dict[str, str]]]:
    place = folder if work == "trial" else ""
    for key in bench_items.keys(count):
        yield key, {"key": key, "work": work, "folder": place}
