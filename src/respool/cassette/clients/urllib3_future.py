"""urllib3-future, the fork that niquests stands on; it installs itself as urllib3 too. Blocking and asynchronous.

The hook is the pool's `_make_request`, as with urllib3; what it gives is not an answer of http.client but a class of the
fork's own, whose body is a function that reads some more: from memory at playback, and read along with when recording.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any, NamedTuple

from respool.cassette.clients.driving import Tee, drive, drive_async, wire
from respool.cassette.clients.layers import open_deck, recorded_above
from respool.cassette.clients.patches import Method, replace
from respool.cassette.clients.pool_call import TUNNEL, PoolCall, postponed
from respool.cassette.codings import with_length
from respool.cassette.model import Failure, Response, header

__tracebackhide__ = True  # a miss is shown where the application made the request

_VERSIONS = {9: "HTTP/0.9", 10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2", 30: "HTTP/3"}
_NUMBERS = {text: number for number, text in _VERSIONS.items()}


def patch(module: ModuleType) -> None:
    """Hook the pools of `module`, which is the fork's connectionpool or _async.connectionpool."""
    package = module.__name__.partition(".")[0]
    asynchronous = "._async." in module.__name__
    errors, backend = sys.modules[f"{package}.exceptions"], sys.modules[f"{package}.backend._base"]
    pools: Any = module
    if asynchronous:
        answers = sys.modules[f"{package}._async.response"].AsyncHTTPResponse
        low: Any = sys.modules[f"{package}.backend._async._base"].AsyncLowLevelResponse
        names = ("AsyncHTTPConnectionPool", "AsyncHTTPSConnectionPool")
    else:
        answers, low = sys.modules[f"{package}.response"].HTTPResponse, backend.LowLevelResponse
        names = ("HTTPConnectionPool", "HTTPSConnectionPool")
    headers = sys.modules[f"{package}._collections"].HTTPHeaderDict
    client = _Client(errors, answers, low, headers, backend)
    replace(getattr(pools, names[0]), "_make_request", _deciding_async(client) if asynchronous else _deciding(client))
    replace(getattr(pools, names[1]), "_prepare_proxy", _postponed_async if asynchronous else postponed)


class _Client(NamedTuple):
    """What an installation of the fork consists of."""

    errors: Any  # the module
    response: Any  # its class
    low: Any  # its class of what stands below a response
    headers: Any  # its class
    backend: Any  # the module
    version_2: bool = True  # the fork goes back to urllib3 2


def _deciding(client: _Client) -> Callable[[Method], Method]:
    def make_request(original: Method) -> Method:
        def _make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
            deck = open_deck()
            if deck is None:
                return original(pool, conn, method, url, **options)
            call = _Call(client, original, pool, conn, method, url, options)
            answer = drive(deck, call)
            if options.get("preload_content", True) and answer._body is None:
                answer.read(decode_content=options.get("decode_content", True), cache_content=True)
            return answer

        return _make_request

    return make_request


def _deciding_async(client: _Client) -> Callable[[Method], Method]:
    def make_request(original: Method) -> Method:
        async def _make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
            deck = open_deck()
            if deck is None:
                return await original(pool, conn, method, url, **options)
            pieces = None
            if hasattr(options.get("body"), "__aiter__"):
                pieces = [each.encode() if isinstance(each, str) else bytes(each) async for each in options["body"]]
                options["body"] = b"".join(pieces)
            call = _AsyncCall(client, original, pool, conn, method, url, options)
            call.pieces = pieces
            answer = await drive_async(deck, call)
            on_connection = options.get("on_post_connection")
            if call.played is not None and on_connection is not None:
                await on_connection(call.played)
            if options.get("preload_content", True) and answer._body is None:
                await answer.read(decode_content=options.get("decode_content", True), cache_content=True)
            return answer

        return _make_request

    return make_request


def _postponed_async(original: Method) -> Method:
    async def _prepare_proxy(pool: Any, conn: Any) -> None:
        if open_deck() is None:
            vars(conn).pop(TUNNEL, None)
            await original(pool, conn)
        else:
            setattr(conn, TUNNEL, original)

    return _prepare_proxy


