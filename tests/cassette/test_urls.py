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
    for each in (text, "http://" + text):
        assert take_apart(each) == take_apart(each)
    assert all(isinstance(part, str) for pair in pairs(text) for part in pair)
