"""Targets of the command line: how soon the first item starts, and how soon `respool jobs list` answers."""

from __future__ import annotations

from statistics import median

from bench import contest
from bench.figures import Json
from bench.respool_cli import first_start_s, respool, row, run_items, write_items

LATEST_FIRST_S, LATEST_LIST_MS = 0.3, 150.0
TIMES = 5


def measure(quick: bool, summary: list[Json]) -> list[Json]:
    """Rows of the table of targets. Raises Skip."""
    firsts = []
    for _ in range(TIMES):
        with contest.scratch() as folder:
            write_items(folder / "items.jsonl", range(100))
            firsts.append(first_start_s(folder, run_items(folder / "items.jsonl", folder)))
    items = 2_000 if quick else 100_000
    with contest.scratch() as folder:
        write_items(folder / "items.jsonl", range(items))
        run_items(folder / "items.jsonl", folder)
        lists = [respool(["jobs", "list"], folder).seconds * 1000 for _ in range(TIMES)]
    return [
        row("first item starts after the command", "< 0.3 s", median(firsts), "s", max(firsts) < LATEST_FIRST_S,
            f"100 items, {TIMES} times, latest {max(firsts):.3f}; `respool run` to the attempt's own stamp"),
        row(f"`respool jobs list`, {items:,} items", "< 150 ms", median(lists), "ms", median(lists) < LATEST_LIST_MS,
            f"{TIMES} times, longest {max(lists):.0f}"),
    ]  # fmt: skip
