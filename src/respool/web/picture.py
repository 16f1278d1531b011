"""Attempts over time as lanes: which worker did what when, as rectangles that a template draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from respool.batch.model import ItemState
from respool.clock import MICROSECONDS
from respool.web.looking import Tried

WIDTH = 1000.0  # units of the picture
LANE, GAP = 14, 4
THINNEST = 3.0
MOST_LANES = 24

# The states in the order of a bar, and the ones of which one colour is enough.
BAR = (
    ItemState.DONE, ItemState.CACHED, ItemState.SKIPPED, ItemState.FAILED, ItemState.CANCELLED, ItemState.RUNNING,
    ItemState.PENDING,
)  # fmt: skip


class Block(NamedTuple):
    """One attempt in the picture; `outcome` names its colour."""

    x: float
    y: float
    width: float
    outcome: str
    title: str


@dataclass(frozen=True, slots=True)
class Lanes:
    """A picture of attempts from `begin` to `end` (UTC microseconds); `hidden` ones found no lane."""

    blocks: Sequence[Block]
    lanes: int
    hidden: int
    begin: int
    end: int

    @property
    def height(self) -> int:
        return self.lanes * (LANE + GAP) - GAP


def lanes(tried: Iterable[Tried], now: int, workers: int | None = None) -> Lanes | None:
    """Each attempt in the first lane that is free; None if there is nothing to be seen. `tried` is in the order of starts.

    An attempt may be handed out before a worker is free for it: with `workers` there are no more lanes than that, and it
    begins where the one before it in its lane has ended.

    >>> one = Tried("a", 1, 0, 5, "done", None, None, None)
    >>> ahead = one._replace(started_at=1, ended_at=9)
    >>> [block.x for block in lanes([one, ahead], 9, workers=1).blocks]
    [0.0, 555.56]
    """
    given = sorted(tried, key=lambda each: each.started_at)
    if not given:
        return None
    begin = given[0].started_at
    end = max(begin + 1, *(each.ended_at or now for each in given))
    most = min(workers or MOST_LANES, MOST_LANES)
    free_at: list[int] = []
    blocks, hidden = [], 0
    for each in given:
        lane = next((number for number, free in enumerate(free_at) if free <= each.started_at), len(free_at))
        if lane >= most and workers is None:
            hidden += 1
            continue
        if lane >= most:
            lane = free_at.index(min(free_at))
        ended = each.ended_at or now
        started = min(max([each.started_at, *free_at[lane : lane + 1]]), ended)
        free_at[lane : lane + 1] = [ended]
        width = max(THINNEST, (ended - started) / (end - begin) * WIDTH)
        x = min((started - begin) / (end - begin) * WIDTH, WIDTH - width)
        title = _title(each, (ended - started) / MICROSECONDS)
        blocks.append(Block(round(x, 2), lane * (LANE + GAP), round(width, 2), each.outcome, title))
    return Lanes(blocks, len(free_at), hidden, begin, end)


def _title(tried: Tried, seconds: float) -> str:
    kind = f" ({tried.kind})" if tried.kind else ""
    again = f", attempt {tried.number}" if tried.number > 1 else ""
    return f"{tried.key}{again}: {tried.outcome}{kind}, {duration(seconds)}"


class Part(NamedTuple):
    """A piece of a progress bar."""

    state: str
    x: float
    width: float


def bar(counts: dict[str, int]) -> list[Part]:
    """The pieces of a bar of width 100, by state; `counts` are those of a job's document.

    >>> bar({"done": 3, "failed": 1, "interrupted": 0})
    [Part(state='done', x=0.0, width=75.0), Part(state='failed', x=75.0, width=25.0)]
    """
    shown = {str(state): counts.get(state, 0) for state in BAR}
    shown["running"] += counts.get("interrupted", 0)
    total, x, parts = sum(shown.values()), 0.0, []
    for state, many in shown.items():
        if many:
            width = many * 100 / total
            parts.append(Part(state, round(x, 3), round(width, 3)))
            x += width
    return parts


def duration(seconds: float) -> str:
    """A duration for people.

    >>> duration(0.0123), duration(3.21), duration(75), duration(7322)
    ('12 ms', '3.2 s', '1 min 15 s', '2 h 02 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
