"""Foreign files as plain values: nothing is executed, nothing explodes, and what is broken is told with its place."""

from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.cassette import foreign
from respool.cassette.foreign import documents
from respool.errors import CassetteUnreadable


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.system ['echo']", "!!python/object/new:os.system ['echo']", "!!python/name:os.system ''",
     "!!python/module:os ''", "!!python/object:subprocess.Popen {}", "!!python/object/apply:builtins.eval ['1']",
     "!ruby/object:Gem {}", "!anything x"],
)  # fmt: skip
def test_nothing_is_executed(tag: str) -> None:
    with pytest.raises(CassetteUnreadable) as caught:
        documents.parsed(f"interactions:\n- request:\n    body: {tag}\n".encode(), "a.yaml")
    assert "a.yaml, line 3" in str(caught.value.where)
    assert "safe" in str(caught.value.why)


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 12)]
    lines += ["interactions:", "- request: {method: GET, uri: u, parsed_body: *x11}", "  response: {status: 200}"]
    text = "\n".join(lines)
    with pytest.raises(CassetteUnreadable, match="endless"):
        foreign.read(text.encode(), "a.yaml")


def test_without_pyyaml_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(CassetteUnreadable, match=r"pip install 'respool\[yaml\]'"):
        foreign.read(b"interactions: []", "a.yaml")
    assert foreign.read(b'{"interactions": []}', "a.json") is not None


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a: [\n", "line 2"),
        (b"a: \x00", "byte 3"),
        (b"a: \xff\xff", "byte 3"),
        (b"a: 1\n--- \nb: 2", "line 2"),
        (b"? [a]\n: b", "line 1"),
        (b"[" * 5000, "a.yaml"),
        (b"a: !!binary '\xc3\xa4'", "line 1"),
        (b"a: *x", "line 1"),
        (b"<<: 1\na: !!float x", "a.yaml"),
        (b"a: !!int x", "a.yaml"),
        (b"a: !!timestamp x", "a.yaml"),
        (b"a: !!bool x", "a.yaml"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(content: bytes, place: str) -> None:
    with pytest.raises(CassetteUnreadable) as caught:
        documents.parsed(content, "a.yaml")
    assert place in str(caught.value.where)
    assert gc.isenabled()


def test_plain_scalars_are_what_they_were_on_the_wire() -> None:
    text = "[1, 1.5, true, null, 012, 1_000, 12:30, 2020-01-01, no, =, <<, 1e5, .5, ~]"
    found = documents.parsed(text.encode(), "a.yml")
    assert found is not None
    assert found.value == [1, 1.5, True, None, "012", "1_000", "12:30", "2020-01-01", "no", "=", "<<", "1e5", 0.5, None]


def test_a_place_is_found_in_yaml_and_json() -> None:
    in_yaml = documents.parsed(b"interactions:\n- a: 1\n  b: {c: 2}\n", "a.yaml")
    in_json = documents.parsed(b'{"interactions": [\n{"a": 1}]}', "a.json")
    assert in_yaml is not None
    assert in_json is not None
    assert in_yaml.place(("interactions", 0, "b", "c")) == "line 3, column 10"
    assert in_yaml.place(("interactions", 0, "x", "c")) == "line 2, column 3"
    assert in_yaml.place(("interactions", 7)) == "line 2, column 1"
    assert in_json.place(("interactions", 0, "a")) == "line 2, byte 25"


def test_json_with_a_mark_in_front_is_json() -> None:
    found = documents.parsed(b"\xef\xbb\xbf{}", "a.json")
    assert found is not None
    assert found.is_json


def test_what_may_be_our_own_is_left_to_its_reader() -> None:
    for content in (b"", b"{", b"\xff", b"interactions: []", b"[" * 100_000):
        assert documents.parsed(content, "a.json") is None


@given(st.binary(max_size=60))
def test_any_yaml_ends_in_a_cassette_or_is_unreadable(data: bytes) -> None:
    for content in (data, b"interactions:\n- " + data, b"http_interactions:\n- request: " + data):
        try:
            foreign.read(content, "a.yaml")
        except CassetteUnreadable as error:
            assert str(error.where).startswith("a.yaml")  # noqa: PT017  either end is right
