"""Targets of size: memory of the runner, and that ten times the items take no more than ten times as long."""

from __future__ import annotations

from bench import contest
from bench.figures import Json
from bench.respool_cli import Ran, first_start_s, row, run_items, write_items

MOST_MB, MOST_GROWTH = 40.0, 12.0


def measure(quick: bool, summary: list[Json]) -> list[Json]:
    """Rows of the table of targets: a run of 100,000 and one of 1,000,000 no-op items. Raises Skip."""
    small, large = (2_000, 20_000) if quick else (100_000, 1_000_000)
    rows: list[Json] = []
    found: dict[int, tuple[Ran, float]] = {}
    for items in (small, large):
        with contest.scratch() as folder:
            write_items(folder / "items.jsonl", range(items))
            ran = run_items(folder / "items.jsonl", folder)
            found[items] = ran, first_start_s(folder, ran)
            size = (folder / "spool.db").stat().st_size / 2**20
        rows += _rows(items, *found[items], size)
    growth = found[large][0].seconds / found[small][0].seconds
    rows.append(row(
        f"{large:,} items against {small:,}", "not super-linear", growth, "times as long", growth <= MOST_GROWTH,
        "10 is linear; up to 12 is taken for noise",
    ))  # fmt: skip
    first, last = max(found[small][0].pss_mb), max(found[large][0].pss_mb)
    rows.append(row(
        "memory at ten times the items", "flat", last / first, "times as much", last <= first * 1.15,
        f"{first:.1f} MB, then {last:.1f} MB; quarters {_texts(contest.quarters(found[large][0].pss_mb))}",
    ))  # fmt: skip
    return rows


def _rows(items: int, ran: Ran, submitted: float, size: float) -> list[Json]:
    peak = max(ran.pss_mb)
    return [
        row(f"{items:,} items, whole command", "", ran.seconds, "s", None,
            f"{submitted:.2f} s of it until the first item started; {size:.0f} MB on disk"),
        row(f"runner's memory, {items:,} items", "< 40 MB", peak, "MB", peak < MOST_MB, "peak PSS of the process tree"),
    ]  # fmt: skip


def _texts(values: list[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)
