"""respool, plain functions in threads."""

from __future__ import annotations

from pathlib import Path

from bench.figures import Figures
from bench.respool_items import RECORDED, run_mode

__all__ = ["ITEMS", "LAUNCHER", "RECORDED", "SAME_KIND", "run"]

ITEMS = {"noop": 20_000, "1ms": 4_000, "trial": 200}
SAME_KIND = "respool_thread"
LAUNCHER = False


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    return run_mode("thread", items, workers, work, folder)
