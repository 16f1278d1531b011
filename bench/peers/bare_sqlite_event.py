"""The bare loop with what respool writes per item: a transaction with one attempt-like row and one event."""

from __future__ import annotations

import time
from pathlib import Path

from bench.figures import Figures
from bench.peers.bare_sqlite import ATTEMPT, ITEMS, LAUNCHER, RECORDED, SAME_KIND, connect

__all__ = ["ITEMS", "LAUNCHER", "RECORDED", "SAME_KIND", "run"]

EVENT = "INSERT INTO events (at, job, item, attempt, type) VALUES (?, 1, ?, 1, 'item.done')"


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    """`workers` and `work` mean nothing here."""
    connection = connect(folder / "bare.db")
    started = time.perf_counter()
    execute = connection.execute
    for item in range(items):
        now = time.time_ns() // 1000
        execute("BEGIN IMMEDIATE")
        execute(ATTEMPT, (item, now, now, "null"))
        execute(EVENT, (now, item))
        execute("COMMIT")
    connection.close()
    return Figures(started)
