"""A short diff of bodies that are no JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from respool.cassette.drift.text import MOST, changed


def test_only_the_lines_around_what_changed() -> None:
    old = [f"line {n}" for n in range(1000)]
    new = [*old[:500], "other", *old[501:]]
    assert changed("\n".join(old).encode(), "\n".join(new).encode()) == [
        "@@ line 500", " line 499", "-line 500", "+other", " line 501",
    ]  # fmt: skip


def test_a_long_diff_is_cut_and_says_so() -> None:
    old, new = ("\n".join(f"{side} {n}" for n in range(100)).encode() for side in "ab")
    lines = changed(old, new)
    assert len(lines) == MOST + 1
    assert lines[-1].startswith("… and ")


def test_very_different_texts_are_not_compared_line_by_line() -> None:
    old, new = ("\n".join(f"{side} {n}" for n in range(50_000)).encode() for side in "ab")
    assert changed(old, new) == ["50000 lines → 50000 lines, different from line 1 on"]


def test_one_long_line_from_a_little_before_the_difference() -> None:
    lines = changed(b"x" * 5000 + b"a", b"x" * 5000 + b"b")
    assert lines == ["@@ character 4981", "-" + "x" * 20 + "a", "+" + "x" * 20 + "b"]


def test_bytes_and_ends_of_lines() -> None:
    assert changed(b"ab\xff", b"ab\xfe\xfe") == ["3 bytes → 4 bytes, different from byte 2 on"]
    assert changed(b"a\r\nb", b"a\nb") == ["the same lines, which end otherwise"]


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=8), st.lists(st.sampled_from(["a", "b", "c"]), max_size=8))
def test_whatever_differs_is_told(old: list[str], new: list[str]) -> None:
    if old != new:
        assert changed("\n".join(old).encode(), "\n".join(new).encode())
