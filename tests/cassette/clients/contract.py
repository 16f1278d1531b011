"""What every client must do under a deck: the cases, once; a client is a Driver that carries their plans out.

A Plan says what an application does with one session of its client. A driver tells, call by call, everything that the
application could see; what it sees under a deck, recording and replaying, must equal what it sees without one.

To add a client: write a Driver in drivers_<client>.py and name it in test_client_contract.py. A case that a client has
no notion of goes into the driver's `not_applicable`, with the reason.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import pytest
from server import BINARY, EVENTS, LARGE, PIECES, TEXT

from respool.cassette.deck import Deck
from respool.cassette.format import read, write
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Interaction, Mode
from respool.cassette.open_decks import Opened
from respool.cassette.redaction import Redaction

Seen: TypeAlias = dict[str, Any]
"""What an application saw of one call: status, reason, version, headers, body, and whatever else its client tells."""


@dataclass(frozen=True)
class Call:
    """One request. `path` is absolute on the server; `read` is how the answer's body is read:

    "all" (as the client does by itself), "stream" (piece by piece; the pieces are told too), "raw" (undecoded), "lines",
    "close" (closed unread), "part" (some bytes, then closed).
    `upload` is what `body` is given as: "bytes", "file", "generator", "form", "json", "multipart".
    """

    path: str = "/hello"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    upload: str = ""
    read: str = "all"
    follow: bool = True
    timeout: float = 20.0


@dataclass(frozen=True)
class Plan:
    """One session: its settings, and the calls made in it.

    `trust` is the path of a CA bundle, False for no verification; `proxy` a URL; `retries` the client's own on 503;
    `hooks`: the client's event or trace hooks are registered, and tell what they saw; `custom`: the session's transport
    is one that the application wrote; `base_url`: the server's root is given to the session, not with each call.
    """

    calls: tuple[Call, ...]
    trust: str | bool = True
    proxy: str = ""
    retries: int = 0
    hooks: bool = False
    custom: bool = False
    base_url: bool = False
    cookies: Mapping[str, str] = field(default_factory=dict)
    auth: tuple[str, str] | None = None


class Driver(Protocol):
    """A client as the contract sees it."""

    name: str
    not_applicable: Mapping[str, str]  # case → why this client cannot have it

    def run(self, root: str, plan: Plan) -> list[Seen]:
        """Open a session, make the calls against the server at `root`, close it. An exception of the client's is told
        as {"error": its class, ...}; anything else passes through.
        """


@dataclass(frozen=True)
class Case:
    """A plan, and what shows on the live answers that it tests what it says."""

    plan: Plan
    shown: Callable[[list[Seen]], bool]
    server: str = "plain"  # or "tls"
    keep_failures: bool = False
    recorded: int | None = None  # interactions on the tape; None: as many as calls


def calls(*paths: str, **given: Any) -> tuple[Call, ...]:
    return tuple(Call(path, **given) for path in paths)


def text_of(seen: list[Seen], wanted: bytes) -> bool:
    return all(each["body"] == wanted for each in seen)


def is_error(seen: list[Seen]) -> bool:
    return all("error" in each for each in seen)


def one(call: Call, shown: Callable[[Seen], bool], **plan: Any) -> Case:
    return Case(Plan((call,), **plan), lambda seen: shown(seen[0]))


CASES: dict[str, Case] = {
    "plain": one(Call(), lambda seen: (seen["status"], seen["body"]) == (200, b"hello")),
    "json": one(Call("/json"), lambda seen: b"Oslo" in seen["body"]),
    "query": one(Call("/echo?b=2&a=1&a=3&%C3%A6=%20+"), lambda seen: b'"b": "2"' in seen["body"]),
    "repeated, in order": Case(
        Plan(calls(*["/counted/a"] * 3)), lambda seen: [s["body"] for s in seen] == [b"1", b"2", b"3"]
    ),
    "head": one(Call("/large", "HEAD"), lambda seen: seen["body"] == b"" and ("Content-Length", "307200") in seen["headers"]),
    "no content": Case(Plan(calls("/status/204/Nothing", "/status/304/Same")), lambda seen: text_of(seen, b"")),
    "reason and version": Case(
        Plan(calls("/status/200/Splendid", "/status/404/Never%20Heard", "/http10")), lambda seen: seen[2]["body"] == b"old"
    ),
    "duplicate and ordered headers": one(Call("/headers"), lambda seen: len(seen["headers"]) >= 5),
    "request headers": one(
        Call("/echo", headers={"X-Token": "caf\xe9", "x-lower": "1"}), lambda seen: b"x-lower" in seen["body"].lower()
    ),
    "cookies": Case(Plan(calls("/cookies", "/echo")), lambda seen: b"a=1; b=2" in seen[1]["body"]),
    "session cookies": one(Call("/echo"), lambda seen: b"k=v" in seen["body"], cookies={"k": "v"}),
    "redirects with history": Case(
        Plan((Call("/redirect/3"), Call("/echo"))), lambda seen: seen[0]["body"] == b"arrived", recorded=5
    ),
    "redirects not followed": one(Call("/redirect/2", follow=False), lambda seen: seen["status"] == 302),
    "base url": one(Call("/hello"), lambda seen: seen["body"] == b"hello", base_url=True),
    "basic auth": one(Call("/echo"), lambda seen: b"Basic" in seen["body"], auth=("me", "secret")),
    "gzip": one(Call("/gzip"), lambda seen: seen["body"] == TEXT),
    "deflate": one(Call("/deflate"), lambda seen: seen["body"] == TEXT),
    "brotli": one(Call("/br"), lambda seen: seen["body"] == TEXT),
    "zstd": one(Call("/zstd"), lambda seen: seen["body"] == TEXT),
    "two codings": one(Call("/twice"), lambda seen: seen["body"] == TEXT),
    "gzip in chunks": one(Call("/gzip/chunked"), lambda seen: seen["body"] == TEXT),
    "chunked": one(Call("/chunked"), lambda seen: seen["body"] == b"".join(PIECES)),
    "until close": one(Call("/until-close"), lambda seen: seen["body"] == b"until the end"),
    "empty": one(Call("/empty"), lambda seen: seen["body"] == b""),
    "binary": one(Call("/binary"), lambda seen: seen["body"] == BINARY),
    "large": one(Call("/large"), lambda seen: seen["body"] == LARGE),
    "streamed": Case(
        Plan((*calls("/large", "/gzip", read="stream"), Call())),
        lambda seen: [len(each["body"]) for each in seen[:2]] == [307200, len(TEXT)],
    ),
    "streamed lines": one(Call("/gzip", read="lines"), lambda seen: len(seen["lines"]) == 40),
    "server-sent events": one(
        Call("/sse", read="stream"), lambda seen: len(seen["pieces"]) > 1 and seen["body"] == b"".join(EVENTS)
    ),
    "closed unread": Case(Plan(calls("/late", "/hello", read="close")), lambda seen: all(s["status"] == 200 for s in seen)),
    "form": one(Call("/echo", "POST", body=b"a=1&b=%C3%B8", upload="form"), lambda seen: b"YT0xJmI9" in seen["body"]),
    "json upload": one(Call("/echo", "PUT", body=b'{"a": [1, "x"]}', upload="json"), lambda seen: b'"PUT"' in seen["body"]),
    "bytes upload": one(Call("/echo", "PATCH", body=BINARY, upload="bytes"), lambda seen: b"AAECAw" in seen["body"]),
    "multipart": one(Call("/form", "POST", body=BINARY, upload="multipart"), lambda seen: seen["body"] == b'{"parts": 2}'),
    "file upload": one(Call("/echo", "POST", body=LARGE, upload="file"), lambda seen: seen["left"] == b""),
    "generator upload": one(Call("/echo", "POST", body=BINARY, upload="generator"), lambda seen: seen["left"] == b""),
    "hooks": Case(Plan(calls("/redirect/1"), hooks=True), lambda seen: len(seen[0]["hooks"]) > 0, recorded=2),
    "custom transport": one(Call(), lambda seen: seen["through"] == 1, custom=True),
    "the client's own retries": Case(
        Plan(calls("/flaky/2"), retries=3), lambda seen: seen[0]["body"] == b"now" and seen[0]["tries"] == 3, recorded=3
    ),
    "proxy": Case(Plan(calls("/hello"), proxy="plain"), lambda seen: text_of(seen, b"hello")),
    "proxy with a tunnel": Case(
        Plan(calls("/hello", "/json"), proxy="plain", trust=False), lambda seen: seen[0]["body"] == b"hello", server="tls"
    ),
    "tls, own authority": Case(Plan(calls("/hello"), trust="authority"), lambda seen: text_of(seen, b"hello"), server="tls"),
    "tls, unverified": Case(Plan(calls("/hello"), trust=False), lambda seen: text_of(seen, b"hello"), server="tls"),
    "tls refused": Case(Plan(calls("/hello")), is_error, server="tls", keep_failures=True),
    "timeout": Case(Plan(calls("/stalled", timeout=0.2)), is_error, keep_failures=True),
    "reset": Case(Plan(calls("/reset")), is_error, keep_failures=True),
    "no http": Case(Plan(calls("/garbage")), is_error, keep_failures=True),
    "cut body": Case(Plan(calls("/broken")), is_error, keep_failures=True),
}


def comparable(seen: list[Seen], *, pieces: bool = False) -> list[Seen]:
    """What must be equal live and replayed.

    A compressed body is decoded on the tape, and compressed anew at playback: its length on the wire is another's. How a
    network cuts a body is chance; a replay has the `pieces` of a stream of events as its recording had them.
    """
    return [_comparable(each, pieces) for each in seen]


def _comparable(seen: Seen, pieces: bool) -> Seen:
    headers = {name.lower(): value for name, value in seen.get("headers", ())}
    seen = dict(seen)
    if not pieces or "event-stream" not in headers.get("content-type", ""):
        seen.pop("pieces", None)
    if "content-encoding" in headers:
        seen.pop("downloaded", None)
        seen["headers"] = [(name, value) for name, value in seen["headers"] if name.lower() != "content-length"]
    return seen


@contextmanager
def deck_open(tape: Cassette | None = None, mode: Mode = Mode.FILL, **given: Any) -> Iterator[Deck]:
    """A deck, open in this context until the block ends."""
    deck = Deck(tape or Cassette(), Matching(), Redaction(), mode, name="tape.json", **given)
    opened = Opened(deck)
    opened.enter()
    try:
        yield deck
    finally:
        opened.end()
        deck.close()


@contextmanager
def no_network() -> Iterator[None]:
    """Whoever opens a connection or asks a resolver fails the test, also where the application swallows the error."""
    tried = []

    def refuse(*given: Any, **_: Any) -> Any:
        tried.append(given)
        raise AssertionError(f"a replay went to the network: {given}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
    assert not tried


def stored(fresh: Iterable[Interaction]) -> Cassette:
    """What was recorded, as it comes back from a file."""
    written = write(Cassette(tuple(fresh)))
    tape = read(written.data, "tape.json", lambda digest: written.side[digest])
    assert list(tape.interactions) == list(fresh)
    return tape


def failures_on(tape: Cassette) -> list[str]:
    """The kinds of the failures that were recorded."""
    return [each.response.kind for each in tape.interactions if isinstance(each.response, Failure)]
