"""Places in a JSON text: of every value, and of what is around one that is not there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn_cassettes import VALUES
from respool.cassette import json_places


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    found = [(path, value)]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += _paths(inner, (*path, key))
    return found


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_every_value_is_found_where_it_stands(value: Any, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent)
    for path, inner in _paths(value):
        at = json_places.place(text, path)
        found, _ = json.JSONDecoder().raw_decode(text, at)
        assert found == inner


@pytest.mark.parametrize(
    ("path", "at"), [(["b"], 0), (["a", 5], 6), (["a", "x"], 6), (["a", 0, "deep"], 7), ([0], 0), (["c"], 18), ([], 0)]
)
def test_what_is_not_there_is_where_it_would_be(path: list[str | int], at: int) -> None:
    assert json_places.place('{"a": [1, 2], "c":3, "c":{}}'.replace('"c":3, ', ""), path) == at


def test_of_equal_keys_the_last_counts() -> None:
    assert json_places.place('{"a":1,"a":2}', ["a"]) == 11


def test_a_place_is_told_by_line_and_byte() -> None:
    assert json_places.shown('{"ä":\n 1}', 7) == "line 2, byte 8"
