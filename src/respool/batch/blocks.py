"""Input cut into blocks, so that an edited source of a million items costs only what changed.

A source is a sequence of lines (records). It is cut after every line whose checksum has its low bits zero: the borders
depend on the content, so a line inserted at the top changes one block and not all that follow. A block that the spool
already holds needs neither parsing nor comparing.

Positions leave room between blocks, so that new ones fit between old ones without renumbering; `place` is pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from respool.canonical import digest

MAX_ROWS = 5000
BORDER_MASK = 2047  # about 2,000 rows to a block
SPACING = 1 << 32
MIN_ROOM = 1 << 13  # more than MAX_ROWS


class Span(NamedTuple):
    """One block of a source: its digest, where it begins (bytes, first line's number from 1), and how long it is."""

    digest: str
    offset: int
    size: int
    line: int
    rows: int


class Stored(NamedTuple):
    """One block that the spool holds."""

    id: int
    digest: str
    start: int


class Placement(NamedTuple):
    """Where block `ordinal` of the new source goes: `kept` is the stored block it equals, or None if it must be read."""

    ordinal: int
    kept: int | None
    start: int


def cut(lines: Iterable[bytes], basis: str, *, mask: int = BORDER_MASK) -> Iterator[Span]:
    """The blocks of a source. `basis` goes into every digest: all that decides what a line means (task, version, key).

    >>> [span.rows for span in cut([b"a", b"b", b"c"], "basis")]
    [3]
    """
    held: list[bytes] = []
    offset, size, first, number = 0, 0, 1, 0
    for number, line in enumerate(lines, 1):
        held.append(line)
        size += len(line)
        if not crc32(line) & mask or len(held) == MAX_ROWS:
            yield Span(digest(basis, b"".join(held)), offset, size, first, len(held))
            offset, size, first = offset + size, 0, number + 1
            held.clear()
    if held:
        yield Span(digest(basis, b"".join(held)), offset, size, first, len(held))


def place(stored: Sequence[Stored], digests: Sequence[str]) -> list[Placement]:
    """Where each block of the new source goes, keeping as many stored ones in place as their order allows.

    `stored` is in the order of its starts. The starts of the result ascend, at least MIN_ROOM apart. Stored blocks that
    no placement keeps are gone from the source.

    >>> place([Stored(7, "a", 0)], ["new", "a"])[1].kept
    7
    """
    kept = _longest_kept(stored, digests)
    placements: list[Placement] = []
    low, index = -SPACING, 0
    while index < len(digests):
        if index in kept:
            block = stored[kept[index]]
            placements.append(Placement(index, block.id, block.start))
            low, index = block.start, index + 1
            continue
        run = index
        while run < len(digests) and run not in kept:
            run += 1
        step = SPACING
        if run < len(digests):
            step = (stored[kept[run]].start - low) // (run - index + 1)
        if step < MIN_ROOM:
            return _renumbered(stored, kept, len(digests))
        for offset in range(run - index):
            placements.append(Placement(index + offset, None, low + step * (offset + 1)))
        low, index = low + step * (run - index), run
    return placements


def _renumbered(stored: Sequence[Stored], kept: dict[int, int], count: int) -> list[Placement]:
    return [
        Placement(index, stored[kept[index]].id if index in kept else None, index * SPACING) for index in range(count)
    ]


def _longest_kept(stored: Sequence[Stored], digests: Sequence[str]) -> dict[int, int]:
    """New index → stored index for the longest run of blocks that stand in both, in the same order."""
    where: dict[str, int] = {}
    for position, block in enumerate(stored):
        where.setdefault(block.digest, position)
    tails: list[int] = []  # stored index at the end of the best chain of each length
    ends: list[int] = []  # new index of that end
    before: dict[int, int] = {}
    taken: set[int] = set()
    for index, name in enumerate(digests):
        position = where.get(name, -1)
        if position < 0 or position in taken:
            continue
        taken.add(position)
        length = bisect_left(tails, position)
        if length:
            before[index] = ends[length - 1]
        if length == len(tails):
            tails.append(position)
            ends.append(index)
        else:
            tails[length], ends[length] = position, index
    kept: dict[int, int] = {}
    index = ends[-1] if ends else -1
    while index >= 0:
        kept[index] = where[digests[index]]
        index = before.get(index, -1)
    return kept
