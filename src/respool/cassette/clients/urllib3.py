"""urllib3, 1.26 and 2, and whoever sits on it: requests, botocore.

The hook is the pool's `_make_request`: below retries and redirects, so that counts, back-off and history are urllib3's
own. A tunnel through a proxy, which urllib3 opens before, is postponed until a request really leaves.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from inspect import signature
from io import BytesIO
from socket import gaierror
from types import ModuleType
from typing import Any, NamedTuple

from respool.cassette.clients.driving import Tee, drive
from respool.cassette.clients.failures import failure_of
from respool.cassette.clients.http_response import PlayedResponse, head_of, read_along
from respool.cassette.clients.layers import open_deck, recorded_above
from respool.cassette.clients.patches import Method, replace
from respool.cassette.model import Failure, Headers, Interaction, Request, Response

__tracebackhide__ = True  # a miss is shown where the application made the request

_TUNNEL = "respool_tunnel"  # on a connection: its tunnel is still to be opened
_PORTS = {"http": 80, "https": 443}


def patch(module: ModuleType) -> None:
    """Hook the pools of `module`, which is urllib3.connectionpool."""
    package = module.__name__.rpartition(".")[0]
    errors, answers = sys.modules[f"{package}.exceptions"], sys.modules[f"{package}.response"]
    version_2 = hasattr(answers, "BaseHTTPResponse")
    told = "version_string" in signature(answers.HTTPResponse.__init__).parameters
    # Not the answer's own version: urllib3 tells the one that its connections speak.
    version_text = {"version_string": "HTTP/1.1"} if told else {}
    client = _Client(errors, answers.HTTPResponse, answers.HTTPHeaderDict, version_text, version_2)

    def make_request(original: Method) -> Method:
        def _make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
            deck = open_deck()
            if deck is None:
                return original(pool, conn, method, url, **options)
            call = _Call(client, original, pool, conn, method, url, options)
            return call.preloaded(drive(deck, call))

        return _make_request

    def prepare_proxy(original: Method) -> Method:
        def _prepare_proxy(pool: Any, conn: Any) -> None:
            if open_deck() is None:
                vars(conn).pop(_TUNNEL, None)
                original(pool, conn)
            else:
                setattr(conn, _TUNNEL, original)

        return _prepare_proxy

    replace(module.HTTPConnectionPool, "_make_request", make_request)
    replace(module.HTTPSConnectionPool, "_prepare_proxy", prepare_proxy)


class _Client(NamedTuple):
    """What an installation of urllib3 consists of."""

    errors: Any  # the module
    response: Any  # its class
    headers: Any  # its class
    version_text: dict[str, str]  # what is given to `response` if it takes it
    version_2: bool  # 1.26 wraps an answer of http.client by itself, above our hook


class _Call:
    """One request on one of a pool's connections."""

    __slots__ = ("_client", "_conn", "_method", "_options", "_original", "_pool", "_sent", "_url")

    def __init__(
        self, client: _Client, original: Method, pool: Any, conn: Any, method: str, url: str, options: dict[str, Any]
    ) -> None:
        self._client = client
        self._original = original
        self._pool = pool
        self._conn = conn
        self._method = method
        self._url = url
        self._options = options
        self._sent = False

    def request(self) -> Request:
        url = self._url
        if url.startswith("/"):  # through a proxy without a tunnel it is whole
            url = _origin(self._pool) + url
        headers = self._options.get("headers")
        encoding = "utf-8" if self._client.version_2 else "latin-1"
        body, self._options["body"] = _read(self._options.get("body"), encoding)
        return Request(self._method, url, _texts(headers) if headers else (), body)

    def send(self) -> Any:
        options = self._options
        if self._client.version_2:
            # Preloaded it would come with its body already decoded; `preloaded` makes up for it.
            options = {**options, "preload_content": False}
        self._sent = self._client.version_2
        with recorded_above():
            open_tunnel = vars(self._conn).pop(_TUNNEL, None)
            if open_tunnel is not None:
                self._open(open_tunnel)
            return self._original(self._pool, self._conn, self._method, self._url, **options)

    def _open(self, open_tunnel: Method) -> None:
        try:
            open_tunnel(self._pool, self._conn)
        except OSError as error:
            self._pool._raise_timeout(err=error, url=self._pool.proxy.url, timeout_value=self._conn.timeout)
            raise

    def head(self, answer: Any) -> Response:
        original = answer if isinstance(answer, HTTPResponse) else getattr(answer, "_original_response", None)
        if original is not None:
            return head_of(original)
        return Response(answer.status, answer.reason or "", "HTTP/2", tuple(answer.headers.items()))

    def teed(self, answer: Any, tee: Tee) -> Any:
        original = answer if isinstance(answer, HTTPResponse) else getattr(answer, "_original_response", None)
        if original is not None:
            read_along(original, tee)
        if original is None:  # HTTP/2, an experiment of urllib3's that reads everything at once
            tee.feed(answer.data)
            tee.end()
        return answer

    def dropped(self, answer: Any) -> None:
        # Read, not closed: the same connection is asked again.
        with suppress(OSError, HTTPException, self._client.errors.HTTPError):
            answer.read()

    def preloaded(self, answer: Any) -> Any:
        """The answer with its body read, if that is what urllib3 would have done: its connection goes back to the pool."""
        if self._sent and self._options.get("preload_content", True) and isinstance(answer, self._client.response):
            answer.read(cache_content=True)
        return answer

    def replayed(self, interaction: Interaction) -> Any:
        response = interaction.response
        self._pool.num_requests += 1
        if isinstance(response, Failure):
            raise self._error(response)
        answer = PlayedResponse(response, self._method)
        if not self._client.version_2:
            return answer
        client, given = self._client, self._options
        made = client.response(
            answer, client.headers(answer.pairs), answer.status, answer.version,
            reason=answer.reason, preload_content=given.get("preload_content", True),
            decode_content=given.get("decode_content", True), original_response=answer,
            enforce_content_length=given.get("enforce_content_length", True), request_method=self._method,
            request_url=self._url, **client.version_text,
        )  # fmt: skip
        made.retries = given.get("retries")
        made._connection = given.get("response_conn")
        made._pool = self._pool
        return made

    def failure(self, error: Exception) -> Failure | None:
        errors = self._client.errors
        kind = None
        if isinstance(error, HTTPException) and not isinstance(error, OSError):
            kind = "protocol"
        for type_, found in (
            (errors.SSLError, "tls"), (errors.ConnectTimeoutError, "connect_timeout"),
            (errors.NewConnectionError, "connect"),  # the last word: in 1.26 it is a ConnectTimeoutError too
            (errors.ReadTimeoutError, "read_timeout"),
        ):  # fmt: skip
            kind = found if isinstance(error, type_) else kind
        failure = failure_of(error, kind)
        # Their texts begin with the connection's repr, which the exception made at playback puts there again.
        told = vars(error).get("conn") or vars(error).get("pool")
        return None if failure is None else failure._replace(message=failure.message.removeprefix(f"{told}: "))

    def _error(self, failure: Failure) -> Any:
        errors, kind, message = self._client.errors, failure.kind, failure.message
        if kind in ("read_timeout", "write_timeout"):
            return errors.ReadTimeoutError(self._pool, self._url, message)
        if kind == "connect_timeout":
            return errors.ConnectTimeoutError(self._conn, message)
        if kind == "name" and self._client.version_2:
            return errors.NameResolutionError(self._conn.host, self._conn, gaierror(message))
        if kind == "name":
            message = f"Failed to establish a new connection: {message}"
        if kind in ("connect", "name"):
            return errors.NewConnectionError(self._conn, message)
        if kind == "tls":
            return errors.SSLError(message)
        return HTTPException(message) if kind == "protocol" else RemoteDisconnected(message)


