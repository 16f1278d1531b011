"""Paths into JSON: what they name, and what they do not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from respool.cassette.jsonpath import covers, parse, text, without
from respool.errors import UsageError

VALUE = {"a": [{"b": 1, "c": 2}, {"b": 3}], "d": {"b": {"b": 4}}, "e f": [1, 2]}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$.a", {"d": {"b": {"b": 4}}, "e f": [1, 2]}),
        ("$.a[*].b", {**VALUE, "a": [{"c": 2}, {}]}),
        ("$.a[1].b", {**VALUE, "a": [{"b": 1, "c": 2}, {}]}),
        ("$.d.*", {**VALUE, "d": {}}),
        ("$['e f'][0]", {**VALUE, "e f": [None, 2]}),
        ("$..b", {"a": [{"c": 2}, {}], "d": {}, "e f": [1, 2]}),
        ("$.d..b", {**VALUE, "d": {}}),
        ("$.nothing.here[3]", VALUE),
    ],
)
def test_without(path: str, left: Any) -> None:
    before = copy.deepcopy(VALUE)
    assert without(VALUE, [parse(path)]) == left
    assert before == VALUE


@pytest.mark.parametrize(
    ("path", "place", "named"),
    [
        ("$.a", ["a"], True),
        ("$.a", ["a", "b"], True),
        ("$.a.b", ["a"], False),
        ("$.a[*].b", ["a", 7, "b"], True),
        ("$.a[0]", ["a", "0"], False),
        ("$..b", ["x", 3, "y", "b"], True),
        ("$..b..c", ["b", "x", "c"], True),
        ("$..b..c", ["c", "x", "b"], False),
    ],
)
def test_covers(path: str, place: list[str | int], named: bool) -> None:
    assert covers(parse(path), place) is named


def test_text_is_read_back() -> None:
    place = ["a", 0, "b c", "d.e", "it's"]
    assert covers(parse(text(place[:4])), place[:4])


@pytest.mark.parametrize("path", ["", "$", "a.b", "$a", "$.a[", "$.a[-1]", "$.a[1:2]", "$.a[?(@.b)]", "$..", "$. a"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(UsageError, match="JSON path"):
        parse(path)
