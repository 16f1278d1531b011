"""What the contract does not ask of urllib3: answers of http.client read in every way, broken tapes, proxies, bodies."""

from __future__ import annotations

import base64
import io
import json
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from contract import deck_open, failures_on, no_network
from server import EVENTS, LARGE, PIECES, TEXT, Server

from respool.cassette.clients.http_response import Dechunking, PlayedResponse, chunked
from respool.cassette.clients.pool_call import headers_made_by
from respool.cassette.model import Cassette, Chunk, Interaction, Mode, Request, Response

ONCE = urllib3.Retry(0)
WAYS = {
    "read": lambda answer: [answer.read()],
    "read to the end": lambda answer: [answer.read(7), answer.read(7), answer.read(None), answer.read(5)],
    "read1": lambda answer: list(iter(lambda: answer.read1(64), b"")),
    "stream": lambda answer: list(answer.stream(50)),
    "read_chunked": lambda answer: list(answer.read_chunked(decode_content=False)),
    "readinto": lambda answer: [_into(answer, bytearray(50)), _into(answer, bytearray(500_000))],
    "lines": lambda answer: list(answer),
    "buffered": lambda answer: [io.BufferedReader(answer, 64).read()],
    "raw": lambda answer: [answer.read(decode_content=False)],
}

VERSION_2 = not urllib3.__version__.startswith("1.")
if not VERSION_2:
    del WAYS["read1"]


def _into(answer: Any, buffer: bytearray) -> bytes:
    return bytes(buffer[: answer.readinto(buffer)])


@pytest.mark.parametrize("of", [urllib3.response.HTTPHeaderDict, requests.structures.CaseInsensitiveDict, dict])
def test_headers_are_kept_as_they_were_given(of: Any, plain: Server) -> None:
    headers = of({"X-One": "1", "x-TWO": "2"})
    if of is urllib3.response.HTTPHeaderDict:
        headers.add("x-one", "a")
        headers.add("X-ONE", "b")
    with deck_open(mode=Mode.FILL) as deck, urllib3.PoolManager() as pools:
        assert pools.request("GET", plain.url + "/hello", headers=headers, retries=ONCE).status == 200
    assert deck.fresh[0].request.headers == tuple(headers.items())


class _OfAnotherShape:
    def __init__(self, pairs: Any) -> None:
        self.pairs = list(pairs)


def test_headers_of_an_answer_are_made_as_their_class_makes_them() -> None:
    pairs = (("Set-Cookie", "a=1"), ("X-One", "1"), ("set-cookie", "b=2"))
    class_ = urllib3.response.HTTPHeaderDict
    made = headers_made_by(class_)(pairs)
    assert (type(made), vars(made)) == (class_, vars(class_(pairs)))
    assert headers_made_by(class_) is not class_, "this version of urllib3 keeps them in another way"
    assert headers_made_by(_OfAnotherShape) is _OfAnotherShape


def state(answer: Any) -> tuple[Any, ...]:
    original = answer._original_response
    return answer.closed, answer.tell(), original.isclosed(), original.chunked, original.will_close in (True, False)


