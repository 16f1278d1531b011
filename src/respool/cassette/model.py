"""What is on a tape: frozen values in our own form, without a type of any HTTP client, without a file.

Texts of the wire (header names and values, reasons) are `str` decoded as latin-1, so that every byte survives. Bodies
are `bytes`. Named tuples, because one of each is made for every replayed request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values in the order of the wire, duplicates kept, names spelled as sent."""


class Mode(Enum):
    """How a deck treats a request.

    REPLAY never touches the network; FILL records what is missing; RERECORD records everything, into staging;
    BYPASS lets everything through and keeps nothing.
    """

    REPLAY = "replay"
    FILL = "fill"
    RERECORD = "rerecord"
    BYPASS = "bypass"


class Request(NamedTuple):
    """One HTTP request as it left the client: `method` as sent, absolute `url` without a fragment, whole `body`.

    A body that the client encoded (Content-Encoding) stands here as it was sent.

    >>> Request("GET", "https://api.example.com/oslo").body
    b''
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""


class Chunk(NamedTuple):
    """A piece of a streamed body: how many bytes of Response.body it covers, seconds after the piece before it."""

    size: int
    after: float


class Response(NamedTuple):
    """One HTTP answer. `headers` are the wire's own; `body` is decoded as far as `codings` says.

    `codings` are the content codings (of the Content-Encoding header, in the order they were applied) that were taken
    off the body and are put on again at playback: ("gzip",) for an ordinary compressed answer. They are empty
    where the body could not be decoded: then `body` is what the wire carried. Transfer codings are never part of a
    body. `chunks` are kept where a stream was read piece by piece; their sizes add up to len(body).
    """

    status: int
    reason: str = ""
    version: str = "HTTP/1.1"
    headers: Headers = ()
    body: bytes = b""
    codings: tuple[str, ...] = ()
    chunks: tuple[Chunk, ...] = ()


class Failure(NamedTuple):
    """A request that got no answer: recorded only if asked for, and raised again at playback.

    `kind` is one of "connect", "connect_timeout", "read_timeout", "write_timeout", "protocol", "tls", "name", "closed".
    """

    kind: str
    message: str = ""


class Interaction(NamedTuple):
    """A request with what came back; `at` in UTC microseconds (0: unknown), `seconds` until the headers were there."""

    request: Request
    response: Response | Failure
    at: int = 0
    seconds: float = 0.0


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cassette:
    """A header and its interactions in the order their requests left; a value that knows no file.

    `interactions` may be any sequence: a reader of large files gives one that makes its elements when they are asked
    for. `origin` names the format it was read from. `matching` is the description of the rule it was recorded under
    (Matching.described()), `test` the id of the test, `writer` the program and its version; `extra` is kept as it was
    found.
    """

    interactions: Sequence[Interaction] = ()
    at: int = 0
    writer: str = ""
    test: str = ""
    matching: Mapping[str, Any] = field(default_factory=_nothing)
    origin: str = "respool"
    extra: Mapping[str, Any] = field(default_factory=_nothing)

    def request(self, place: int) -> Request:
        """The request of one interaction; a sequence with a `request(place)` of its own needs not make the answer."""
        told = getattr(self.interactions, "request", None)
        found: Request = self.interactions[place].request if told is None else told(place)
        return found

    def response(self, place: int) -> Response | Failure:
        """What came back in one interaction; the same holds for a sequence with a `response(place)`."""
        told = getattr(self.interactions, "response", None)
        found: Response | Failure = self.interactions[place].response if told is None else told(place)
        return found


PLACEHOLDER = re.compile(r"__redacted_[a-z0-9][a-z0-9_.-]{0,63}__")
"""What stands for a secret on a tape: ASCII that no URL, form or JSON encoder changes; test it with fullmatch."""


def placeholder(name: str) -> str:
    """The placeholder for the secret `name` (any text; what the grammar does not hold becomes a hyphen).

    >>> placeholder("X-Api-Key")
    '__redacted_x-api-key__'
    """
    plain = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.")[:64]
    return f"__redacted_{plain or 'secret'}__"


def header(headers: Headers, name: str) -> str | None:
    """The first value of the header `name` (lower case), or None.

    >>> header((("Content-Type", "text/plain"),), "content-type")
    'text/plain'
    """
    for found, value in headers:
        if found.lower() == name:
            return value
    return None
