"""Times, and what a file says of itself; the other shapes are tested by the formats that have them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.cassette.foreign import shapes
from respool.cassette.tape import Damage


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000), ("1970-01-01 00:00:01", 1_000_000), ("1970-01-01T00:00:01.5", 1_500_000),
        ("1970-01-01T01:00:01.123456789+01:00", 1_123_456), ("1969-12-31T19:00:01-0500", 1_000_000),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 1_000_000), ("01 Jan 1970 00:00:01", 1_000_000),
        ("1970-01-01 00:00:01 GMT", 1_000_000), ("1970-13-01T00:00:00Z", 0), ("Thu, 01 Foo 1970 00:00:01 GMT", 0),
        ("1960-01-01T00:00:00Z", 0), ("", 0), (None, 0), (5, 0),
        ("0001-01-01T00:00:00+23:59", 0), ("9999-12-31T23:59:59-23:59", 0),
    ],
)  # fmt: skip
def test_instants(text: object, expected: int) -> None:
    assert shapes.instant(text) == expected


@given(st.text() | st.binary() | st.none() | st.integers() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_any_value_is_headers_and_a_body_or_damage(value: object) -> None:
    for made in (shapes.headers, shapes.content, shapes.wire, shapes.text, shapes.status):
        try:
            made(value, ("here",))  # type: ignore[operator]
        except Damage as damage:
            assert damage.path[0] == "here"  # noqa: PT017  either end is right


@pytest.mark.parametrize("value", [{"a": b"\xff"}, {1: {2: {3}}}, {"a": object}])
def test_what_a_file_says_of_itself_is_json(value: dict[object, object]) -> None:
    told = shapes.extra(value, ())  # type: ignore[arg-type]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": "\ud800"}])
def test_what_no_json_can_say_is_damage(value: dict[str, object]) -> None:
    with pytest.raises(Damage):
        shapes.extra(value, ())


def test_a_form_is_kept_as_the_pairs_that_aiohttp_was_given() -> None:
    assert shapes.content([["page", "a b"], ["listed", False], ["n", None]], ()) == (b"page=a+b&listed=False&n=None", True)
    assert shapes.content(["one ", b"two"], ()) == (b"one two", False)