@pytest.mark.parametrize("path", ["/binary", "/chunked", "/large", "/sse", "/until-close", "/gzip/chunked", "/empty"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_reading_is_the_same(path: str, way: str, plain: Server) -> None:
    def ask() -> list[Any]:
        with urllib3.PoolManager() as pools:
            answer = pools.request("GET", plain.url + path, preload_content=False, retries=ONCE)
            try:
                told: list[Any] = WAYS[way](answer)
            except urllib3.exceptions.HTTPError as error:  # read_chunked of what is not in chunks
                told = [type(error)]
            told.append(state(answer))
            answer.close()
            answer.release_conn()
        return told

    live = ask()
    with deck_open(mode=Mode.FILL) as deck:
        recorded = ask()
    assert _joined(recorded, path) == _joined(live, path)
    if deck.close().cut:  # what was not read, and is not known to be short
        return
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        replayed = ask()
    if "gzip" in path and way in ("raw", "read_chunked", "stream"):  # undecoded, and compressed anew
        live, replayed = live[-1:], replayed[-1:]
    assert _joined(replayed, path) == _joined(live, path)


def _joined(told: list[Any], path: str) -> list[Any]:
    """How a network cuts a body, and where a compressed one stands, is chance; the chunks of events are kept."""
    *pieces, (closed, at, *rest) = told
    if "sse" not in path and pieces and isinstance(pieces[0], bytes):
        pieces = [b"".join(pieces)]
    return [*pieces, (closed, None if "gzip" in path else at, *rest)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_chunks_are_taken_apart_however_they_arrive(size: int) -> None:
    wire = b"4;name=value\r\none \r\n" + chunked([b"two ", b"\r\n0\r\n", LARGE[:300]])
    coding = Dechunking()
    body = b"".join(coding.feed(wire[at : at + size]) for at in range(0, len(wire), size))
    assert body == b"one two \r\n0\r\n" + LARGE[:300]
    assert coding.done
    with pytest.raises(ValueError, match="invalid literal"):
        Dechunking().feed(b"no chunk\r\n")


def test_a_played_answer_is_one_of_http_client() -> None:
    headers = (("Content-Type", "text/plain"), ("X-Two", "1"), ("x-two", "2"))
    answer = PlayedResponse(Response(404, "Nowhere", "HTTP/1.0", headers, b"abc"), "GET")
    assert isinstance(answer, HTTPResponse)
    assert (answer.status, answer.reason, answer.version, answer.getheader("x-TWO")) == (404, "Nowhere", 10, "1, 2")
    assert answer.getheaders() == list(headers)
    assert (answer.read(2), answer.isclosed()) == (b"ab", False)
    assert (answer.read(2), answer.isclosed(), answer.read()) == (b"c", True, b"")
    streamed = Response(200, headers=(("Transfer-Encoding", "chunked"),), body=b"".join(PIECES))
    streamed = streamed._replace(chunks=tuple(Chunk(len(piece), 0.0) for piece in PIECES))
    assert PlayedResponse(streamed, "GET").read() == b"".join(PIECES)


class _Wire:
    """A socket that has received `data`."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


_READS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "whole": (("read",), ("read",)),
    "as much as there is": (("read", 3), ("read",)),
    "more than there is": (("read", 99), ("read", 99)),
    "nothing, then all": (("read", 0), ("read",)),
    "in pieces": (("read", 2), ("read", 2), ("read",)),
    "one, then the rest": (("read1", 1), ("read",), ("read",)),
    "into a buffer": (("readinto", bytearray(2)), ("read",)),
    "by lines": (("readline",), ("readline",)),
    "closed first": (("close",), ("read",), ("close",)),
    "closed then": (("read", 2), ("close",), ("read", 1)),
    "all, then closed": (("read",), ("close",), ("read", 1)),
    "flushed": (("flush",), ("read",), ("flush",)),
}


@pytest.mark.parametrize("how", _READS)
@pytest.mark.parametrize(("method", "status", "body"), [
    ("GET", 200, b"abc"), ("GET", 200, b""), ("HEAD", 200, b"abc"), ("GET", 204, b""), ("GET", 304, b""),
])  # fmt: skip
def test_a_played_answer_is_read_as_one_from_a_socket_is(method: str, status: int, body: bytes, how: str) -> None:
    head = f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    real = HTTPResponse(_Wire(head + (b"" if method == "HEAD" else body)), method=method)  # type: ignore[arg-type]
    real.begin()
    played = PlayedResponse(Response(status, "So", headers=(("Content-Length", str(len(body))),), body=body), method)
    for name, *options in _READS[how]:
        assert getattr(played, name)(*options) == getattr(real, name)(*options)
        assert (played.isclosed(), played.closed, played.length) == (real.isclosed(), real.closed, real.length)
    assert (played.msg.items(), played.headers is played.msg) == (real.msg.items(), real.headers is real.msg)


@pytest.mark.parametrize("told", ["2", "2000"])
def test_a_tape_with_a_wrong_length_is_played_whole(told: str) -> None:
    """Redacted, or written by another program."""
    answer = Response(200, "OK", headers=(("Content-Length", told),), body=b"redacted")
    tape = Cassette((Interaction(Request("GET", "http://a.test/"), answer),))
    with no_network(), deck_open(tape, Mode.REPLAY, repeats=True):
        found = requests.get("http://a.test/", timeout=5)
        assert (found.content, found.headers["Content-Length"]) == (b"redacted", "8")
        with requests.get("http://a.test/", timeout=5, stream=True) as found:
            assert b"".join(found.iter_content(3)) == b"redacted"


def test_what_broke_in_the_middle_is_raised_at_the_start(plain: Server) -> None:
    """A tape holds no half answers."""
    if not VERSION_2:  # which takes half for the whole
        with deck_open(mode=Mode.FILL) as deck:
            assert requests.get(plain.url + "/broken", timeout=10).content == b"half"
        assert (deck.fresh, deck.close().cut) == ((), 1)
        return
    broken = pytest.raises(requests.exceptions.ChunkedEncodingError)
    with deck_open(mode=Mode.FILL, keep_failures=True) as deck, broken:
        requests.get(plain.url + "/broken", timeout=10)
    tape = Cassette(deck.fresh)
    assert failures_on(tape) == ["closed"]
    with deck_open(tape, Mode.REPLAY), pytest.raises(requests.ConnectionError):
        requests.get(plain.url + "/broken", timeout=10)


def test_the_message_of_a_failure_is_said_once(plain: Server) -> None:
    """urllib3 puts the connection before it, each time anew."""

    def ask() -> str:
        with pytest.raises(urllib3.exceptions.NewConnectionError) as caught:
            urllib3.PoolManager().request("GET", "http://127.0.0.1:9/", retries=False)
        return str(caught.value).partition(": ")[2]

    live = ask()
    with deck_open(mode=Mode.FILL, keep_failures=True) as deck:
        assert ask() == live
    assert failures_on(Cassette(deck.fresh)) == ["connect"]
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        assert ask() == live


def test_a_name_that_nobody_knows() -> None:
    def ask() -> tuple[type, str]:
        with pytest.raises(urllib3.exceptions.NewConnectionError) as caught:
            urllib3.PoolManager().request("GET", "http://nowhere.invalid/", retries=False)
        return type(caught.value), str(caught.value).partition(": ")[2]

    live = ask()
    with deck_open(mode=Mode.FILL, keep_failures=True) as deck:
        assert ask() == live
    assert failures_on(Cassette(deck.fresh)) == ["name"]
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        assert ask() == live


def test_a_request_is_the_same_through_a_proxy_and_without(plain: Server, tls: Server, authority: Path) -> None:
    """The proxy and its password are no part of the address; a tape recorded behind one plays without."""
    given: dict[str, Any] = {"timeout": 10, "verify": str(authority)}
    proxies = {"http": plain.url.replace("//", "//me:pass@"), "https": plain.url}
    with deck_open(mode=Mode.FILL) as deck:
        for root in (plain.url, tls.url):
            assert requests.get(root + "/hello", proxies=proxies, **given).text == "hello"
    assert [each.request.url for each in deck.fresh] == [plain.url + "/hello", tls.url + "/hello"]
    plain.reset()
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY) as replay:
        for root in (plain.url, tls.url):
            assert requests.get(root + "/hello", **given).text == "hello"
        assert replay.unplayed == ()
    assert plain.requests == []


def test_uploads_of_every_kind_are_read_whole_and_sent_as_they_were(plain: Server, tmp_path: Path) -> None:
    path = tmp_path / "body.txt"
    path.write_bytes(TEXT)

    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.left = [b"one ", b"two"]

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return self.left.pop(0) if self.left else b""

    with path.open("rb") as file, path.open(encoding="utf-8") as text, urllib3.PoolManager() as pools:
        bodies: list[Any] = [
            b"bytes", "täxt", bytearray(b"array"), memoryview(b"view"), file, text, io.BytesIO(b"memory"),
            iter([b"piece ", "by ", b"piece"]), [b"in ", b"a list"], None,
        ]  # fmt: skip
        coding = "utf-8" if VERSION_2 else "latin-1"
        whole = [b"bytes", "täxt".encode(coding), b"array", b"view", TEXT, TEXT.decode().encode(coding), b"memory"]
        whole += [b"piece by piece", b"in a list", b""]
        with deck_open(mode=Mode.FILL) as deck:
            answers = [pools.request("POST", plain.url + "/echo", body=body, retries=ONCE).data for body in bodies]
    assert [each.request.body for each in deck.fresh] == whole
    assert [base64.b64decode(json.loads(answer)["body"]) for answer in answers] == whole


def test_a_connection_is_reused_between_live_requests_of_a_deck(plain: Server) -> None:
    """What is played uses no connection up, and what is sent finds the pool as it was left."""
    plain.reset()
    with urllib3.PoolManager() as pools, deck_open(mode=Mode.FILL) as deck:
        for n in range(4):
            pools.request("GET", f"{plain.url}/counted/{n}")
    assert plain.connections == 1
    with urllib3.PoolManager() as pools, deck_open(Cassette(deck.fresh[:2]), Mode.FILL):
        plain.reset()
        for n in (0, 2, 1, 3):
            pools.request("GET", f"{plain.url}/counted/{n}")
        (pool,) = (pools.connection_from_url(plain.url),)
        assert pool.num_requests == 4
    assert plain.requests == [("GET", "/counted/2"), ("GET", "/counted/3")]


@pytest.mark.parametrize("mode", [Mode.BYPASS, Mode.FILL])
def test_a_connection_goes_back_when_its_answer_is_read(mode: Mode, plain: Server) -> None:
    """The whole body is read before another request may use the connection."""
    plain.reset()
    with urllib3.PoolManager() as pools, deck_open(mode=mode):
        large = pools.request("GET", plain.url + "/large")
        small = pools.request("GET", plain.url + "/gzip")
    assert (large.data, small.data) == (LARGE, TEXT)
    assert plain.connections == 1


def test_a_tunnel_that_was_not_needed_is_forgotten(plain: Server, tls: Server, authority: Path) -> None:
    """A pool that was played with, then used without a deck, then recorded with."""
    url = tls.url + "/hello"
    with urllib3.ProxyManager(plain.url, ca_certs=str(authority)) as pools:
        with deck_open(mode=Mode.FILL) as deck:
            pools.request("GET", url)
        with urllib3.ProxyManager(plain.url, ca_certs=str(authority)) as others:
            with deck_open(Cassette(deck.fresh), Mode.REPLAY):
                assert others.request("GET", url).data == b"hello"
            assert others.request("GET", url).data == b"hello"
            with deck_open(mode=Mode.FILL):
                assert others.request("GET", url).data == b"hello"


def test_events_are_seen_one_by_one(plain: Server) -> None:
    def ask() -> list[bytes]:
        with requests.get(plain.url + "/sse", stream=True, timeout=10) as answer:
            return list(answer.iter_content(None))

    with deck_open(mode=Mode.FILL) as deck:
        assert ask() == EVENTS
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        assert ask() == EVENTS
