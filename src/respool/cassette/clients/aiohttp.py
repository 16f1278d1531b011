"""aiohttp: a client middleware decides, and a connection that is no connection plays. (Before 3.12 it has no
middlewares: see aiohttp_before_middlewares.py.)

The middleware stands innermost, so redirects, the cookie jar, history, trace hooks and the user's own middlewares stay
aiohttp's. A recorded answer is given to aiohttp's own parser as the bytes of the wire: the connector hands out a
connection whose protocol already has them, and everything above it is what it is live.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from respool.cassette.clients.driving import SMALL_REST, Tee, drive_async, wire
from respool.cassette.clients.failures import failure_of
from respool.cassette.clients.layers import open_deck, recorded_above
from respool.cassette.clients.patches import Method, replace
from respool.cassette.codings import listed, with_length
from respool.cassette.model import Failure, Request, Response

__tracebackhide__ = True  # a miss is shown where the application made the request

_SUCCESSORS = {
    "ConnectionTimeoutError": "ServerTimeoutError", "SocketTimeoutError": "ServerTimeoutError",
    "ClientConnectorDNSError": "ClientConnectorError",
}  # fmt: skip
"""Exceptions that newer versions raise, and what older ones raise for the same."""
_script: ContextVar[Response | None] = ContextVar("respool_aiohttp_script", default=None)


def patch(aiohttp: ModuleType) -> None:
    """Hook the sessions and connectors of aiohttp."""
    client = _client(aiohttp)
    ours = partial(_middleware, client)

    def _request(original: Method) -> Method:
        async def _request(session: Any, *arguments: Any, middlewares: Any = None, **options: Any) -> Any:
            if open_deck() is not None:
                # A request's own middlewares replace the session's.
                chain = session._middlewares if middlewares is None else middlewares
                middlewares = (*chain, ours)
            return await original(session, *arguments, middlewares=middlewares, **options)

        return _request

    def connect(original: Method) -> Method:
        async def connect(connector: Any, request: Any, *arguments: Any, **options: Any) -> Any:
            response = _script.get()
            if response is None:
                return await original(connector, request, *arguments, **options)
            loop = connector._loop
            protocol = client.protocol(loop)
            protocol.plays = iter(_pieces(response, request.method))
            protocol.transport = _NOBODY
            return client.connection(connector, None, protocol, loop)  # no key: that is a place among the pooled ones

        return connect

    if "middlewares" not in aiohttp.ClientSession._request.__kwdefaults__:
        from respool.cassette.clients import aiohttp_before_middlewares  # few have such an old one

        aiohttp_before_middlewares.hook(aiohttp, ours, connect)
        return
    replace(aiohttp.ClientSession, "_request", _request)
    replace(aiohttp.BaseConnector, "connect", connect)


class _Client(NamedTuple):
    module: Any
    protocol: Any
    connection: Any
    reader: Any
    decodes: tuple[str, ...]

    def error(self, name: str) -> Any:
        """An exception of aiohttp's, or that which an older version has in its place."""
        return getattr(self.module, name, None) or getattr(self.module, _SUCCESSORS[name])


def _client(aiohttp: Any) -> _Client:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    class Played(ResponseHandler):
        """A protocol that has received everything before anything was sent."""

        plays: Iterator[bytes]
        after_sending = False
        """Whether `receive` will be called when the request was sent; otherwise it comes by itself."""

        def set_response_params(self, **options: Any) -> None:
            super().set_response_params(**options)
            if not self.after_sending:
                self.receive()

        def receive(self) -> None:
            # One piece to a turn of the loop: who reads a stream sees its pieces as they were recorded.
            if self.transport is None:
                return
            piece = next(self.plays, None)
            if piece is None:
                self.connection_lost(None)
            else:
                self.data_received(piece)
                if self._payload is None or not self._payload.is_eof():
                    self._loop.call_soon(self.receive)

    class Connected(Connection):
        """A connection that no connector knows of: it is never pooled, and takes no place."""

        def close(self) -> None:
            protocol, self._protocol = self._protocol, None
            if protocol is not None:
                self._notify_release()
                protocol.close()
                protocol._parser = None  # they hold each other, and the garbage collector would have to part them

        release = close

        def __del__(self, _warnings: Any = None) -> None:
            if self._protocol is not None:
                self.close()

    zstd = ("zstd",) if hasattr(aiohttp.http_parser, "HAS_ZSTD") else ()
    return _Client(aiohttp, Played, Connected, _teed(aiohttp), ("gzip", "deflate", "br", *zstd))


