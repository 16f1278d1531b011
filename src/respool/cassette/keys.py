"""The parts of a matching key: of an address, a body, headers. Pure functions; matching.py says which are asked for."""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Sequence
from typing import Any

from respool import canonical
from respool.cassette import bodies, jsonpath
from respool.cassette.model import Headers
from respool.cassette.urls import take_apart

ALL_HEADERS = "*"
_BETWEEN = "\0"
_SHORT = 256  # bytes up to which a body stands in its key itself


def address(url: str, parts: Collection[str], ignored: Collection[str], ordered: bool) -> str:
    """The key of a URL: those of scheme, host, port, path and query that are among `parts`, as one text.

    (A text counts its hash once, a tuple each time it is looked up.)

    >>> address("http://a/?b=2&a=1", ("host", "query"), (), False).split(_BETWEEN)
    ['', 'a', '', '', 'a', '1', 'b', '2']
    """
    scheme, host, port, path, query = take_apart(url)
    found = [
        scheme if "scheme" in parts else "", host if "host" in parts else "", str(port) if "port" in parts else "",
        path if "path" in parts else "",
    ]  # fmt: skip
    if query and "query" in parts:
        pairs = [pair for pair in query if pair[0] not in ignored] if ignored else query
        for pair in pairs if ordered else sorted(pairs):
            found += pair
    text = _BETWEEN.join(found)
    return text if text.count(_BETWEEN) == len(found) - 1 else repr(found)  # else two lists could come to the same


def raw_body(body: bytes) -> Hashable:
    """The key of a body whose every byte counts."""
    return body if len(body) <= _SHORT else canonical.digest(body)


def body(sent: bytes, paths: Sequence[jsonpath.Steps] = (), ignored_fields: Collection[str] = ()) -> Hashable:
    """The key of a body by its kind: JSON by value, a form by its pairs, multipart without its boundary, else bytes.

    >>> body(b'{"a": 1, "b": 2}') == body(b'{"b":2,"a":1}')
    True
    >>> body(b'{"a": 1}') == body(b'{"a": 1.0}')
    False
    """
    plain = bodies.gunzipped(sent) or sent
    if bodies.looks_like_json(plain):
        text = _json(plain, paths)
        if text is not None:
            return ("json", text if len(text) <= _SHORT else canonical.digest(text))
    fields = bodies.form(plain)
    if fields is not None:
        return ("form", tuple(sorted(pair for pair in fields if pair[0] not in ignored_fields)))
    parts = bodies.multipart(plain)
    if parts is not None:
        told = [(part.head, canonical.digest(part.content)) for part in parts if part.name not in ignored_fields]
        return ("multipart", tuple(told))
    return raw_body(plain)


def named_headers(headers: Headers, names: Collection[str]) -> Hashable:
    """The key of the headers `names` (lower case; "*": all of them): names folded, values of one name in their order."""
    every = ALL_HEADERS in names
    found = [(name.lower(), value) for name, value in headers if every or name.lower() in names]
    return tuple(sorted(found, key=_first))


def _first(pair: tuple[str, str]) -> str:
    return pair[0]


def _json(plain: bytes, paths: Sequence[jsonpath.Steps]) -> str | None:
    try:
        value: Any = canonical.decode(plain)
        return canonical.encode_decoded(jsonpath.without(value, paths) if paths else value)
    except canonical.NotCanonical:
        pass  # malformed, or JSON that means different things to different readers: what is left are its bytes
    except RecursionError:
        return None
    if not paths:
        return None
    try:
        return json.dumps(jsonpath.without(json.loads(plain), paths), sort_keys=True)
    except (ValueError, RecursionError):
        return None
