"""Cassettes as hypothesis draws them: everything that a tape may hold, exact bodies of every form among them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from respool.cassette.model import Cassette, Chunk, Failure, Headers, Interaction, Request, Response

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
JSON = st.builds(
    lambda value, spaced, ascii_only, newline: (
        json.dumps(value, ensure_ascii=ascii_only, separators=None if spaced else (",", ":")) + newline
    ).encode("utf-8"),
    st.dictionaries(st.text(max_size=5), VALUES, max_size=3) | st.lists(VALUES, max_size=3),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "\n"]),
)
BODIES = st.one_of(
    st.just(b""), JSON, st.text(max_size=40).map(lambda text: text.encode("utf-8")), st.binary(max_size=40),
    st.sampled_from([b"one\r\ntwo\n", b'{"a":1.0e5}', b'{"a":1,"a":2}', b'{"a":"\\u003c\\/"}\n', b"[" * 60 + b"]" * 60]),
)  # fmt: skip
WIRE = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=12)
NAMES = st.text(st.sampled_from("abcXYZ-_09"), min_size=1, max_size=6)
HEADERS: st.SearchStrategy[Headers] = st.lists(st.tuples(NAMES | WIRE, WIRE), max_size=4).map(tuple)
REQUESTS = st.builds(Request, st.sampled_from(["GET", "POST", "get", "QUERY"]), st.text(max_size=30), HEADERS, BODIES)
SECONDS = st.floats(0, 1e6)


@st.composite
def _responses(draw: st.DrawFn) -> Response:
    body = draw(BODIES)
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3))) if draw(st.booleans()) else None
    chunks: tuple[Chunk, ...] = ()
    if cuts is not None and body:
        edges = [0, *cuts, len(body)]
        chunks = tuple(Chunk(end - start, draw(SECONDS)) for start, end in pairwise(edges))
    return Response(
        draw(st.integers(100, 599)), draw(WIRE), draw(st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2"])), draw(HEADERS),
        body, draw(st.sampled_from([(), ("gzip",), ("br", "zstd"), ("deflate",)])), chunks,
    )  # fmt: skip


FAILURES = st.builds(Failure, st.sampled_from(["connect", "read_timeout", "tls"]), st.text(max_size=20))
INTERACTIONS = st.builds(Interaction, REQUESTS, _responses() | FAILURES, st.integers(0, 2**53), SECONDS)
DETAILS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.text(max_size=5), VALUES, max_size=2)
CASSETTES = st.builds(
    Cassette, st.lists(INTERACTIONS, max_size=3).map(tuple), at=st.integers(0, 2**53), writer=st.text(max_size=8),
    test=st.text(max_size=20), matching=DETAILS, extra=DETAILS,
)  # fmt: skip


def with_other_values(draw: Callable[[st.SearchStrategy[Any]], Any], document: Any, values: list[Any]) -> Any:
    """A copy of `document` in which one to three values, wherever they are, were replaced by one of `values`."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        holder = document
        while isinstance(holder, (dict, list)) and holder:
            key = draw(st.sampled_from(sorted(holder, key=str) if isinstance(holder, dict) else range(len(holder))))
            if not isinstance(holder[key], (dict, list)) or not holder[key] or draw(st.booleans()):
                holder[key] = copy.deepcopy(draw(st.sampled_from(values)))
                break
            holder = holder[key]
    return document
