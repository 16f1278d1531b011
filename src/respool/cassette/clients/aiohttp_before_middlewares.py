"""aiohttp 3.9 to 3.11, which has no client middlewares: the same decision, at the lowest place above a connection.

A session asks its connector for a connection, sends the request on it, and starts the answer. Under a deck it gets a
connection that is put off; with all that the session has said, the three steps are taken when the request is sent. What
is above (redirects, the cookie jar, history, trace hooks, the second try of a broken connection) stays aiohttp's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from respool.cassette.clients.layers import open_deck
from respool.cassette.clients.patches import Method, replace

__tracebackhide__ = True  # a miss is shown where the application made the request

_unconnected: ContextVar[tuple[Any, Exception] | None] = ContextVar("respool_unconnected", default=None)
"""A failed connection, and whose: a session's second try is meant for one that broke, not for one that was never made."""

Middleware = Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]


def hook(aiohttp: Any, middleware: Middleware, connecting: Callable[[Method], Method]) -> None:
    """Let `middleware` stand around every request; `connecting` makes a connector's `connect` of the original."""

    def connect(original: Method) -> Method:
        at_once = connecting(original)

        async def connect(connector: Any, request: Any, traces: Any, timeout: Any) -> Any:
            if open_deck() is None:
                return await at_once(connector, request, traces, timeout)
            failed = _unconnected.get()
            if failed is not None and failed[0] is traces:  # a list of its own in each call of a session
                _unconnected.set(None)
                raise failed[1]
            return _PutOff(aiohttp, partial(at_once, connector, request, traces, timeout), timeout, connector, traces)

        return connect

    def send(original: Method) -> Method:
        async def send(request: Any, conn: Any) -> Any:
            if not isinstance(conn, _PutOff):
                return await original(request, conn)
            request.body = await _read(request.body)
            try:
                return await middleware(request, partial(conn.exchange, original))
            except aiohttp.ClientConnectorError as error:
                _unconnected.set((conn.traces, error))
                raise

        return send

    def start(original: Method) -> Method:
        async def start(answer: Any, conn: Any) -> Any:
            if isinstance(conn, _PutOff):
                return answer  # it was started when it was sent
            return await original(answer, conn)

        return start

    replace(aiohttp.BaseConnector, "connect", connect)
    replace(aiohttp.client_reqrep.ClientRequest, "send", send)
    replace(aiohttp.client_reqrep.ClientResponse, "start", start)


class _PutOff:
    """A connection that is made when a request is sent on it: its own protocol, for a session speaks to that."""

    def __init__(
        self, aiohttp: Any, connect: Callable[[], Awaitable[Any]], timeout: Any, connector: Any, traces: Any
    ) -> None:
        self._aiohttp = aiohttp
        self._connect = connect
        self._timeout = timeout
        self._threshold = getattr(connector, "_timeout_ceil_threshold", 5)
        self._parameters: dict[str, Any] = {}
        self.traces = traces
        self.protocol = self.transport = self

    def set_response_params(self, **parameters: Any) -> None:
        """Keep them for the real protocol."""
        self._parameters = parameters

    def close(self) -> None:
        """What was made is closed by `exchange`, or belongs to its answer."""

    async def exchange(self, send: Method, request: Any) -> Any:
        """Connect, send, and read the head of the answer, as a session does."""
        conn = await self._connected(request)
        played = hasattr(conn.protocol, "plays")
        if played:
            conn.protocol.after_sending = True
        conn.protocol.set_response_params(**self._parameters)
        try:
            answer = await send(request, conn)
            if played:
                await asyncio.sleep(0)  # the request is written by a task of its own, which the answer's end would cancel
                conn.protocol.receive()
            try:
                await answer.start(conn)
            except BaseException:
                answer.close()
                raise
        except BaseException:
            conn.close()
            raise
        return answer

    async def _connected(self, request: Any) -> Any:
        client = self._aiohttp
        try:
            async with client.helpers.ceil_timeout(self._timeout.connect, ceil_threshold=self._threshold):
                return await self._connect()
        except TimeoutError as error:
            kind = getattr(client, "ConnectionTimeoutError", client.ServerTimeoutError)
            raise kind(f"Connection timeout to host {request.url}") from error


class _Collector:
    """What a payload is written to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))


async def _read(body: Any) -> bytes:
    """The whole of a body, read as aiohttp reads it, to be sent in its place."""
    if not hasattr(body, "write"):
        return bytes(body) if isinstance(body, (bytes, bytearray)) else b"".join(body or ())
    collector = _Collector()
    await body.write(collector)
    return b"".join(collector.pieces)
