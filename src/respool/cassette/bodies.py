"""What kind of body this is, read off the bytes themselves.

Not off the Content-Type: a foreign or filtered cassette may have dropped it, and the same body must be of the same kind
on the tape and on the wire.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from respool.cassette.urls import pairs

_FORM = re.compile(rb"[\w%.~+*\-\[\]!'()$:@/,;]+=[^\s\"{}]*")
_BOUNDARY = re.compile(rb"--([^\r\n]{1,200})\r?\n")
_GZIP = b"\x1f\x8b"
_NAME = re.compile(rb'\bname="?([^";\r\n]*)', re.IGNORECASE)


class Part(NamedTuple):
    """One part of a multipart body: `start` is where its content begins in the body."""

    name: str
    head: bytes
    content: bytes
    start: int


def looks_like_json(body: bytes) -> bool:
    """Whether the body starts as a JSON object or array does.

    >>> looks_like_json(b' {"a": 1}')
    True
    """
    return body[:1] in (b"{", b"[") or body[:64].lstrip()[:1] in (b"{", b"[")


def form(body: bytes) -> tuple[tuple[str, str], ...] | None:
    """The decoded fields of an application/x-www-form-urlencoded body in their order, or None if it is none.

    >>> form(b"a=1&b=%7E")
    (('a', '1'), ('b', '~'))
    """
    if not _FORM.fullmatch(body):
        return None
    return pairs(body.decode("utf-8", "surrogateescape"))


def multipart(body: bytes) -> tuple[Part, ...] | None:
    r"""The parts of a multipart body, or None if it is none, or is cut off.

    >>> multipart(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n')[0][:3:2]
    ('a', b'1')
    """
    first = _BOUNDARY.match(body) if body.startswith(b"--") else None
    if not first:
        return None
    line = b"--" + first[1].rstrip()
    if not body.rstrip().endswith(line + b"--"):
        return None
    found = []
    at = 0
    pieces = (b"\n" + body).split(b"\n" + line)[1:-1]  # the last piece is the closing "--"
    for piece in pieces:
        head, blank, content = piece.partition(b"\r\n\r\n")
        if not blank:
            head, blank, content = piece.partition(b"\n\n")
        start = at + len(line) + len(head) + len(blank)
        at += len(line) + len(piece) + 1
        name = _NAME.search(head)
        found.append(
            Part(name[1].decode("utf-8", "replace") if name else "", head.strip(), content.removesuffix(b"\r"), start)
        )
    return tuple(found)


def gunzipped(body: bytes, limit: int = 64 << 20) -> bytes | None:
    """What a gzip body holds; None if it is none, is cut off, or would hold more than `limit` bytes.

    >>> import gzip
    >>> gunzipped(gzip.compress(b"hi"))
    b'hi'
    """
    if not body.startswith(_GZIP):
        return None
    found = bytearray()
    rest = body
    try:
        while rest.startswith(_GZIP):  # gzip files may stand one behind the other
            stream = zlib.decompressobj(31)
            found += stream.decompress(rest, limit - len(found) + 1)
            if len(found) > limit or not stream.eof:
                return None
            rest = stream.unused_data
    except zlib.error:
        return None
    return bytes(found) if not rest else None