def _teed(aiohttp: Any) -> Any:
    from aiohttp.streams import StreamReader

    class Teed(StreamReader):
        """A body that is read along as it arrives. Its tee hangs among the callbacks, for the class has no more room."""

        __slots__ = ()

        def feed_data(self, data: bytes, *arguments: Any) -> Any:
            tee = next((each.tee for each in self._eof_callbacks if isinstance(each, _End)), None)
            if tee is not None:
                tee.feed(data)
            return super().feed_data(data, *arguments)

        def set_exception(self, error: Any, *arguments: Any) -> None:
            for each in self._eof_callbacks:
                if isinstance(each, _End) and type(error) is aiohttp.ClientConnectionError:  # the application closed it
                    each.tee.close()
                elif isinstance(each, _End):
                    each.tee.fail(failure_of(error) if isinstance(error, Exception) else None)
            super().set_exception(error, *arguments)

    return Teed


class _End:
    """Called at the end of a body."""

    def __init__(self, tee: Tee) -> None:
        self.tee = tee

    def __call__(self) -> None:
        self.tee.end()


class _Transport(asyncio.Transport):
    """What a request is written to when nobody is there. It knows of no connection, so that one serves all."""

    def write(self, data: Any) -> None:
        """Drop it."""

    def writelines(self, list_of_data: Any) -> None:
        """Drop them."""

    def write_eof(self) -> None:
        """Nothing is to be ended."""

    def is_closing(self) -> bool:
        """A protocol that was closed no longer has it."""
        return False

    def close(self) -> None:
        """Nothing is open."""

    abort = close

    def pause_reading(self) -> None:
        """Nothing arrives by itself."""

    resume_reading = pause_reading


_NOBODY = _Transport()


class _Call:
    """One request of one session, at the innermost middleware."""

    def __init__(self, client: _Client, request: Any, handler: Callable[[Any], Awaitable[Any]], body: bytes) -> None:
        self._client = client
        self._request = request
        self._handler = handler
        self._body = body
        self.script: Response | Failure | None = None

    def request(self) -> Request:
        request = self._request
        url = str(request.url).partition("#")[0]
        return Request(request.method, url, tuple(request.headers.items()), self._body)

    async def send(self) -> Any:
        with recorded_above():
            answer = await self._handler(self._request)
            # A redirect's body is dropped above, and so is that of an answer whose status was all that mattered.
            if 0 < (answer.content_length or 0) <= SMALL_REST and not answer.content.is_eof():
                with suppress(self._client.module.ClientError):
                    await answer.content.wait_eof()
            return answer

    async def dropped(self, answer: Any) -> None:
        answer.close()

    def head(self, answer: Any) -> Response:
        headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers])
        version = f"HTTP/{answer.version.major}.{answer.version.minor}"
        codings = listed(headers)
        decoded = len(codings) == 1 and codings[0] in self._client.decodes and self._request._session._auto_decompress
        return Response(answer.status, answer.reason or "", version, headers, codings=codings if decoded else ())

    def teed(self, answer: Any, tee: Tee) -> Any:
        content = answer.content
        for piece in getattr(content, "_buffer", ()):
            tee.feed(piece)
        if content.is_eof():
            tee.end()
        else:
            content.__class__ = self._client.reader
            content.on_eof(_End(tee))
        return answer

    def replayed(self, response: Response | Failure) -> Any:
        self.script = response

    def failure(self, error: Exception) -> Failure | None:
        module = self._client.module
        kinds = (
            (self._client.error("ConnectionTimeoutError"), "connect_timeout"),
            (self._client.error("SocketTimeoutError"), "read_timeout"),
            (module.ClientSSLError, "tls"), (self._client.error("ClientConnectorDNSError"), "name"),
            (module.ClientConnectorError, "connect"), (module.ServerDisconnectedError, "closed"),
            (module.ClientPayloadError, "closed"), (module.ClientResponseError, "protocol"),
        )  # fmt: skip
        failure = failure_of(error, next((kind for type_, kind in kinds if isinstance(error, type_)), None))
        if failure is None:
            return None
        # What aiohttp says around it, its exceptions say again at playback.
        below = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        told = (getattr(below, "strerror", None) or str(below)) if below is not None else getattr(error, "message", None)
        return failure._replace(message=told) if isinstance(told, str) else failure


