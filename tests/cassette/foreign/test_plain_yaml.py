"""YAML as plain values: what PyYAML's own dumper wrote comes back, and nothing else is made of a tag than plain data."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from drawn_cassettes import VALUES
from respool.cassette.foreign import plain_yaml


@given(VALUES | st.binary() | st.lists(st.binary(max_size=5)))
def test_what_was_dumped_comes_back(value: Any) -> None:
    for options in ({}, {"allow_unicode": True, "default_flow_style": True}):
        text = yaml.safe_dump(value, **options)
        # PyYAML's dumper loses some line separators itself (U+0085 among them): its own loader is what we are held to.
        assert plain_yaml.load(text.encode()) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None), ("[!!str 1, !!int 1, !!float 1, !!bool true, !!null ~]", ["1", 1, 1.0, True, None]),
        ("!!python/tuple [1, 2]", [1, 2]), ("!!python/dict {a: 1}", {"a": 1}), ("!!python/list [1]", [1]),
        ("!!python/bytes YT0x", b"a=1"), ("!!python/object/new:_io.BytesIO {state: [!!binary YQ==, 0, null]}", b"a"),
        ("!!python/object/new:_io.BytesIO {state: []}", b""), ("!!python/object/apply:builtins.iter [[1]]", [1]),
        ("!!python/object/apply:builtins.frozenset {args: []}", []), ("!ruby/sym get", "get"), ("! '1'", "1"),
        ("! '0.10'", "0.10"), ("! ''", ""),
        ("!ruby/struct:VCR::Request {a: 1}", {"a": 1}), ("{a: 1, a: 2}", {"a": 2}), ("{1: 2}", {1: 2}),
    ],
)  # fmt: skip
def test_tags_become_plain_data(text: str, expected: Any) -> None:
    assert plain_yaml.load(text.encode()) == expected


@pytest.mark.parametrize(
    "text",
    ["!!python/tuple a", "!!python/dict [a]", "!ruby/sym [a]", "!!python/object/apply:builtins.iter a", "{[a]: 1}",
     "{{a: 1}: 1}", "!!int a", "!!float []", "!!bool maybe", "!!binary ä", "!!binary []", "!!set {a}", "!!omap [a: 1]",
     "!!timestamp 2020-01-01"],
)  # fmt: skip
def test_what_a_tag_cannot_mean_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        plain_yaml.load(f"a:\n  - {text}".encode())
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line == 1


def test_an_alias_is_the_value_that_it_names_also_inside_of_itself() -> None:
    found = plain_yaml.load(b"a: &x [1]\nb: *x\nc: &y {z: *y}\nd: &z text\ne: *z")
    assert found["a"] is found["b"]
    assert found["c"]["z"] is found["c"]
    assert found["e"] == "text"


def test_python_alone_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"a: [1, 1.5, no, ~, 'x', !!binary YQ==, !!python/tuple [y]]\nb: {c: 012}"
    with_c = plain_yaml.load(text)
    plain_yaml._loader.cache_clear()
    monkeypatch.delattr(yaml, "CSafeLoader")
    try:
        assert plain_yaml.load(text) == with_c == {"a": [1, 1.5, "no", None, "x", b"a", ["y"]], "b": {"c": "012"}}
    finally:
        plain_yaml._loader.cache_clear()
