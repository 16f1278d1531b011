"""DBOS on SQLite: one workflow, one step per item, one after the other (several workflows at once are slower there)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench import items as bench_items
from bench.figures import Figures, Source

ITEMS = {"noop": 1_000, "1ms": 600, "trial": 200}
RECORDED = Source(
    "sqlite", "dbos.db", "SELECT max(rowid), count(*) FROM operation_outputs WHERE rowid > :since",
    "SELECT count(*) FROM operation_outputs",
)  # fmt: skip
SAME_KIND = "respool_async"
LAUNCHER = False


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    from dbos import DBOS, SetWorkflowID

    configure(folder)
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


def configure(folder: Path) -> None:
    """A DBOS application that keeps its state in `folder` and starts nothing that we do not measure."""
    from dbos import DBOS

    DBOS(config={
        "name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.db", "run_admin_server": False,
        "application_version": "1", "log_level": "ERROR",
    })  # fmt: skip