async def _middleware(client: _Client, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
    deck = open_deck()
    if deck is None:
        return await handler(request)
    body = request.body
    if not isinstance(body, bytes):
        # aiohttp's payloads keep what they were read to, and send it all the same.
        body = b"" if not body else bytes(body if isinstance(body, bytearray) else await body.as_bytes())
    call = _Call(client, request, handler, body)
    answer = await drive_async(deck, call)
    script = call.script
    if script is None:
        return answer
    if isinstance(script, Failure):
        raise _exception(client, request, script)
    token = _script.set(script)
    try:
        answer = await handler(request)  # through everything of aiohttp's that a real answer passes
    finally:
        _script.reset(token)
    if deck.rereadable and answer.content.is_eof():
        answer._body = b"".join(getattr(answer.content, "_buffer", ()))
    return answer


def _pieces(response: Response, method: str) -> list[bytes]:
    """The bytes of the wire: the head with the first piece of the body, then the others in the framing the head names."""
    headers, pieces = wire(response)
    if method == "HEAD":
        pieces = []
    chunked, told = False, None
    for name, value in headers:
        # Lengths first: they are cheap, and only two names matter.
        if len(name) == 17 and name.lower() == "transfer-encoding":
            chunked = chunked or "chunked" in value.lower()
        elif len(name) == 14 and told is None and name.lower() == "content-length":
            told = value
    if chunked and told is not None:
        # Another client, or an edit, left both on the tape; aiohttp's parser refuses such an answer.
        chunked, headers = False, tuple(pair for pair in headers if pair[0].lower() != "transfer-encoding")
    if method != "HEAD" and told is not None and told != str(true := sum(map(len, pieces))):
        headers = with_length(headers, true)  # a tape that was edited: the parser would wait for the rest, or cut it
    if chunked and method != "HEAD":
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
        pieces[-1:] = [(pieces[-1] if pieces else b"") + b"0\r\n\r\n"]
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    version = response.version if response.version in ("HTTP/1.0", "HTTP/1.1") else "HTTP/1.1"
    head = f"{version} {response.status} {response.reason}\r\n{lines}\r\n".encode("latin-1")
    return [head + pieces[0], *pieces[1:]] if pieces else [head]


def _exception(client: _Client, request: Any, failure: Failure) -> Exception:
    """The exception that aiohttp raises for such a failure."""
    aiohttp, (kind, message) = client.module, failure
    key, below = request.connection_key, OSError(None, message)
    made: Exception
    if kind == "tls" and "CERTIFICATE_VERIFY" in message:
        made = aiohttp.ClientConnectorCertificateError(key, ssl.SSLCertVerificationError(1, message))
    elif kind == "tls":
        made = aiohttp.ClientConnectorSSLError(key, ssl.SSLError(1, message))
    elif kind == "name":
        made = client.error("ClientConnectorDNSError")(key, below)
    elif kind == "connect":
        made = aiohttp.ClientConnectorError(key, below)
    elif kind == "connect_timeout":
        made = client.error("ConnectionTimeoutError")(message)
    elif kind == "protocol":
        status = 400 if hasattr(aiohttp, "ConnectionTimeoutError") else 0  # aiohttp 3.9 told none
        made = aiohttp.ClientResponseError(request.request_info, (), status=status, message=message)
    elif kind == "closed":
        made = aiohttp.ServerDisconnectedError(message)
    else:
        # The time for a whole request runs out without a word, that of a socket with some.
        made = client.error("SocketTimeoutError")(message) if message else TimeoutError()
    return made