def _origin(pool: Any) -> str:
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    port = "" if pool.port is None or pool.port == _PORTS.get(pool.scheme) else f":{pool.port}"
    return f"{pool.scheme}://{host}{port}"


def _texts(headers: Any) -> Headers:
    if hasattr(headers, "lower_items"):  # of requests, whose items() looks each of them up again
        items = zip(headers, (value for _, value in headers.lower_items()), strict=True)
    else:
        items = headers.items()
    return tuple([
        (name if name.__class__ is str else _text(name), value if value.__class__ is str else _text(value))
        for name, value in items
    ])  # fmt: skip


def _text(value: str | bytes) -> str:
    return str(value) if isinstance(value, str) else value.decode("latin-1")  # botocore gives bytes


def _read(body: Any, encoding: str) -> tuple[bytes, Any]:
    """The whole of a body, and what is to be sent in its place, in the same pieces."""
    if body is None or isinstance(body, bytes):
        return body or b"", body
    if isinstance(body, str):
        return body.encode(encoding), body
    if hasattr(body, "read"):  # not put back to its start: it is to stand where it stands when it was sent
        data = body.read()
        data = data.encode(encoding) if isinstance(data, str) else data
        return data, BytesIO(data)
    if isinstance(body, (bytearray, memoryview)):
        return bytes(body), body
    pieces = [piece.encode("utf-8") if isinstance(piece, str) else bytes(piece) for piece in body]
    return b"".join(pieces), iter(pieces)

