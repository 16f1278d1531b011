"""GNU parallel with --joblog: one shell command per item; --resume goes by the line numbers of its job log."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from bench import items as bench_items
from bench.figures import Contestant, Figures, Skip, Source

RECORDED = Source("lines", "joblog")
COMMANDS = {"noop": "true {}", "1ms": ": {}; sleep 0.001", "trial": "sleep 0.02; echo {} >> effects.log"}


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    program = shutil.which("parallel")
    if program is None:
        raise Skip("no `parallel` on this machine (Debian: apt-get install parallel)")
    keys = folder / "keys"
    if not keys.exists():
        keys.write_text("\n".join(bench_items.keys(items)) + "\n", encoding="utf-8")
    started = time.perf_counter()
    subprocess.run(
        [program, "--will-cite", "-j", str(workers), "--joblog", "joblog", "--resume", "-a", "keys", COMMANDS[work]],
        cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return Figures(started)


CONTESTANTS = (
    Contestant(
        "gnu_parallel", {"noop": 1_500, "1ms": 1_500, "trial": 200}, RECORDED, run, same_kind="respool_command",
        launcher=True,
    ),
)  # fmt: skip
