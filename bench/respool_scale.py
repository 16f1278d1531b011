"""Targets of size: memory of the runner, and that ten times the items take no more than ten times as long."""

from __future__ import annotations

from statistics import mean
from typing import NamedTuple

from bench import contest
from bench.figures import Json
from bench.respool_cli import Ran, first_start_s, row, run_items, write_items

MOST_MB, MOST_GROWTH = 40.0, 12.0


class _Measured(NamedTuple):
    """One run of the command: itself, seconds until its first item started, MB of the spool on disk."""

    ran: Ran
    first_s: float
    disk_mb: float


def measure(quick: bool, summary: list[Json]) -> list[Json]:
    """Rows of the table of targets: a run of 1,000,000 no-op items between two of 100,000. Raises Skip."""
    small, large = (2_000, 20_000) if quick else (100_000, 1_000_000)
    before, million, after = _run(small), _run(large), _run(small)
    growth = million.ran.seconds / mean((before.ran.seconds, after.ran.seconds))
    first, last = max(before.ran.pss_mb), max(million.ran.pss_mb)
    return [
        *_rows(small, before), *_rows(large, million),
        row(
            f"{large:,} items against {small:,}", "not super-linear", growth, "times as long", growth <= MOST_GROWTH,
            "against the mean of a run before and one after; 10 is linear, up to 12 is taken for noise",
        ),
        row(
            "memory at ten times the items", "flat", last / first, "times as much", last <= first * 1.15,
            f"{first:.1f} MB, then {last:.1f} MB; quarters {_texts(contest.quarters(million.ran.pss_mb))}",
        ),
    ]  # fmt: skip


def _run(items: int) -> _Measured:
    with contest.scratch() as folder:
        write_items(folder / "items.jsonl", range(items))
        ran = run_items(folder / "items.jsonl", folder)
        return _Measured(ran, first_start_s(folder, ran), (folder / "spool.db").stat().st_size / 2**20)


def _rows(items: int, measured: _Measured) -> list[Json]:
    peak = max(measured.ran.pss_mb)
    return [
        row(f"{items:,} items, whole command", "", measured.ran.seconds, "s", None,
            f"{measured.first_s:.2f} s of it until the first item started; {measured.disk_mb:.0f} MB on disk"),
        row(f"runner's memory, {items:,} items", "< 40 MB", peak, "MB", peak < MOST_MB, "peak PSS of the process tree"),
    ]  # fmt: skip


def _texts(values: list[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)
