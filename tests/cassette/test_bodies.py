"""The kind of a body is read off its bytes, and a part's place in it is exact."""

from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from respool.cassette import bodies


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary()), min_size=1), st.sampled_from([b"\r\n", b"\n"]))
def test_parts_stand_where_they_say(fields: list[tuple[str, bytes]], end: bytes) -> None:
    clean = [(name, content.replace(b"--edge", b"").replace(b"\r", b"")) for name, content in fields]
    body = b"".join(
        b"--edge" + end + f'Content-Disposition: form-data; name="{name}"'.encode() + end + end + content + end
        for name, content in clean
    )
    parts = bodies.multipart(body + b"--edge--" + end)
    assert parts is not None
    assert [(part.name, part.content) for part in parts] == clean
    for part in parts:
        assert (body + b"--edge--")[part.start : part.start + len(part.content)] == part.content


def test_what_is_no_multipart() -> None:
    assert bodies.multipart(b"--x\r\n\r\ncut off") is None
    assert bodies.multipart(b"-- a list\n-- of things\n") is None
    assert bodies.multipart(b"") is None


def test_what_is_no_form() -> None:
    assert bodies.form(b'{"a": "b=c"}') is None
    assert bodies.form(b"two words=1") is None
    assert bodies.form(b"") is None
    assert bodies.form(b"=") is None


def test_gunzipped_is_bounded() -> None:
    assert bodies.gunzipped(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"
    assert bodies.gunzipped(gzip.compress(bytes(1 << 20)), limit=1000) is None
    assert bodies.gunzipped(gzip.compress(bytes(1001)), limit=1000) is None
    assert bodies.gunzipped(gzip.compress(bytes(1000)), limit=1000) == bytes(1000)
    assert bodies.gunzipped(gzip.compress(b"a")[:-3]) is None
    assert bodies.gunzipped(b"\x1f\x8b nothing") is None
    assert bodies.gunzipped(b"plain") is None
