"""joblib (loky processes), each result written to SQLite by the parent as it arrives: what people write by hand."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bench import items as bench_items
from bench.figures import Contestant, Figures, Source

RECORDED = Source(
    "sqlite", "joblib.db", "SELECT max(rowid), count(*) FROM results WHERE rowid > :since",
    "SELECT count(DISTINCT key) FROM results",
)  # fmt: skip


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    from joblib import Parallel, delayed

    connection = sqlite3.connect(folder / "joblib.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE IF NOT EXISTS results (key TEXT NOT NULL, value TEXT, at INTEGER)")
    finished = {key for (key,) in connection.execute("SELECT key FROM results")}
    waiting = [key for key in bench_items.keys(items) if key not in finished]
    started = time.perf_counter()
    pool = Parallel(n_jobs=workers, return_as="generator_unordered")
    for key in pool(delayed(bench_items.work)(work, key, str(folder)) for key in waiting):
        connection.execute("INSERT INTO results VALUES (?, ?, ?)", (key, key, time.time_ns() // 1000))
    connection.close()
    return Figures(started)


CONTESTANTS = (
    Contestant("joblib_sqlite", {"noop": 30_000, "1ms": 4_000, "trial": 200}, RECORDED, run, same_kind="respool_process"),
)
