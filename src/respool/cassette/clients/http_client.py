"""http.client, and with it urllib.request, xmlrpc and whoever else sits on it.

A request is written to a socket that is none: its bytes wait until an answer is asked for. Only then, and only if the
request is to leave, a connection is made. Keep-alive, tunnels and the state of a connection stay http.client's own.
"""

from __future__ import annotations

import socket
import ssl
from http.client import BadStatusLine, HTTPResponse, RemoteDisconnected
from types import ModuleType
from typing import Any

from respool.cassette.clients.driving import Tee, drive
from respool.cassette.clients.failures import failure_of
from respool.cassette.clients.http_response import Dechunking, PlayedResponse, head_of, read_along
from respool.cassette.clients.layers import open_deck, recorded_above
from respool.cassette.clients.patches import Method, replace
from respool.cassette.clients.tls import put_off_within
from respool.cassette.model import Failure, Request, Response

__tracebackhide__ = True  # a miss is shown where the application made the request

_STATE, _RESPONSE = "_HTTPConnection__state", "_HTTPConnection__response"
_SENT, _IDLE = "Request-sent", "Idle"
_UNSENT = "respool_unsent"  # on an exception: it came before the request had left


def patch(module: ModuleType) -> None:
    """Hook the connections of http.client, or what urllib.request makes of their errors."""
    if module.__name__ == "urllib.request":
        _patch_urllib(module)
        return

    def connect(original: Method) -> Method:
        def connect(connection: Any) -> None:
            if open_deck() is None:
                original(connection)
            else:
                connection.sock = Postponed(None)

        return connect

    def putrequest(original: Method) -> Method:
        def putrequest(connection: Any, *arguments: Any, **options: Any) -> None:
            under_deck, sock = open_deck() is not None, connection.sock
            if under_deck and not isinstance(sock, Postponed):
                connection.sock = Postponed(sock)
            elif not under_deck and isinstance(sock, Postponed):
                connection.sock = sock.real
            original(connection, *arguments, **options)

        return putrequest

    def getresponse(original: Method) -> Method:
        def getresponse(connection: Any) -> Any:
            deck, sock = open_deck(), connection.sock
            if deck is None or not isinstance(sock, Postponed) or getattr(connection, _STATE) != _SENT:
                return original(connection)
            return drive(deck, _Call(connection, original, sock))

        return getresponse

    replace(module.HTTPConnection, "connect", connect)
    replace(module.HTTPSConnection, "connect", connect)
    replace(module.HTTPConnection, "putrequest", putrequest)
    replace(module.HTTPConnection, "getresponse", getresponse)
    put_off_within(module.HTTPSConnection)


def _patch_urllib(module: Any) -> None:
    def do_open(original: Method) -> Method:
        def do_open(handler: Any, *arguments: Any, **options: Any) -> Any:
            try:
                return original(handler, *arguments, **options)
            except OSError as error:
                # Live it comes while the request is sent, and urllib wraps what comes there.
                if getattr(error, _UNSENT, False):
                    raise module.URLError(error) from error
                raise

        return do_open

    replace(module.AbstractHTTPHandler, "do_open", do_open)
    put_off_within(module.HTTPSHandler)  # makes a context since Python 3.12


class Postponed:
    """A socket's stand-in: keeps what is sent. `real` is the open connection of an earlier request, or None."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self._sent: list[bytes] = []

    def sendall(self, data: Any) -> None:
        """Keep it."""
        self._sent.append(bytes(data))

    def taken(self) -> bytes:
        """What was sent since it was last asked."""
        data, self._sent = b"".join(self._sent), []
        return data

    def close(self) -> None:
        """Close the real one."""
        if self.real is not None:
            self.real.close()

    def settimeout(self, value: float | None) -> None:
        """For the real one; the connection's own timeout is used when it is made."""
        if self.real is not None:
            self.real.settimeout(value)

    def __getattr__(self, name: str) -> Any:
        if self.__dict__.get("real") is None:
            raise AttributeError(f"there is no connection yet that could have {name!r}: the request waits for its cassette")
        return getattr(self.real, name)


class _Call:
    """One request on one connection."""

    __slots__ = ("_connection", "_method", "_original", "_raw", "_sock")

    def __init__(self, connection: Any, original: Method, sock: Postponed) -> None:
        self._connection = connection
        self._original = original
        self._sock = sock
        self._raw = sock.taken()
        self._method = self._raw.partition(b" ")[0].decode("latin-1")

    def request(self) -> Request:
        head, _, body = self._raw.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        _, target, _ = line.split(" ", 2)
        headers = tuple((name, value.lstrip()) for name, _, value in (each.partition(":") for each in lines))
        if any(name.lower() == "transfer-encoding" and value.lower() == "chunked" for name, value in headers):
            body = Dechunking().feed(body)
        return Request(self._method, target if "://" in target else _origin(self._connection) + target, headers, body)

    def send(self) -> HTTPResponse:
        connection = self._connection
        with recorded_above():
            connection.sock = self._sock.real
            setattr(connection, _STATE, _SENT)
            try:
                if connection.sock is None:
                    connection.connect()
                connection.sock.sendall(self._raw)
            except OSError as error:
                setattr(error, _UNSENT, True)
                raise
            answer: HTTPResponse = self._original(connection)
        return answer

    def dropped(self, answer: HTTPResponse) -> None:
        # A new connection asks again: this one may have said that it ends here, and will not outlive every wait.
        answer.close()
        self._connection.close()
        self._sock.real = None

    def head(self, answer: HTTPResponse) -> Response:
        return head_of(answer)

    def teed(self, answer: HTTPResponse, tee: Tee) -> HTTPResponse:
        read_along(answer, tee)
        return answer

    def replayed(self, response: Response | Failure) -> HTTPResponse:
        setattr(self._connection, _STATE, _IDLE)
        setattr(self._connection, _RESPONSE, None)
        if isinstance(response, Failure):
            raise _error(response)
        return PlayedResponse(response, self._method)

    def failure(self, error: Exception) -> Failure | None:
        return failure_of(error, "protocol" if isinstance(error, BadStatusLine) and not isinstance(error, OSError) else None)


def _origin(connection: Any) -> str:
    host = connection._tunnel_host or connection.host
    port = (connection._tunnel_port if connection._tunnel_host else connection.port) or connection.default_port
    scheme = "https" if connection.default_port == 443 else "http"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port == connection.default_port else f":{port}")


def _error(failure: Failure) -> Exception:
    kind, message = failure
    if kind == "tls":
        made: Exception = (ssl.SSLCertVerificationError if "CERTIFICATE_VERIFY" in message else ssl.SSLError)(1, message)
    else:
        types: dict[str, type[Exception]] = {
            "connect": ConnectionRefusedError, "name": socket.gaierror, "closed": RemoteDisconnected,
            "protocol": BadStatusLine,
        }  # fmt: skip
        made = types.get(kind, TimeoutError)(message)
    setattr(made, _UNSENT, kind in ("tls", "connect", "name", "connect_timeout"))
    return made
