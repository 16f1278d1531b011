"""The format: a cassette comes back as it was, the same one gives the same bytes, and no bytes end in anything else."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_cassettes import BODIES, CASSETTES, HEADERS, with_other_values
from respool.canonical import digest
from respool.cassette import format as cassette_format
from respool.cassette.model import Cassette, Chunk, Failure, Interaction, Request, Response
from respool.cassette.tape import Tape
from respool.errors import CassetteUnreadable

EXAMPLE = Cassette(
    (
        Interaction(
            Request("POST", "https://api.example.com/søk?q=1", (("Accept", "*/*"),), b'{"city":"Oslo","n":[1,2]}'),
            Response(
                200, "OK", "HTTP/2", (("Set-Cookie", "a=1"), ("Content-Encoding", "gzip"), ("Set-Cookie", "b=2")),
                b"data: 1\n\ndata: 2\n\n", ("gzip",), (Chunk(9, 0.0), Chunk(9, 0.013)),
            ),
            1767225600000000, 0.21,
        ),
        Interaction(Request("GET", "http://127.0.0.1/"), Failure("connect", "refused")),
        Interaction(Request("GET", "http://127.0.0.1/png"), Response(200, body=b"\x89PNG\x00\xff")),
    ),
    at=1767225600000000, writer="respool 0.1.0", test="tests/test_a.py::test_oslo", matching={"headers": ["accept"]},
    extra={"note": "kept"},
)  # fmt: skip

TEXT = """\
{
  "format": 1,
  "writer": "respool 0.1.0",
  "at": 1767225600000000,
  "test": "tests/test_a.py::test_oslo",
  "matching": {
    "headers": [
      "accept"
    ]
  },
  "extra": {
    "note": "kept"
  },
  "interactions": [
    {
      "at": 1767225600000000,
      "seconds": 0.21,
      "request": {
        "method": "POST",
        "url": "https://api.example.com/søk?q=1",
        "headers": {
          "Accept": "*/*"
        },
        "body": {
          "json": {
            "city": "Oslo",
            "n": [
              1,
              2
            ]
          },
          "style": "compact"
        }
      },
      "response": {
        "status": 200,
        "reason": "OK",
        "version": "HTTP/2",
        "headers": [
          ["Set-Cookie", "a=1"],
          ["Content-Encoding", "gzip"],
          ["Set-Cookie", "b=2"]
        ],
        "codings": ["gzip"],
        "body": {
          "text": [
            "data: 1\\n",
            "\\n",
            "data: 2\\n",
            "\\n"
          ]
        },
        "chunks": [[9, 0.0], [9, 0.013]]
      }
    },
    {
      "request": {
        "method": "GET",
        "url": "http://127.0.0.1/"
      },
      "failure": {
        "kind": "connect",
        "message": "refused"
      }
    },
    {
      "request": {
        "method": "GET",
        "url": "http://127.0.0.1/png"
      },
      "response": {
        "status": 200,
        "body": {
          "base64": "iVBORwD/"
        }
      }
    }
  ]
}
"""


def read(data: bytes | str, side: dict[str, bytes] | None = None) -> Cassette:
    content = data.encode() if isinstance(data, str) else data
    return cassette_format.read(content, "tests/x.json", None if side is None else side.__getitem__)


def test_the_file_is_what_a_reviewer_reads() -> None:
    assert cassette_format.write(EXAMPLE) == (TEXT.encode(), {})
    assert read(TEXT) == EXAMPLE


@given(CASSETTES)
def test_a_cassette_comes_back_as_it_was(cassette: Cassette) -> None:
    written = cassette_format.write(cassette)
    found = read(written.data)
    assert found == cassette
    assert tuple(found.interactions) == cassette.interactions
    assert cassette_format.write(found) == written
    assert b"\r" not in written.data


@given(BODIES, HEADERS)
def test_nothing_in_a_body_or_header_hides_from_a_reviewer(body: bytes, headers: Any) -> None:
    told = "\u202e\ufeff\x85\u2066"
    request = Request("GET", "http://a/" + told, headers, (told + body.decode("latin-1")).encode())
    text = cassette_format.write(Cassette((Interaction(request, Response(200)),))).data.decode()
    assert not set(text) & set(told)
    assert read(text).interactions[0].request == request


def test_a_large_body_is_a_file_named_by_its_content() -> None:
    body = b"x" * 65_537
    tape = Cassette((Interaction(Request("PUT", "http://a/", body=body), Response(200, body=body[:-1])),))
    written = cassette_format.write(tape)
    assert written.side == {digest(body): body}
    assert json.loads(written.data)["interactions"][0]["request"]["body"] == {"file": digest(body)}
    assert read(written.data, dict(written.side)) == tape


@pytest.mark.parametrize("side", ["none", "missing", "other"])
def test_a_side_file_that_is_not_right_is_told(side: str) -> None:
    written = cassette_format.write(Cassette((Interaction(Request("GET", "http://a/"), Response(200, body=b"x" * 70_000)),)))

    def other(name: str) -> bytes:
        if side == "missing":
            raise FileNotFoundError(name)
        return b"x"

    with pytest.raises(CassetteUnreadable, match=r"side file [0-9a-f]{32}") as caught:
        cassette_format.read(written.data, "a.json", None if side == "none" else other)
    assert "a.json, line " in str(caught.value)


def test_a_small_tape_is_made_at_once() -> None:
    assert type(read(TEXT).interactions) is tuple


def test_elements_of_a_large_tape_are_made_when_asked_for_and_once() -> None:
    many = EXAMPLE.interactions * 400
    data = cassette_format.write(replace(EXAMPLE, interactions=many)).data
    assert len(data) > 1 << 18
    tape = read(data.decode()).interactions
    assert type(tape) is Tape
    assert tape[0] is tape[0]
    assert tape[-1] == many[-1]
    assert tape[:2] == many[:2]
    assert [(tape.request(place), tape.response(place)) for place in (1, 2)] == [each[:2] for each in many[1:3]]
    assert tape == many
    assert tape != many[:2]
    assert tape != 1
    with pytest.raises(IndexError):
        tape[len(many)]


def damaged(path: list[Any], value: Any, text: str = TEXT) -> str:
    """TEXT with another value at `path`; None takes it away."""
    document = json.loads(text)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return json.dumps(document, indent=2, ensure_ascii=False)


FIRST = ["interactions", 0]


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("", "line 1, byte 0", "no JSON"),
        ('{"format": 1,\n "interactions": [}', "line 2, byte 32", "no JSON"),
        ("[]", "line 1, byte 0", "not an object"),
        ('{"format": "1"}', "byte 11", "does not say"),
        ('{"format": true}', "byte 11", "does not say"),
        ('{"format": 0}', "byte 11", "does not say"),
        ('{"version": 1, "interactions": []}', "byte 0", "does not say"),
        ('{"format": 2, "interactions": []}', "byte 11", "is of format 2, this respool reads up to 1"),
        ('{"format": 1}', "byte 0", "no list of interactions"),
        ('{"format": 1, "interactions": {}}', "byte 30", "no list"),
        ('{"format": 1, "interactions": [], "at": "now"}', "byte 40", "type int"),
        ('{"format": 1, "interactions": [NaN]}', "x.json", "NaN"),
        ('{"format": 1, "interactions": [], "extra": {"n": 1e999}}', "byte 43", "a number that JSON does not have"),
        (damaged([*FIRST, "seconds"], 1).replace('"seconds": 1', '"seconds": 1e999'), "line 17", "a number"),
        ('{"format": 1, "interactions": [], "pi": 1}', "byte 40", "'pi' is no part"),
        ("[" * 100_000, "x.json", "no JSON that can be read"),
        (damaged([*FIRST, "request"], None), "line 15", "must be an object"),
        (damaged([*FIRST, "request", "url"], None), "line 18", "its method and its url"),
        (damaged([*FIRST, "request", "url"], "\\ud800").replace("\\\\", "\\"), "line 18", "half a character"),
        (damaged([*FIRST, "request", "header"], {}), "line 34", "'header' is nothing that stands here"),
        (damaged([*FIRST, "request", "headers"], {"a": 1}), "line 21", "pairs of text"),
        (damaged([*FIRST, "request", "headers"], {"a": "☃"}), "line 21", "one byte of the wire"),
        (damaged([*FIRST, "request", "headers"], [["a"]]), "line 21", "pairs of text"),
        (damaged([*FIRST, "request", "body"], "text"), "line 24", "an object"),
        (damaged([*FIRST, "request", "body"], {"text": 1}), "line 24", "gives no bytes"),
        (damaged([*FIRST, "request", "body"], {"file": "../../etc/passwd"}), "line 25", "named by its digest"),
        (damaged([*FIRST, "response"], None), "line 15", "needs a response or a failure"),
        (damaged([*FIRST, "failure"], {"kind": "tls"}), "line", "and not both"),
        (damaged([*FIRST, "response", "status"], "200"), "line 35", "a number"),
        (damaged([*FIRST, "response", "status"], True), "line 35", "a number"),
        (damaged([*FIRST, "response", "reason"], "☃"), "line 37", "text of the wire"),
        (damaged([*FIRST, "response", "codings"], ["rot13"]), "line", "known content codings"),
        (damaged([*FIRST, "response", "chunks"], [[9, 0.0]]), "line", "18 bytes"),
        (damaged([*FIRST, "response", "chunks"], [[19, 0.0], [-1, 0.0]]), "line", "18 bytes"),
        (damaged([*FIRST, "response", "chunks"], 18), "line", "18 bytes"),
        (damaged([*FIRST, "at"], "now"), "line 16", "microseconds"),
        (damaged([*FIRST, "seconds"], "long"), "line 17", "a number"),
        (damaged(["interactions", 1, "failure", "kind"], 1), "line", "a kind and a message"),
        (damaged(["interactions", 1], 7), "line", "must be an object, not 7"),
    ],
)
def test_damage_is_told_with_its_place_and_reason(text: str, place: str, why: str) -> None:
    with pytest.raises(CassetteUnreadable) as caught:
        read(text)
    assert "'tests/x.json'" in caught.value.what
    assert place in str(caught.value.where)
    assert why in str(caught.value.why)


def test_a_test_may_be_named_by_what_a_file_system_gave() -> None:
    tape = Cassette(test="tests/test_\udcff.py::test_a")
    assert read(cassette_format.write(tape).data) == tape


def test_bytes_that_are_no_text_are_told_by_their_offset() -> None:
    with pytest.raises(CassetteUnreadable, match="byte 12"):
        read(b'{"format": 1\xff')


def place_of_damage(data: bytes) -> str:
    """Where the file is said to be damaged, or its name if all that it holds can be had and be written again."""
    try:
        cassette = read(data)
    except CassetteUnreadable as error:
        return str(error.where)
    for interaction in cassette.interactions:
        assert isinstance(interaction.request.body, bytes)
        assert isinstance(interaction.response, Failure) or isinstance(interaction.response.body, bytes)
    assert read(cassette_format.write(cassette).data) == cassette
    return "tests/x.json, line 1, byte 0"


WRITTEN = TEXT.encode()
MADE_UP = [b"null", b"1e999", b'"', b"{}", b"[]", b"\\ud800", b"-0", b"true", b",", b'"x":']


@settings(max_examples=250)
@given(st.data())
def test_a_mutated_file_is_a_cassette_or_unreadable(data: st.DataObject) -> None:
    mutated = bytearray(WRITTEN)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(mutated) - 1))
        length = data.draw(st.integers(0, 6))
        mutated[start : start + length] = data.draw(st.binary(max_size=4) | st.sampled_from(MADE_UP))
    assert place_of_damage(bytes(mutated)).startswith("tests/x.json")


@settings(max_examples=150)
@given(st.data())
def test_a_document_with_other_values_is_a_cassette_or_unreadable(data: st.DataObject) -> None:
    values = [None, True, -1, 0, 3, 0.5, "", "x", {}, [], {"x": 1}, ["x"]]
    document = with_other_values(data.draw, json.loads(TEXT), values)
    assert "line 1, byte" in place_of_damage(json.dumps(document).encode())


def test_an_older_format_climbs_the_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassette_format, "FORMAT", 3)
    monkeypatch.setitem(cassette_format.UPGRADES, 1, lambda document: {**document, "test": document["test"] + " one"})
    monkeypatch.setitem(cassette_format.UPGRADES, 2, lambda document: {**document, "test": document["test"] + " two"})
    assert read('{"format": 1, "test": "from", "interactions": []}').test == "from one two"
    assert read('{"format": 2, "test": "from", "interactions": []}').test == "from two"
    with pytest.raises(CassetteUnreadable, match="format 4"):
        read('{"format": 4, "interactions": []}')


def test_there_is_a_step_from_every_older_format() -> None:
    assert set(cassette_format.UPGRADES) == set(range(1, cassette_format.FORMAT))


def test_the_garbage_collector_is_left_as_it_was() -> None:
    large = json.dumps({"format": 1, "interactions": [], "extra": {"x": "y" * 300_000}})
    assert gc.isenabled()
    read(large)
    assert gc.isenabled()
    gc.disable()
    try:
        read(large)
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(CassetteUnreadable):
        read(large[:-1])
    assert gc.isenabled()
