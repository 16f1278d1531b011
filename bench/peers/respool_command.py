"""respool, one program per item, each in a process group of its own, through the real command line."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from bench import items as bench_items
from bench.figures import Figures
from bench.respool_cli import command
from bench.respool_items import RECORDED

__all__ = ["ITEMS", "LAUNCHER", "RECORDED", "SAME_KIND", "run"]

ITEMS = {"noop": 600, "1ms": 600, "trial": 200}
SAME_KIND = "respool_command"
LAUNCHER = True

COMMANDS = {
    "noop": ["true", "{}"], "1ms": ["sleep", "0.001"],
    "trial": ["sh", "-c", "sleep 0.02; echo $1 >> effects.log", "sh", "{}"],
}  # fmt: skip


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
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