class _EitherCall(PoolCall):
    """What a blocking and an asynchronous request have in common."""

    played: Any = None
    """The ConnectionInfo of an answer from the tape."""

    def head(self, answer: Any) -> Response:
        low = answer._original_response
        version = _VERSIONS.get(low.version, "HTTP/1.1")
        return Response(low.status, low.reason or "", version, tuple(low.msg.items()))

    def failure(self, error: Exception) -> Failure | None:
        failure = super().failure(error)
        if failure is None and isinstance(error, self._client.errors.ProtocolError):
            # For whatever was wrong on the wire, a connection that was closed included: it needs no telling apart.
            return Failure("protocol", str(error))
        return failure

    def _error(self, failure: Failure) -> Any:
        return self._client.errors.ProtocolError(failure.message) if failure.kind == "protocol" else super()._error(failure)

    def given(self) -> dict[str, Any]:
        """The options of a request whose answer is read along with: not preloaded, and not promised for later."""
        return {**self._options, "preload_content": False, "multiplexed": False}

    def replayed(self, response: Response | Failure) -> Any:
        client, given = self._client, self._options
        self._pool.num_requests += 1
        if isinstance(response, Failure):
            raise self._error(response)
        self.connected(response)
        headers, pieces = wire(response)
        if self._method == "HEAD":
            pieces = []
        elif "chunked" not in (header(headers, "transfer-encoding") or ""):
            # On a tape that was edited or redacted it may be another's.
            headers = with_length(headers, sum(map(len, pieces))) if pieces else headers
        reader = self.reader(pieces) if pieces else None
        version = _NUMBERS.get(response.version, 11)
        low = client.low(self._method, response.status, version, response.reason, client.headers(headers), reader)
        made = client.response(
            body=low, headers=low.msg, status=low.status, version=low.version, reason=low.reason, preload_content=False,
            decode_content=given.get("decode_content", True), original_response=low,
            enforce_content_length=given.get("enforce_content_length", True), request_method=self._method,
            request_url=self._url,
        )  # fmt: skip
        made.retries, made._pool = given.get("retries"), self._pool
        return made

    def connected(self, response: Response) -> None:
        """Tell who wants to know of the connection what a tape knows of it: the version that it spoke."""
        self.played = self._client.backend.ConnectionInfo()
        versions = {each.value: each for each in self._client.backend.HttpVersion}
        self.played.http_version = versions.get(f"{response.version}.0", versions.get(response.version))

    def reader(self, pieces: list[bytes]) -> Callable[..., Any]:
        """What reads a body from memory, in the pieces it came in."""
        left = list(reversed(pieces))

        def read(amount: int | None = None, stream: int | None = None) -> Any:
            taken = [left.pop()] if amount is not None else left[::-1]
            if amount is None:
                left.clear()
            return taken, not left, None

        return read


class _Call(_EitherCall):
    def connected(self, response: Response) -> None:
        super().connected(response)
        if (told := self._options.get("on_post_connection")) is not None:
            told(self.played)

    def send(self) -> Any:
        with recorded_above():
            open_tunnel = vars(self._conn).pop(TUNNEL, None)
            if open_tunnel is not None:
                open_tunnel(self._pool, self._conn)
            return self._original(self._pool, self._conn, self._method, self._url, **self.given())

    def teed(self, answer: Any, tee: Tee) -> Any:
        low = answer._original_response
        read, abort = getattr(low, _READ), low.abort
        if read is None:
            tee.end()
            return answer

        def read_along(amount: int | None = None, stream: int | None = None) -> Any:
            try:
                found = read(amount, stream)
            except Exception as error:
                tee.fail(self.failure(error))
                raise
            _feed(tee, found)
            return found

        def aborted() -> None:
            try:
                while tee.rest_is_small and not read_along(65536, low._stream_id)[1]:
                    pass
            except Exception:
                pass  # nobody asked for the rest, and the tee has counted it
            finally:
                tee.close()
                abort()

        setattr(low, _READ, read_along)
        low.abort = aborted
        return answer

    def dropped(self, answer: Any) -> None:
        answer.drain_conn()


class _AsyncCall(_EitherCall):
    pieces: list[bytes] | None = None

    async def send(self) -> Any:
        with recorded_above():
            open_tunnel = vars(self._conn).pop(TUNNEL, None)
            if open_tunnel is not None:
                await open_tunnel(self._pool, self._conn)
            given = self.given()
            if self.pieces is not None:
                given["body"] = _again(self.pieces)
            return await self._original(self._pool, self._conn, self._method, self._url, **given)

    def teed(self, answer: Any, tee: Tee) -> Any:
        low = answer._original_response
        read, abort = getattr(low, _READ_ASYNC), low.abort
        if read is None:
            tee.end()
            return answer

        async def read_along(amount: int | None = None, stream: int | None = None) -> Any:
            try:
                found = await read(amount, stream)
            except Exception as error:
                tee.fail(self.failure(error))
                raise
            _feed(tee, found)
            return found

        async def aborted() -> None:
            try:
                while tee.rest_is_small and not (await read_along(65536, low._stream_id))[1]:
                    pass
            except Exception:
                pass  # as above
            finally:
                tee.close()
                await abort()

        setattr(low, _READ_ASYNC, read_along)
        low.abort = aborted
        return answer

    async def dropped(self, answer: Any) -> None:
        await answer.drain_conn()

    def reader(self, pieces: list[bytes]) -> Callable[..., Any]:
        read = super().reader(pieces)

        async def read_async(amount: int | None = None, stream: int | None = None) -> Any:
            return read(amount, stream)

        return read_async


_READ, _READ_ASYNC = "_LowLevelResponse__internal_read_st", "_AsyncLowLevelResponse__internal_read_st"


def _feed(tee: Tee, found: tuple[list[bytes], bool, Any]) -> None:
    for piece in found[0]:
        tee.feed(piece)
    if found[1]:
        tee.end()


async def _again(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
