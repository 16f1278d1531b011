"""Rounds: every contestant once per round, in an order that turns, so that a noisy minute hits all of them."""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from statistics import median

from bench import contest
from bench.figures import Broken, Json, Skip, spread
from bench.peers import MODULES, contestant

REFERENCE = "respool_async"
WORKS = ("noop", "1ms")


def play(names: Sequence[str], rounds: int, workers: int, divisor: int) -> Json:
    """`rounds` rounds of `names` over both kinds of work, item counts divided by `divisor`.

    Returns {"runs": [one entry per run], "skipped": {name: reason}, "broken": {name: reason}}.
    """
    runs: list[Json] = []
    skipped: dict[str, str] = {}
    broken: dict[str, str] = {}
    for number in range(rounds):
        for work in WORKS:
            for name in _turned(names, number):
                items = contestant(name).items.get(work)
                if items is None or name in skipped or name in broken:
                    continue
                try:
                    found = contest.measure(name, work, workers, max(50, items // divisor))
                except (Skip, Broken) as reason:
                    (skipped if isinstance(reason, Skip) else broken)[name] = str(reason)
                    progress(f"  {name}: {type(reason).__name__.lower()}: {reason}")
                    continue
                runs.append({"round": number, "name": name, "work": work, **found})
                progress(f"  round {number + 1} {work:5} {name:18} {found['rate']:10,.0f} items/s")
    return {"runs": runs, "skipped": skipped, "broken": broken}


def trials(names: Sequence[str], workers: int, without: Collection[str]) -> list[Json]:
    """The kill -9 trial of every contestant that has one."""
    found = []
    for name in names:
        if name in without or "trial" not in contestant(name).items:
            continue
        try:
            found.append({"name": name, **contest.trial(name, workers)})
        except (Skip, Broken) as reason:
            found.append({"name": name, "skipped": str(reason)})
        progress(f"  kill -9 {name}: {found[-1]}")
    return found


def summary(runs: list[Json]) -> list[Json]:
    """Per contestant and work: the spread of its rate, medians, and the median ratio to respool in the same round.

    `ratio` is to respool's async items, `ratio_same_kind` to respool's own items of the same kind.
    """
    rates = {(run["round"], run["work"], run["name"]): run["rate"] for run in runs}
    found = []
    for work in WORKS:
        for name in MODULES:
            mine = [run for run in runs if run["name"] == name and run["work"] == work]
            if not mine:
                continue
            same = contestant(name).same_kind
            found.append({
                "work": work, "name": name, "items": mine[0]["items"], "runs": len(mine),
                "rate": spread([run["rate"] for run in mine]),
                "first_s": median(run["first_s"] for run in mine), "pss_mb": median(run["pss_mb"] for run in mine),
                "submit_s": median(run["submit_s"] for run in mine),
                "ratio": _ratio(mine, rates, REFERENCE),
                "same_kind": same, "ratio_same_kind": _ratio(mine, rates, same),
            })  # fmt: skip
    return found


def _ratio(mine: list[Json], rates: dict[tuple[int, str, str], float], other: str) -> float | None:
    ratios = [
        rates[run["round"], run["work"], other] / run["rate"]
        for run in mine
        if (run["round"], run["work"], other) in rates
    ]
    return median(ratios) if ratios else None


def _turned(names: Sequence[str], by: int) -> list[str]:
    shift = (by * 3) % max(1, len(names))
    return [*names[shift:], *names[:shift]]


def progress(line: str) -> None:
    """Tell the person who waits."""
    print(line, file=sys.stderr, flush=True)
