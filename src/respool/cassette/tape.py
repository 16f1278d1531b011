"""The interactions of a file, made when they are asked for: most tests want one, and a large tape has ten thousand.

`checked` goes over what a JSON reader gave, in plain steps because it does so for every interaction of every load. What
it lets through cannot fail later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from respool.canonical import digest
from respool.cassette import body_forms
from respool.cassette.codings import known
from respool.cassette.model import Chunk, Failure, Headers, Interaction, Request, Response

_ENTRY = {"at", "seconds", "request", "response", "failure"}
_REQUEST = {"method", "url", "headers", "body"}
_RESPONSE = {"status", "reason", "version", "headers", "codings", "body", "chunks"}
_DIGEST = re.compile("[0-9a-f]{32}")
_Side = Callable[[str], bytes]


class Damage(ValueError):
    """What is wrong with a document, and where in it: the keys and indices that lead there."""

    def __init__(self, path: tuple[str | int, ...], why: str) -> None:
        super().__init__(why)
        self.path = path


class Tape(Sequence[Interaction]):
    """A sequence of interactions over checked entries."""

    __slots__ = ("_entries", "_made")

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._entries = entries
        # No list: of a large tape that is only played it would hold nothing, in one more cold place for each answer.
        self._made: dict[int, Interaction] = {}

    def request(self, place: int) -> Request:
        """The request of one interaction: an index of a large tape makes no answer for it."""
        made = self._made.get(place)
        return _request(self._entries[place]["request"]) if made is None else made.request

    def response(self, place: int) -> Response | Failure:
        """What came back in one interaction: who plays it knows its request already."""
        made = self._made.get(place)
        return _answer(self._entries[place]) if made is None else made.response

    @overload
    def __getitem__(self, place: int) -> Interaction: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Interaction]: ...
    def __getitem__(self, place: int | slice) -> Interaction | Sequence[Interaction]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        place = range(len(self._entries))[place]  # one counted from the end has its name from the start
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = _interaction(self._entries[place])
        return made

    def __iter__(self) -> Iterator[Interaction]:
        return (self[place] for place in range(len(self._entries)))

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Tape, tuple, list)) or len(other) != len(self):
            return NotImplemented if not isinstance(other, (Tape, tuple, list)) else False
        return all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as for every sequence that compares by its elements and is no tuple

    def __repr__(self) -> str:
        return f"<Tape of {len(self)} interactions>"


def checked(entries: list[Any], side: _Side | None, *, later: bool) -> None:
    """Make sure that every one of `entries` is an interaction; their bodies become bytes, those of JSON `later` on.

    Not later if a text may hold lone surrogates, which have no bytes. Raises Damage.
    """
    for place, entry in enumerate(entries):
        try:
            _check(entry, side, later)
        except Damage as damage:
            damage.path = ("interactions", place, *damage.path)
            raise


def _check(entry: Any, side: _Side | None, later: bool) -> None:
    if type(entry) is not dict or not entry.keys() <= _ENTRY:
        raise _stranger(entry, _ENTRY)
    request, response = entry.get("request"), entry.get("response")
    if type(request) is not dict or not request.keys() <= _REQUEST:
        raise _within("request", _stranger(request, _REQUEST))
    if type(request.get("method")) is not str or type(request.get("url")) is not str:
        raise Damage(("request",), "a request needs its method and its url, both text")
    if not later and not _whole(request["method"] + request["url"]):
        raise Damage(("request",), "its method or its url holds half a character (a lone surrogate)")
    _content(request, "request", side, later)
    if response is None:
        _check_failure(entry)
    elif type(response) is not dict or not response.keys() <= _RESPONSE or "failure" in entry:
        raise _within("response", _stranger(response, _RESPONSE))
    else:
        if type(response.get("status")) is not int:
            raise Damage(("response",), "a response needs its status, a number")
        for name in ("reason", "version"):
            if name in response and not _wire_text(response[name]):
                raise Damage(("response", name), f"{name!r} must be text of the wire")
        _content(response, "response", side, later)
        if "codings" in response:
            _check_codings(response["codings"])
        if "chunks" in response:
            _check_chunks(response)
    if type(entry.get("at", 0)) is not int:
        raise Damage(("at",), "'at' must be a number of microseconds")
    if not _seconds(entry.get("seconds", 0)):
        raise Damage(("seconds",), "'seconds' must be a number")


def _content(part: dict[str, Any], name: str, side: _Side | None, later: bool) -> None:
    """Headers and body of a request or a response."""
    headers = part.get("headers")
    if headers is not None:
        try:
            if type(headers) is dict:
                text = "".join(headers) + "".join(headers.values())
            else:
                text = "".join([key + value for key, value in headers])
            if not text.isascii() and max(text) > "\xff":
                raise TypeError
        except (TypeError, ValueError):
            raise Damage((name, "headers"), "headers are pairs of text, each character one byte of the wire") from None
    body = part.get("body")
    if body is None:
        if "body" in part:
            raise Damage((name, "body"), "an empty body is left out")
    elif type(body) is not dict:
        raise Damage((name, "body"), "a body is an object with the one form that it has")
    elif not (later and body_forms.styled(body)):
        part["body"] = _body(body, name, side)


def _body(form: dict[str, Any], name: str, side: _Side | None) -> bytes:
    if "file" not in form:
        try:
            return body_forms.restored(form)
        except body_forms.Misformed as error:
            raise Damage((name, "body"), f"the body gives no bytes: {error}") from None
    found = form["file"]
    if len(form) > 1 or type(found) is not str or not _DIGEST.fullmatch(found):
        raise Damage((name, "body", "file"), "a side file is named by its digest, and by nothing else")
    if side is None:
        raise Damage((name, "body", "file"), f"its side file {found} is not at hand")
    try:
        body = side(found)
    except OSError as error:
        raise Damage((name, "body", "file"), f"its side file {found} cannot be read: {error}") from None
    if digest(body) != found:
        raise Damage(
            (name, "body", "file"),
            f"the content of its side file {found} is not what its name says; was it edited, or its line ends changed?",
        )
    return body


def _check_failure(entry: dict[str, Any]) -> None:
    failure = entry.get("failure")
    if type(failure) is not dict or not failure.keys() <= {"kind", "message"} or "response" in entry:
        raise Damage((), "an interaction needs a response or a failure, and not both")
    if type(failure.get("kind")) is not str or type(failure.get("message", "")) is not str:
        raise Damage(("failure",), "a failure is a kind and a message, both text")


def _check_codings(codings: Any) -> None:
    if type(codings) is not list or not all(type(coding) is str and known(coding) for coding in codings):
        raise Damage(("response", "codings"), f"{codings!r:.60} is no list of known content codings")


def _check_chunks(response: dict[str, Any]) -> None:
    if type(response.get("body")) is dict:
        response["body"] = _body(response["body"], "response", None)
    length = len(response.get("body", b""))
    chunks = response["chunks"]
    try:
        good = all(type(size) is int and size >= 0 and _seconds(after) for size, after in chunks)
    except (TypeError, ValueError):
        good = False
    if not good or sum(size for size, _ in chunks) != length:
        raise Damage(("response", "chunks"), f"chunks are pairs of bytes and seconds, {length} bytes in all")


def _whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12


def _wire_text(value: Any) -> bool:
    return type(value) is str and (value.isascii() or max(value) <= "\xff")


def _within(name: str, damage: Damage) -> Damage:
    damage.path = (name, *damage.path)
    return damage


def _stranger(value: Any, names: set[str]) -> Damage:
    if type(value) is not dict:
        return Damage((), f"this must be an object, not {value!r:.60}")
    for name in value:
        if name not in names:
            return Damage((name,), f"{name!r:.60} is nothing that stands here; known are {', '.join(sorted(names))}")
    return Damage((), "an interaction needs a response or a failure, and not both")


def _interaction(entry: dict[str, Any]) -> Interaction:
    return Interaction(_request(entry["request"]), _answer(entry), entry.get("at", 0), entry.get("seconds", 0.0))


def _request(given: dict[str, Any]) -> Request:
    return Request(given["method"], given["url"], _headers(given), _bytes(given))


def _answer(entry: dict[str, Any]) -> Response | Failure:
    given = entry.get("response")
    if given is None:
        failure = entry["failure"]
        return Failure(failure["kind"], failure.get("message", ""))
    get = given.get
    codings, chunks = get("codings"), get("chunks")  # few answers have them
    return Response(
        given["status"], get("reason", ""), get("version", "HTTP/1.1"), _headers(given), _bytes(given),
        tuple(codings) if codings else (), tuple([Chunk(size, float(after)) for size, after in chunks]) if chunks else (),
    )  # fmt: skip


def _headers(given: dict[str, Any]) -> Headers:
    headers = given.get("headers")
    if headers is None:
        return ()
    return tuple(headers.items()) if type(headers) is dict else tuple((name, value) for name, value in headers)


def _bytes(given: dict[str, Any]) -> bytes:
    body = given.get("body")
    if type(body) is dict:
        body = given["body"] = body_forms.restored(body)
    return body or b""
