"""DBOS on SQLite, in its two shapes: one workflow with a step per item, and one queued workflow per item."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench import items as bench_items
from bench.figures import Contestant, Figures, Source

_DONE = "FROM workflow_status WHERE status = 'SUCCESS'"


def run_steps(items: int, workers: int, work: str, folder: Path) -> Figures:
    """One step after the other (several workflows at once are slower there)."""
    from dbos import DBOS, SetWorkflowID

    _configure(folder)
    step = DBOS.step()(bench_items.work)

    @DBOS.workflow()
    def all_items(count: int) -> None:
        for key in bench_items.keys(count):
            step(work, key, str(folder))

    DBOS.launch()
    started = time.perf_counter()
    with SetWorkflowID("bench"):  # the same name again waits for the first one, which the launch has recovered
        handle: Any = DBOS.start_workflow(all_items, items)
    handle.get_result()
    DBOS.destroy()
    return Figures(started)


def run_queue(items: int, workers: int, work: str, folder: Path) -> Figures:
    """Its queue is polled every 10 ms instead of every second."""
    from dbos import DBOS, SetWorkflowID

    _configure(folder)

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


def _configure(folder: Path) -> None:
    """An application that keeps its state in `folder` and starts nothing that we do not measure."""
    from dbos import DBOS

    DBOS(config={
        "name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.db", "run_admin_server": False,
        "application_version": "1", "log_level": "ERROR",
    })  # fmt: skip


CONTESTANTS = (
    Contestant(
        "dbos_steps", {"noop": 1_000, "1ms": 600, "trial": 200},
        Source(
            "sqlite", "dbos.db", "SELECT max(rowid), count(*) FROM operation_outputs WHERE rowid > :since",
            "SELECT count(*) FROM operation_outputs",
        ),
        run_steps, same_kind="respool_async",
    ),
    Contestant(
        "dbos_queue", {"noop": 200, "1ms": 200, "trial": 100},
        Source("sqlite", "dbos.db", f"SELECT count(*), count(*) - :since {_DONE}", f"SELECT count(*) {_DONE}"),
        run_queue, same_kind="respool_async",
    ),
)  # fmt: skip
