"""Cutting input into blocks, and placing them among those that are stored."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from respool.batch.blocks import MAX_ROWS, MIN_ROOM, SPACING, Stored, cut, place

lines = st.lists(st.binary(min_size=1, max_size=4), max_size=60)
names = st.lists(st.sampled_from("abcdefghij"), max_size=12, unique=True)


@given(lines)
def test_blocks_cover_the_source_without_gap_or_overlap(source: list[bytes]) -> None:
    spans = list(cut(source, "basis", mask=3))
    assert sum(span.rows for span in spans) == len(source)
    offset, line = 0, 1
    for span in spans:
        assert (span.offset, span.line) == (offset, line)
        assert span.size == sum(len(text) for text in source[line - 1 : line - 1 + span.rows])
        offset, line = offset + span.size, line + span.rows


def test_a_line_at_the_top_changes_one_block() -> None:
    source = [b"line %d\n" % number for number in range(20_000)]
    before = {span.digest for span in cut(source, "b")}
    after = [span.digest for span in cut([b"new\n", *source], "b")]
    assert sum(digest not in before for digest in after) == 1
    assert {span.digest for span in cut(source, "other")}.isdisjoint(before)


def test_no_block_is_larger_than_a_transaction() -> None:
    assert {span.rows for span in cut([b"same"] * 12_000, "b", mask=(1 << 31) - 1)} <= {MAX_ROWS, 2000}


@given(names, names)
def test_places_ascend_with_room_and_keep_an_unchanged_order(old: list[str], new: list[str]) -> None:
    stored = [Stored(number, name, number * SPACING) for number, name in enumerate(old)]
    placed = place(stored, new)
    assert [placement.ordinal for placement in placed] == list(range(len(new)))
    starts = [placement.start for placement in placed]
    assert all(later - earlier >= MIN_ROOM for earlier, later in pairwise(starts))
    kept = {placement.kept for placement in placed} - {None}
    assert all(old[number] == new[placement.ordinal] for placement in placed if (number := placement.kept) is not None)
    if [name for name in new if name in old] == [name for name in old if name in new]:
        assert len(kept) == len(set(old) & set(new))


def test_a_thousand_insertions_at_one_spot_find_room() -> None:
    stored = [Stored(0, "first", 0), Stored(1, "last", SPACING)]
    for number in range(1000):
        digests = [stored[0].digest, f"new{number}", *(block.digest for block in stored[1:])]
        stored = [
            Stored(placement.ordinal, digest, placement.start)
            for placement, digest in zip(place(stored, digests), digests, strict=True)
        ]
    assert len({block.start for block in stored}) == 1002
