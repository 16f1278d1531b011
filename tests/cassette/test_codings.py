"""Content codings: what was taken off is put on again, whatever was sent comes to an end, nothing grows without bound."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from respool.cassette import codings
from respool.cassette.model import Chunk, Response

BODY = b'{"temp": 12}' * 40
COMPRESSED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),  # two members are one body
    "deflate": zlib.compress(BODY),
    "br": brotli.compress(BODY),
    "zstd": zstandard.compress(BODY[:100]) + zstandard.compress(BODY[100:]),
}
NAMES = st.lists(st.sampled_from(sorted(COMPRESSED)), max_size=3).map(tuple)


@pytest.mark.parametrize("coding", COMPRESSED)
def test_what_a_real_encoder_made_is_taken_off(coding: str) -> None:
    wire = COMPRESSED[coding]
    assert codings.taken_off((("Content-Encoding", coding.upper()),), wire) == (BODY, (coding,))


def test_deflate_without_its_frame_is_read_as_browsers_do() -> None:
    state = zlib.compressobj(wbits=-15)
    assert codings.decode(state.compress(BODY) + state.flush(), ("deflate",)) == BODY


@pytest.mark.parametrize(
    ("coding", "read"),
    [
        ("gzip", gzip.decompress),
        ("x-gzip", lambda wire: zlib.decompress(wire, 31)),
        ("deflate", zlib.decompress),
        ("br", brotli.decompress),
        ("zstd", lambda wire: zstandard.ZstdDecompressor().decompressobj().decompress(wire)),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000, 0x10001, 0x20000, 0x20001, 300_000])
def test_others_read_what_is_put_on(coding: str, read: object, size: int) -> None:
    body = (BODY * (size // len(BODY) + 1))[:size]
    wire = codings.encode(body, (coding,))
    assert read(wire) == body  # type: ignore[operator]
    assert len(wire) < size + 64
    assert codings.decode(wire, (coding,)) == body


@given(st.binary(max_size=300), NAMES)
def test_off_is_the_inverse_of_on(body: bytes, names: tuple[str, ...]) -> None:
    assert codings.decode(codings.encode(body, names), names) == body


@given(st.binary(max_size=300), NAMES)
def test_any_bytes_under_any_codings_are_decoded_or_left_alone(body: bytes, names: tuple[str, ...]) -> None:
    decoded, found = codings.taken_off((("content-encoding", ", ".join(names)),), body)
    assert (decoded, found) == (body, ()) or codings.decode(body, found) == decoded


@settings(deadline=None)
@given(st.sampled_from(sorted(COMPRESSED)), st.data())
def test_damaged_content_is_all_or_nothing(coding: str, data: st.DataObject) -> None:
    wire = bytearray(COMPRESSED[coding])
    del wire[data.draw(st.integers(0, len(wire))) :]
    for place in data.draw(st.lists(st.integers(0, max(0, len(wire) - 1)), max_size=3)):
        if wire:
            wire[place] ^= data.draw(st.integers(1, 255))
    assert isinstance(codings.decode(bytes(wire), (coding,)), bytes | None)


@pytest.mark.parametrize("coding", COMPRESSED)
@pytest.mark.parametrize("cut", [1, 5])
def test_a_body_that_was_cut_stays_as_it_was_sent(coding: str, cut: int) -> None:
    wire = COMPRESSED[coding][:-cut]
    assert codings.taken_off((("Content-Encoding", coding),), wire) == (wire, ())


@pytest.mark.parametrize(
    ("coding", "tail"), [("gzip", b"tail"), ("deflate", b"tail"), ("deflate", COMPRESSED["deflate"]), ("br", b"tail")]
)
def test_bytes_after_the_end_are_not_lost(coding: str, tail: bytes) -> None:
    wire = COMPRESSED[coding] + tail
    assert codings.taken_off((("Content-Encoding", coding),), wire) == (wire, ())


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", lambda body: gzip.compress(body, 1)),
        ("deflate", lambda body: zlib.compress(body, 1)),
        ("br", lambda body: brotli.compress(body, quality=1)),
        ("zstd", lambda body: zstandard.compress(body, 1)),
    ],
)
def test_a_bomb_is_not_unpacked(coding: str, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(70_000_000))
    assert len(bomb) < 1_000_000
    assert codings.decode(bomb, (coding,)) is None


@pytest.mark.parametrize("named", ["rot13", "gzip, rot13", "gzip, gzip, gzip, gzip, gzip"])
def test_an_unknown_coding_leaves_all_of_them_on(named: str) -> None:
    wire = COMPRESSED["gzip"]
    assert codings.taken_off((("Content-Encoding", named),), wire) == (wire, ())


def test_codings_are_taken_off_in_turn_across_headers() -> None:
    wire = brotli.compress(gzip.compress(BODY))
    headers = (("Content-Encoding", "gzip, identity"), ("X", "y"), ("content-encoding", "br"))
    assert codings.taken_off(headers, wire) == (BODY, ("gzip", "br"))


def test_an_answer_to_head_is_untouched() -> None:
    headers = (("Content-Encoding", "gzip"), ("Content-Length", "182"))
    body, found = codings.taken_off(headers, b"")
    response = Response(200, headers=headers, body=body, codings=found)
    assert codings.put_on(response) == (headers, b"")


def test_the_length_is_corrected_where_the_codings_changed_it() -> None:
    headers = (("Content-Encoding", "gzip"), ("Content-length", "182"), ("X", "y"))
    played, wire = codings.put_on(Response(200, headers=headers, body=BODY, codings=("gzip",)))
    assert played == (("Content-Encoding", "gzip"), ("Content-length", str(len(wire))), ("X", "y"))
    assert gzip.decompress(wire) == BODY


def test_without_codings_the_very_same_objects_are_played() -> None:
    response = Response(200, headers=(("Content-Length", "3"),), body=b"four")
    headers, wire = codings.put_on(response)
    assert headers is response.headers
    assert wire is response.body


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_pieces_are_readable_when_they_arrive(coding: str) -> None:
    response = Response(200, body=b"onethree", codings=(coding,), chunks=(Chunk(3, 0.0), Chunk(5, 0.5)))
    _, pieces = codings.pieces_put_on(response)
    reader = {
        "gzip": lambda: zlib.decompressobj(31),
        "deflate": zlib.decompressobj,
        "br": brotli.Decompressor,
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    }[coding]()  # type: ignore[no-untyped-call]
    feed = reader.process if coding == "br" else reader.decompress
    assert [(feed(piece), after) for piece, after in pieces] == [(b"one", 0.0), (b"three", 0.5)]


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.floats(0, 9)), min_size=1), NAMES)
def test_pieces_come_back_with_their_waits(given_pieces: list[tuple[bytes, float]], names: tuple[str, ...]) -> None:
    chunks = tuple(Chunk(len(piece), after) for piece, after in given_pieces)
    headers = (("Content-Encoding", ", ".join(names)),)
    response = Response(200, headers=headers, body=b"".join(piece for piece, _ in given_pieces), codings=names, chunks=chunks)
    assert codings.pieces_taken_off(headers, codings.pieces_put_on(response)[1]) == (response.body, names, chunks)


def test_the_wait_for_a_piece_that_gave_nothing_goes_to_the_next() -> None:
    wire = gzip.compress(BODY)
    headers = (("Content-Encoding", "gzip"),)
    body, found, chunks = codings.pieces_taken_off(headers, [(wire[:5], 1.0), (wire[5:], 2.0)])
    assert (body, found, chunks) == (BODY, ("gzip",), (Chunk(len(BODY), 3.0),))


def test_pieces_that_cannot_be_decoded_stay_as_they_were_sent() -> None:
    headers = (("Content-Encoding", "gzip"),)
    assert codings.pieces_taken_off(headers, [(b"no", 0.0), (b"gzip", 1.0)]) == (
        b"nogzip", (), (Chunk(2, 0.0), Chunk(4, 1.0)),
    )  # fmt: skip


def test_an_unknown_coding_cannot_be_put_on() -> None:
    assert codings.known("br")
    assert not codings.known("rot13")
    with pytest.raises(codings.Undecodable, match="rot13"):
        codings.encode(b"", ("rot13",))
