"""How two requests differ under a matching rule, field by field, in words for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from respool import canonical
from respool.cassette import bodies, jsonpath
from respool.cassette.matching import Matching
from respool.cassette.model import Headers, Request
from respool.cassette.urls import take_apart

_SHOWN = 60  # characters of a value
_DEEP = 50
_NONE = "nothing"


class Difference(NamedTuple):
    """One field that differs: its name ("body $.limit"), and both values as they are shown."""

    field: str
    recorded: str
    sent: str

    def __str__(self) -> str:
        return f"{self.field}: {self.recorded} recorded, {self.sent} sent"


def differences(recorded: Request, sent: Request, matching: Matching, *, most: int = 20) -> list[Difference]:
    """What of the two differs that the rule counts, the coarsest first, at most `most` of a body.

    >>> one, other = Request("POST", "http://a/", (), b'{"limit": 50}'), Request("POST", "http://a/", (), b'{"limit": 100}')
    >>> print(differences(one, other, Matching())[0])
    body $.limit: 50 recorded, 100 sent
    """
    if matching.normalise is not None:
        recorded, sent = matching.normalise(recorded), matching.normalise(sent)
    found = list(_address(recorded, sent, matching))
    if matching.headers:
        found += _headers(recorded.headers, sent.headers, matching.headers)
    if recorded.body != sent.body:
        if "raw_body" in matching.parts:
            found += _bytes(recorded.body, sent.body)
        elif "body" in matching.parts and matching.key(recorded) != matching.key(sent):
            found += _first(_bodies(recorded.body, sent.body, matching), most)
    return found


def _first(found: Iterator[Difference], most: int) -> Iterator[Difference]:
    for _, difference in zip(range(most), found, strict=False):
        yield difference


def _address(recorded: Request, sent: Request, matching: Matching) -> Iterator[Difference]:
    if "method" in matching.parts and recorded.method.upper() != sent.method.upper():
        yield Difference("method", recorded.method, sent.method)
    one, other = take_apart(recorded.url), take_apart(sent.url)
    for part in ("scheme", "host", "port", "path"):
        if part in matching.parts and getattr(one, part) != getattr(other, part):
            yield Difference(part, _shown(getattr(one, part)), _shown(getattr(other, part)))
    if "query" not in matching.parts:
        return
    was, now = ([pair for pair in url.query if pair[0] not in matching.ignore_query] for url in (one, other))
    yield from _pairs("query", was, now)
    if matching.query_order and was != now and sorted(was) == sorted(now):
        orders = ["&".join(name for name, _ in pairs) for pairs in (was, now)]
        yield Difference("order of the query", _shown(orders[0]), _shown(orders[1]))


def _pairs(what: str, was: Sequence[tuple[str, str]], now: Sequence[tuple[str, str]]) -> Iterator[Difference]:
    if Counter(was) == Counter(now):
        return
    for name in dict.fromkeys(name for name, _ in (*was, *now)):
        one = sorted(value for given, value in was if given == name)
        other = sorted(value for given, value in now if given == name)
        if one != other:
            yield Difference(f"{what} {name}", _values(one), _values(other))


def _headers(was: Headers, now: Headers, names: Sequence[str]) -> Iterator[Difference]:
    chosen = [name.lower() for name, _ in (*was, *now)] if "*" in names else names
    for name in dict.fromkeys(chosen):
        one, other = ([value for given, value in headers if given.lower() == name] for headers in (was, now))
        if one != other:
            yield Difference(f"header {name}", _values(one), _values(other))


def _bodies(was: bytes, now: bytes, matching: Matching) -> Iterator[Difference]:
    one, other = bodies.gunzipped(was) or was, bodies.gunzipped(now) or now
    kinds = _kind(one), _kind(other)
    if kinds[0] != kinds[1]:
        yield Difference("body", f"{kinds[0]} ({_size(one)})", f"{kinds[1]} ({_size(other)})")
    elif kinds[0] == "JSON":
        paths = [jsonpath.parse(path) for path in matching.ignore_json]
        yield from _json(jsonpath.without(canonical.decode(one), paths), jsonpath.without(canonical.decode(other), paths), [])
    elif kinds[0] == "a form":
        fields = [[pair for pair in bodies.form(each) or () if pair[0] not in matching.ignore_form] for each in (one, other)]
        yield from _pairs("field", fields[0], fields[1])
    elif kinds[0] == "multipart":
        yield from _multipart(bodies.multipart(one) or (), bodies.multipart(other) or (), matching)
    else:
        yield from _bytes(one, other)


def _kind(body: bytes) -> str:
    if not body:
        return "no body"
    if bodies.looks_like_json(body):
        try:
            canonical.decode(body)
            return "JSON"
        except canonical.NotCanonical:
            pass
    if bodies.form(body) is not None:
        return "a form"
    return "multipart" if bodies.multipart(body) is not None else "bytes"


def _json(was: Any, now: Any, place: list[str | int]) -> Iterator[Difference]:
    field = "body " + jsonpath.text(place)
    if isinstance(was, dict) and isinstance(now, dict) and len(place) < _DEEP:
        for name in dict.fromkeys((*was, *now)):
            if name not in was or name not in now:
                told = [_shown(side[name]) if name in side else _NONE for side in (was, now)]
                yield Difference("body " + jsonpath.text([*place, name]), told[0], told[1])
            else:
                yield from _json(was[name], now[name], [*place, name])
    elif isinstance(was, list) and isinstance(now, list) and len(place) < _DEEP:
        if len(was) != len(now):
            yield Difference(field, f"{len(was)} elements", f"{len(now)} elements")
        for index, (one, other) in enumerate(zip(was, now, strict=False)):
            yield from _json(one, other, [*place, index])
    elif type(was) is not type(now) or was != now:
        yield Difference(field, _shown(was), _shown(now)) if _shown(was) != _shown(now) else _texts(field, str(was), str(now))


def _multipart(was: Sequence[bodies.Part], now: Sequence[bodies.Part], matching: Matching) -> Iterator[Difference]:
    one, other = ([part for part in parts if part.name not in matching.ignore_form] for parts in (was, now))
    if [part.name for part in one] != [part.name for part in other]:
        yield Difference("parts", _values([part.name for part in one]), _values([part.name for part in other]))
        return
    for recorded, sent in zip(one, other, strict=True):
        if recorded.head != sent.head:
            heads = (recorded.head.decode("latin-1"), sent.head.decode("latin-1"))
            yield Difference(f"head of part {recorded.name}", _shown(heads[0]), _shown(heads[1]))
        if recorded.content != sent.content:
            yield from (each._replace(field=f"part {recorded.name}") for each in _bytes(recorded.content, sent.content))


def _bytes(was: bytes, now: bytes) -> Iterator[Difference]:
    try:
        yield _texts("body", was.decode(), now.decode())
    except UnicodeDecodeError:
        yield Difference(f"body from byte {shared_start(was, now)} on", _size(was), _size(now))


def _texts(field: str, was: str, now: str) -> Difference:
    """Two texts from a little before the place where they part."""
    at = shared_start(was, now)
    start = max(0, at - 10)
    return Difference(f"{field} from character {at} on" if at else field, _shown(was[start:]), _shown(now[start:]))


def shared_start(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How long the equal start of two sequences (texts, bytes, lists) is.

    >>> shared_start("spool", "spoon")
    4
    """
    low, high = 0, min(len(one), len(other))
    while low < high:  # halving, so that it is the interpreter's own comparison that walks through the text
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _values(values: Sequence[str]) -> str:
    return ", ".join(_shown(value) for value in values[:3]) + (", …" if len(values) > 3 else "") if values else _NONE


def _shown(value: Any) -> str:
    if isinstance(value, str):
        text = repr(value[: _SHOWN + 1])
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):
            text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _size(data: bytes) -> str:
    return f"{len(data)} bytes"
