"""DBOS on SQLite: one queued workflow per item, its queue polled every 10 ms instead of every second."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench import items as bench_items
from bench.figures import Figures, Source
from bench.peers.dbos_steps import configure

ITEMS = {"noop": 200, "1ms": 200, "trial": 100}
_DONE = "FROM workflow_status WHERE status = 'SUCCESS'"
RECORDED = Source("sqlite", "dbos.db", f"SELECT count(*), count(*) - :since {_DONE}", f"SELECT count(*) {_DONE}")
SAME_KIND = "respool_async"
LAUNCHER = False


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    from dbos import DBOS, SetWorkflowID

    configure(folder)

    @DBOS.workflow()
    def one(key: str) -> str:
        return bench_items.work(work, key, str(folder))

    DBOS.launch()
    queue = DBOS.register_queue("bench", concurrency=workers, polling_interval_sec=0.01)
    started = time.perf_counter()  # the queue is served while it is being filled
    handles: list[Any] = []
    for key in bench_items.keys(items):
        with SetWorkflowID(key):
            handles.append(queue.enqueue(one, key))
    for handle in handles:
        handle.get_result()
    DBOS.destroy()
    return Figures(started)
