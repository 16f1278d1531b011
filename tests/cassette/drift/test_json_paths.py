"""What changed between two JSON values, by the patterns of paths."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from respool.cassette import jsonpath
from respool.cassette.drift.json_paths import EXAMPLES, Comparison

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | st.text("abé\ud800", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "a", "b c"]), inner, max_size=3),
    max_leaves=12,
)


def found(old: Any, new: Any, *volatile: str) -> list[tuple[str, str, int]]:
    comparison = Comparison([jsonpath.parse(path) for path in volatile])
    comparison.compare(old, new)
    return [(each.path, each.kind, each.places) for each in comparison.changes()]


@given(values, values)
def test_equal_values_and_no_others_have_no_changes(old: Any, new: Any) -> None:
    assert found(old, old) == []
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    assert bool(found(old, new)) is not same


def test_one_line_for_a_pattern_with_a_few_examples() -> None:
    old, new = ([{"id": n, "price": n * factor} for n in range(1, 30)] for factor in (1, 2))
    comparison = Comparison()
    comparison.compare({"items": old}, {"items": new})
    (change,) = comparison.changes()
    assert (change.path, change.kind, change.places) == ("$.items[*].price", "value", 29)
    assert len(change.examples) == EXAMPLES
    assert change.examples[1] == ("$.items[1].price", "2", "4")


def test_types_are_told_and_numbers_are_exact() -> None:
    assert found({"a": 1}, {"a": "1"}) == [("$.a", "type", 1)]
    assert found({"a": 1}, {"a": True}) == [("$.a", "type", 1)]
    assert found({"a": None}, {"a": {}}) == [("$.a", "type", 1)]
    assert found({"a": 1}, {"a": 1.0}) == [("$.a", "value", 1)]


def test_elements_are_known_by_what_identifies_them() -> None:
    old = {"rows": [{"rank": n, "id": f"g{n}"} for n in range(4)]}
    new = {"rows": [{"rank": n, "id": f"g{n - 1}"} for n in range(5)]}
    assert found(old, new) == [("$.rows", "length", 1), ("$.rows[*].rank", "value", 4), ("$.rows[*]", "added", 1)]
    assert found({"rows": old["rows"][::-1]}, old) == [("$.rows", "order", 1)]


def test_elements_without_a_name_equal_ones_first_then_by_place() -> None:
    old, new = [{"x": 1}, {"x": 2}, {"x": 3}], [{"x": 1}, {"x": 3}]
    assert found(old, new) == [("$", "length", 1), ("$[*]", "removed", 1)]
    assert found([{"x": 1.5}, {"x": 2.5}], [{"x": 1.5}, {"x": 3.5}]) == [("$[*].x", "value", 1)]


def test_lists_of_plain_values() -> None:
    assert found(["a", "b"], ["b", "c", "d"]) == [("$", "length", 1), ("$[*]", "removed", 1), ("$[*]", "added", 2)]
    assert found([1.5, 2.5], [1.5, 3.5]) == [("$[*]", "value", 1)]
    assert found([1, 2, 3], [3, 1, 2]) == [("$", "order", 1)]


def test_a_volatile_value_counts_for_nothing_its_type_does() -> None:
    assert found({"at": 1, "in": [{"at": 2}]}, {"at": 3, "in": [{"at": 4}]}, "$..at") == []
    assert found({"at": 1}, {"at": "x"}, "$.at") == [("$.at", "type", 1)]


def test_deep_values_end_somewhere() -> None:
    old: Any = 1
    new: Any = 2
    for _ in range(300):
        old, new = [old], [new]
    assert len(found(old, new)) == 1
