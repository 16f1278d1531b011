"""What a contestant tells about its run, and what the bench makes of it.

All instants are seconds of `time.perf_counter()`, which on Linux is one clock (CLOCK_MONOTONIC) for every process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


class Figures(NamedTuple):
    """What `run()` of a contestant knows about itself.

    `started`: just before the first item was handed out, everything having been submitted. `submit_s`: seconds that
    submitting took (0 if there is no such step). `note` is shown beside the figures.
    """

    started: float
    submit_s: float = 0.0
    note: str = ""


class Source(NamedTuple):
    """How a second process counts what is durably recorded, while it is being recorded.

    `kind` is "sqlite" or "lines"; `file` is relative to the contestant's folder. `growth` (SQL) gets `:since`, the last
    cursor (0 at first), and returns (cursor, rows added since then): cheap whatever has been recorded before.
    `total` (SQL) counts all items recorded once or more, by key.
    """

    kind: str
    file: str
    growth: str = ""
    total: str = ""


@dataclass(frozen=True)
class Contestant:
    """Somebody who can be measured.

    `items` says how many items per kind of work (a slow one gets fewer; a kind that is missing is not run), `recorded`
    where a second process counts, `same_kind` the contestant of respool that runs the same kind of item. `launcher` is
    True if its Python process only starts the real one, so that its memory does not count.

    `run(items, workers, work, folder)` returns when every item is durably recorded, and goes on where it stopped if the
    folder holds an earlier run. It raises `Skip` with the reason where it cannot run.
    """

    name: str
    items: dict[str, int]
    recorded: Source
    run: Callable[[int, int, str, Path], Figures]
    same_kind: str
    launcher: bool = False


class Skip(Exception):
    """This contestant cannot run here; the message says why."""


class Broken(Exception):
    """This contestant ran and did something else than it was asked for: no figure of it counts, and the bench fails."""


def spread(values: list[float]) -> dict[str, float] | None:
    """Least, median and most of `values`; None if there are none.

    >>> spread([3.0, 1.0, 2.0])
    {'min': 1.0, 'median': 2.0, 'max': 3.0}
    """
    if not values:
        return None
    return {"min": min(values), "median": median(values), "max": max(values)}


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie, taken from the values themselves.

    >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5)
    3.0
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def significant(value: float | None) -> str:
    """A figure for people: three significant digits, thousands separated; a dash for None.

    >>> significant(81234.5), significant(0.0421), significant(None)
    ('81,200', '0.0421', '–')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


Json = dict[str, Any]
