"""Targets of speed: no-op items per second, their share of the bare insert loop, and how often there is a commit."""

from __future__ import annotations

from bench import contest
from bench.figures import Broken, Json
from bench.peers import contestant
from bench.respool_cli import row

LEAST_RATE, LEAST_SHARE, LONGEST_GAP_MS = 30_000, 0.35, 10.0
LOOK_MS = 1.0


def measure(quick: bool, summary: list[Json]) -> list[Json]:
    """Rows of the table of targets. The share of the limit comes out of the rounds. Raises Broken."""
    rows = [_rate(summary), *_shares(summary), _commits(5_000 if quick else 100_000)]
    for workers in (1, 16, 64):
        found = contest.measure("respool_async", "noop", workers, 5_000 if quick else 100_000)
        rows.append(row(f"no-op async, {workers} workers", "", found["rate"], "items/s", None, "one run"))
    return rows


def _rate(summary: list[Json]) -> Json:
    mine = _of(summary, "respool_async")
    rate = mine["rate"]["median"] if mine else None
    ok = None if rate is None else rate >= LEAST_RATE
    return row("no-op async items, durably recorded", "≥ 30,000/s", rate, "items/s", ok, "median of the rounds")


def _shares(summary: list[Json]) -> list[Json]:
    """respool's rate as a share of the bare loop's in the same round."""
    found = []
    for name, what, target in (
        ("bare_sqlite", "share of the bare insert loop", "≥ 35 %"),
        ("bare_sqlite_event", "share of the bare loop with an event row", ""),
    ):
        bare = _of(summary, name)
        share = bare["ratio"] if bare else None
        ok = share >= LEAST_SHARE if target and share is not None else None
        percent = None if share is None else share * 100
        found.append(row(what, target, percent, "%", ok, "median of the ratios within a round"))
    return found


def _commits(items: int) -> Json:
    """How long a second process saw nothing new, looking every millisecond while no-op items run."""
    recorded = contestant("respool_async").recorded
    with contest.scratch() as folder, contest.watching(recorded, folder, items, every=LOOK_MS / 1000) as seen:
        process = contest.spawn("respool_async", items, 4, "noop", folder)
        process.wait(contest.DEADLINE)
    if process.returncode != 0 or seen["count"] < items:
        raise Broken(f"{seen['count']} of {items} items recorded, exit code {process.returncode}")
    gap = seen["gap_p99_ms"]
    ok = None if gap is None else gap <= LONGEST_GAP_MS + LOOK_MS
    median, longest = seen["gap_median_ms"] or 0.0, seen["gap_max_ms"] or 0.0
    detail = f"99th percentile between two commits seen (± {LOOK_MS:g} ms); median {median:.1f}, longest {longest:.1f}"
    return row("a commit at least every", "≤ 10 ms", gap, "ms", ok, detail)


def _of(summary: list[Json], name: str) -> Json | None:
    return next((found for found in summary if found["name"] == name and found["work"] == "noop"), None)
