"""Addresses taken apart (what their equality means is in test_matching.py)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from respool.cassette.urls import pairs, take_apart


def test_the_parts() -> None:
    url = take_apart("https://me:secret@[::1]:8443/a%2Fb?x=1&x=2&&y#z")
    assert url == ("https", "[::1]", 8443, "/a%2Fb", (("x", "1"), ("x", "2"), ("y", "")))


@given(st.text())
def test_any_text_has_parts(text: str) -> None:
    take_apart(text)
    take_apart("http://" + text)
    pairs(text)
