"""Pieces of a text replaced all at once, and where what stood behind them stands now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """text[start:end] becomes `new`."""

    start: int
    end: int
    new: str


def apart(edits: Iterable[Edit]) -> list[Edit]:
    """The edits in order, without those that overlap one that starts earlier (or, from the same start, is longer)."""
    chosen: list[Edit] = []
    for edit in sorted(edits, key=lambda each: (each.start, -each.end)):
        if not chosen or edit.start >= chosen[-1].end:
            chosen.append(edit)
    return chosen


def applied(text: str, edits: Sequence[Edit]) -> str:
    """The text after edits that stand apart, in order.

    >>> applied("abcd", [Edit(1, 2, "xx"), Edit(3, 4, "")])
    'axxc'
    """
    pieces: list[str] = []
    at = 0
    for start, end, new in edits:
        pieces += (text[at:start], new)
        at = end
    pieces.append(text[at:])
    return "".join(pieces)


def moved(marks: Sequence[int], edits: Sequence[Edit]) -> list[int]:
    """Where the places `marks` of the old text are in the new one; a place inside an edit moves behind it.

    >>> moved([0, 1, 3, 4], [Edit(1, 2, "xx")])
    [0, 1, 4, 5]
    """
    starts = [edit.start for edit in edits]
    grown = [0]
    for edit in edits:
        grown.append(grown[-1] + len(edit.new) - (edit.end - edit.start))
    found = []
    for mark in marks:
        before = bisect_right(starts, mark - 1)  # how many edits start before the mark
        inside = before and mark < edits[before - 1].end
        found.append((edits[before - 1].end if inside else mark) + grown[before])
    return found
