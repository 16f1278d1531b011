"""Golden vectors of version 1: a changed byte here would make every stored fingerprint worthless."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.canonical import NotCanonical, decode, digest, encode

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1, 1.0, True, None]}, '{"a":[1,1.0,true,null],"b":1}'),
        ({"é": "ü", "z": "\u2028"}, '{"z":"\u2028","é":"ü"}'),
        (1e16, "1e+16"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-0.0, "-0.0"),
        (10**30, "1000000000000000000000000000000"),
        ("a\"\\\n\x00", '"a\\"\\\\\\n\\u0000"'),
        ((1, 2), "[1,2]"),
    ],
)  # fmt: skip
def test_golden_text(value: Any, text: str) -> None:
    assert encode(value) == text


def test_golden_digests() -> None:
    assert digest("a") == "6516508c1cccdfbe4d71ac68de4252b3"
    assert digest("a", "b") == "9fd533ae0e9dd2a3808c6c60c91a2db7"
    assert digest('{"a":1}') == "6ed87cf0029e4b6380d692367e6f9663"
    assert len({digest(), digest(""), digest("a"), digest("a", ""), digest("", "a"), digest("ab"), digest("a", "b")}) == 7


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {True: 1}, {"a": {None: 1}}, "\ud800", {1, 2}, b"x", object()])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        encode(value)


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', "NaN", "[Infinity]", "{", "", "1 2", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(NotCanonical):
        decode(text)


@given(values)
def test_decoding_gives_the_value_back_and_encoding_is_stable(value: Any) -> None:
    text = encode(value)
    assert encode(decode(text)) == text
    assert decode(text) == value
