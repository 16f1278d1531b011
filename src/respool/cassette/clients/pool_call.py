"""A request on a connection pool of urllib3's shape: what urllib3 and its fork urllib3-future have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http.client import HTTPException, RemoteDisconnected
from io import BytesIO
from socket import gaierror
from typing import Any, cast

from respool.cassette.clients.failures import failure_of
from respool.cassette.clients.layers import open_deck
from respool.cassette.clients.patches import Method
from respool.cassette.model import Failure, Headers, Request

__tracebackhide__ = True  # a miss is shown where the application made the request

TUNNEL = "respool_tunnel"
"""On a connection: what opens its tunnel through a proxy, when a request really leaves."""

_PORTS = {"http": 80, "https": 443}
_KEPT = {"HTTPHeaderDict": "_container", "CaseInsensitiveDict": "_store"}
"""Classes of headers (of urllib3, requests, niquests), and where they keep, for each name in lower case, (name, value,
value, …). Their own ways in and out go over each name three times, which costs more than deciding about the request."""


def headers_made_by(class_: Any) -> Callable[[Headers], Any]:
    """What makes headers of `class_`, an HTTPHeaderDict: by itself, unless it keeps them as all of them so far do."""
    if vars(class_((("A", "1"), ("a", "2")))) != {"_container": {"a": ["A", "1", "2"]}}:
        return cast("Callable[[Headers], Any]", class_)

    def made(pairs: Headers) -> Any:
        headers = class_()
        kept = headers._container
        for name, value in pairs:
            kept.setdefault(name.lower(), [name]).append(value)
        return headers

    return made


def postponed(original: Method) -> Method:
    """A _prepare_proxy(pool, conn) that opens no tunnel under a deck: who sends a request calls what it leaves at TUNNEL."""

    def _prepare_proxy(pool: Any, conn: Any) -> None:
        if open_deck() is None:
            vars(conn).pop(TUNNEL, None)
            original(pool, conn)
        else:
            setattr(conn, TUNNEL, original)

    return _prepare_proxy


class PoolCall:
    """One request on one of a pool's connections. `client` tells `errors` (urllib3.exceptions) and `version_2`."""

    __slots__ = ("_client", "_conn", "_method", "_options", "_original", "_pool", "_sent", "_url")

    def __init__(
        self, client: Any, original: Method, pool: Any, conn: Any, method: str, url: str, options: dict[str, Any]
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
        url, options = self._url, self._options
        if url.startswith("/"):  # through a proxy without a tunnel it is whole
            pool = self._pool
            url = _origin(pool.scheme, pool.host, pool.port) + url
        headers, body = options.get("headers"), options.get("body")
        sent = b""
        if body is not None:
            sent, options["body"] = _read(body, "utf-8" if self._client.version_2 else "latin-1")
        return Request(self._method, url, _texts(headers) if headers else (), sent)

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


@lru_cache(256)  # a suite has few hosts, and asks for their names with each request
def _origin(scheme: str, host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" if port is None or port == _PORTS.get(scheme) else f"{scheme}://{host}:{port}"


def _texts(headers: Any) -> Headers:
    pairs = _pairs(headers)
    for name, value in pairs:
        if name.__class__ is not str or value.__class__ is not str:
            return tuple([(_text(name), _text(value)) for name, value in pairs])
    return pairs


def _pairs(headers: Any) -> tuple[tuple[Any, Any], ...]:
    kind = type(headers).__name__
    if kind not in _KEPT:
        return tuple(headers.items())
    kept = tuple(vars(headers)[_KEPT[kind]].values())
    for values in kept:
        if len(values) != 2 or values.__class__ is not tuple:
            return tuple([(values[0], value) for values in kept for value in values[1:]])
    return kept  # requests keeps just the pairs that are wanted


def _text(value: str | bytes) -> str:
    return str(value) if isinstance(value, str) else value.decode("latin-1")  # botocore gives bytes


def _read(body: Any, encoding: str) -> tuple[bytes, Any]:
    """The whole of a body, and what is to be sent in its place, in the same pieces."""
    if isinstance(body, bytes):
        return body, body
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

