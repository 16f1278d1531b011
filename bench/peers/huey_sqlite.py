"""huey on SQLite: everything enqueued, then this process is its consumer, with threads.

Its default is synchronous=FULL; it gets NORMAL here, as everyone else.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bench import items as bench_items
from bench.figures import Contestant, Figures, Source

RECORDED = Source(
    "sqlite", "huey.db", "SELECT max(rowid), count(*) FROM kv WHERE rowid > :since", "SELECT count(*) FROM kv"
)


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    from huey import Huey
    from huey.storage import SqliteStorage

    class NormalStorage(SqliteStorage):  # type: ignore[misc]
        def _create_connection(self) -> sqlite3.Connection:
            connection: sqlite3.Connection = super()._create_connection()
            connection.execute("PRAGMA synchronous = NORMAL")
            return connection

    resuming = (folder / "huey.db").exists()
    huey = Huey(storage_class=NormalStorage, filename=str(folder / "huey.db"))
    task = huey.task()(bench_items.work)
    begin = time.perf_counter()
    if not resuming:
        for key in bench_items.keys(items):
            task(work, key, str(folder))
    started = time.perf_counter()
    consumer = huey.create_consumer(workers=workers, worker_type="thread", periodic=False)
    consumer.start()
    _wait(folder / "huey.db", items)
    consumer.stop(graceful=True)
    return Figures(started, started - begin)


def _wait(path: Path, items: int) -> None:
    """Until all results are stored, or the queue is empty and nothing more comes for a while (what was lost, is)."""
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    last, changed = -1, time.perf_counter()
    while True:
        count = reader.execute("SELECT count(*) FROM kv").fetchone()[0]
        if count != last:
            last, changed = count, time.perf_counter()
        empty = reader.execute("SELECT count(*) FROM task").fetchone()[0] == 0
        if count >= items or (empty and time.perf_counter() - changed > 3):
            break
        time.sleep(0.02)
    reader.close()


CONTESTANTS = (
    Contestant("huey_sqlite", {"noop": 10_000, "1ms": 4_000, "trial": 200}, RECORDED, run, same_kind="respool_thread"),
)
