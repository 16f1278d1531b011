"""Values survive their JSON form exactly, and data that does not fit is refused with its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.clusters.record import Record
from respool.errors import UsageError


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner(Record):
    name: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Outer(Record):
    number: int
    colour: Colour
    way: Literal["over", "under"]
    inner: tuple[Inner, ...]
    pair: tuple[int, int]
    texts: dict[str, str]


SAMPLE = Outer(1, Colour.RED, "over", (Inner("a", 0.1), Inner("b")), (2, 3), {"k": "v"})


@given(
    st.builds(
        Outer, number=st.integers(), inner=st.lists(st.builds(
            Inner, name=st.text(st.characters(exclude_categories=["Cs"])),
            share=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        )).map(tuple), texts=st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")),
    )
)  # fmt: skip
def test_what_is_read_back_equals_what_was_written(value: Outer) -> None:
    assert Outer.from_json(value.to_json()) == value
    assert Outer.from_json(value.to_json()).to_json() == value.to_json()
    assert Outer.from_data(value.to_data()) == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "1"}, "expected int, found '1'\n  where: $.number"),
        ({"number": True}, "expected int, found True"),
        ({"colour": "blue"}, "expected Colour, found 'blue'"),
        ({"way": "sideways"}, "found 'sideways'\n  where: $.way"),
        ({"inner": [{"name": "a", "share": "much"}]}, "$.inner[0].share"),
        ({"inner": {}}, "expected list, found {}"),
        ({"inner": [3]}, "expected Inner, found 3\n  where: $.inner[0]"),
        ({"pair": [1, 2, 3]}, "expected list of 2"),
        ({"texts": {"k": 1}}, "$.texts.k"),
        ({"texts": []}, "expected object"),
        ({"extra": 1}, "it has an unknown 'extra'"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_its_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Outer.from_data({**SAMPLE.to_data(), **change})
    assert message in str(caught.value)


def test_a_missing_field_and_broken_text_are_named() -> None:
    data = SAMPLE.to_data()
    del data["pair"]
    with pytest.raises(UsageError, match="no 'pair'"):
        Outer.from_data(data)
    assert Inner.from_data({"name": "a"}) == Inner("a")  # a field with a default may be left out
    with pytest.raises(UsageError, match="this is no outer"):
        Outer.from_json('{"number":')


def test_other_programs_may_write_whole_numbers_without_a_point() -> None:
    assert Inner.from_json('{"name": "a", "share": 1}') == Inner("a", 1.0)
