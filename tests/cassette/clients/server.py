"""A real HTTP/1.1 server for the tests of clients, in threads: routes that answer exactly what their table says.

It counts connections and requests, so that a test can show that nothing reached it. No header is sent that a route does
not name (no Date, no Server): two runs of a call give the same bytes. `reset` sets the routes with a memory back.
"""

from __future__ import annotations

import base64
import gzip
import json
import select
import socket
import socketserver
import ssl
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import brotli
import zstandard

LARGE = bytes(range(256)) * 1200  # 300 KB: more than any client reads at once
BINARY = bytes(range(256))
TEXT = ("Gewölbe, und noch eine Zeile.\n" * 40).encode()
EVENTS = [f"event: tick\ndata: {json.dumps({'n': n})}\n\n".encode() for n in range(5)]
PIECES = [b"one ", b"two ", b"three"]


class Server(socketserver.ThreadingTCPServer):
    """Answers on 127.0.0.1. `url` is its root; `requests` are (method, path) in the order they arrived."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.context = context
        self.port: int = self.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.requests: list[tuple[str, str]] = []
        self.connections = 0
        self.seen: Counter[str] = Counter()  # how often each path with a memory was asked for
        self.open: set[socket.socket] = set()

    def reset(self) -> None:
        """Forget what was asked for."""
        self.requests.clear()
        self.seen.clear()
        self.connections = 0

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        self.connections += 1
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm = True  # else every second answer waits for the client's acknowledgement, 40 ms
    body = b""

    def setup(self) -> None:
        if self.server.context is not None:
            self.request.settimeout(10)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.server.open.add(self.request)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.open.discard(self.request)
            if isinstance(self.request, ssl.SSLSocket):
                self.request.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_any(self) -> None:
        self.body = self.read_body()
        target = urlsplit(self.path)  # a proxy's request names the whole URL
        self.route = target.path
        self.query = dict(parse_qsl(target.query))
        self.server.requests.append((self.command, target.path))
        first, *rest = target.path.strip("/").split("/")
        ROUTES.get(first, missing)(self, *rest)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_any  # noqa: N815

    def do_CONNECT(self) -> None:
        """A proxy's tunnel."""
        self.server.requests.append(("CONNECT", self.path))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as far:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.wfile.flush()
            ends = {self.connection: far, far: self.connection}
            while readable := select.select(list(ends), [], [], 10)[0]:
                for end in readable:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    ends[end].sendall(data)

    def read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(
        self, body: bytes = b"", status: int = 200, reason: str = "OK", headers: list[tuple[str, str]] | None = None,
        *, length: int | None = None, version: str = "HTTP/1.1", late: float = 0.0,
    ) -> None:  # fmt: skip
        lines = [f"{version} {status} {reason}", *(f"{name}: {value}" for name, value in headers or [])]
        if length is None and status not in (204, 304):
            length = len(body)
        if length is not None and length >= 0:
            lines.append(f"Content-Length: {length}")
        self.wfile.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))
        if late:
            self.wfile.flush()
            time.sleep(late)
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = version == "HTTP/1.0"

    def answer_chunked(self, pieces: list[bytes], headers: list[tuple[str, str]], gap: float = 0.0) -> None:
        lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers), "Transfer-Encoding: chunked"]
        self.wfile.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(gap)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def json_of(handler: Handler, value: Any, **given: Any) -> None:
    handler.answer(json.dumps(value).encode(), headers=[("Content-Type", "application/json")], **given)


def echo(handler: Handler, *rest: str) -> None:
    """What arrived: the method, the query, the headers that are the application's, the body."""
    mine = [(name, value) for name, value in handler.headers.items() if name.lower().startswith("x-")]
    told = {"method": handler.command, "path": handler.path.partition("?")[0], "query": handler.query, "headers": mine}
    told |= {"body": base64.b64encode(handler.body).decode(), "cookie": handler.headers.get("Cookie", "")}
    told |= {"auth": handler.headers.get("Authorization", "")}
    json_of(handler, told)


def form(handler: Handler, *rest: str) -> None:
    """The size of a multipart body, whatever its boundary."""
    boundary = handler.headers.get("Content-Type", "").partition("boundary=")[2].strip('"').encode()
    json_of(handler, {"parts": handler.body.count(b"--" + boundary) - 1 if boundary else -1})


def counted(handler: Handler, *rest: str) -> None:
    """A different answer each time."""
    handler.server.seen[handler.route] += 1
    handler.answer(str(handler.server.seen[handler.route]).encode(), headers=[("Content-Type", "text/plain")])


def redirect(handler: Handler, left: str = "0", *rest: str) -> None:
    """`left` redirects, each with a body and a cookie, then the end."""
    if int(left) == 0:
        handler.answer(b"arrived", headers=[("Content-Type", "text/plain")])
    else:
        headers = [("Location", f"/redirect/{int(left) - 1}"), ("Set-Cookie", f"step{left}=yes; Path=/")]
        handler.answer(b"elsewhere", 302, "Found", headers, late=0.01)


def flaky(handler: Handler, failures: str = "1", *rest: str) -> None:
    """503 so many times, then 200."""
    handler.server.seen[handler.route] += 1
    if handler.server.seen[handler.route] <= int(failures):
        handler.answer(b"not now", 503, "Service Unavailable", [("Retry-After", "0")])
    else:
        handler.answer(b"now")


def stalled(handler: Handler, *rest: str) -> None:
    """No answer; the client's timeout ends it, or it does."""
    ready, _, _ = select.select([handler.connection], [], [], 5)
    handler.close_connection = True
    del ready


def reset(handler: Handler, *rest: str) -> None:
    """The connection ends without an answer."""
    handler.close_connection = True


def broken(handler: Handler, *rest: str) -> None:
    """Half of a body, then the end of the connection."""
    handler.answer(b"half", headers=[("Content-Type", "text/plain")], length=100)
    handler.close_connection = True


def garbage(handler: Handler, *rest: str) -> None:
    """What is no HTTP."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    handler.close_connection = True


def coded(name: str, encode: Callable[[bytes], bytes]) -> Callable[..., None]:
    def route(handler: Handler, *rest: str) -> None:
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Encoding", name)]
        if rest:
            body = encode(TEXT)
            handler.answer_chunked([body[at : at + 20] for at in range(0, len(body), 20)], headers)
        else:
            handler.answer(encode(TEXT), headers=headers)

    return route


def missing(handler: Handler, *rest: str) -> None:
    handler.answer(b"no such route", 404, "Not Found")


def until_close(handler: Handler, *rest: str) -> None:
    """A body whose end is the connection's."""
    handler.answer(b"until the end", headers=[("Connection", "close")], length=-1)
    handler.close_connection = True


MANY = [
    ("X-First", "1"), ("x-Second", "two words"), ("X-First", "3"), ("Link", "<a>; rel=x"), ("Link", "<b>; rel=y"),
    ("X-Bytes", "caf\xe9"), ("X-Empty", ""),
]  # fmt: skip

ROUTES: dict[str, Callable[..., None]] = {
    "hello": lambda h, *_: h.answer(b"hello", headers=[("Content-Type", "text/plain")]),
    "elsewhere": lambda h, *_: h.answer(b"", 307, "Temporary Redirect", [("Location", "/echo")]),
    "late": lambda h, *_: h.answer(b"the body comes after the head", late=0.02),
    "json": lambda h, *_: json_of(h, {"name": "Oslo", "temp": -3.5, "tags": ["ø", "b"]}),
    "status": lambda h, code, reason="", *_: h.answer(b"" if code in ("204", "304") else b"status", int(code), reason),
    "headers": lambda h, *_: h.answer(b"many", headers=MANY),
    "http10": lambda h, *_: h.answer(b"old", reason="Quite Fine", version="HTTP/1.0"),
    "cookies": lambda h, *_: h.answer(
        b"two", headers=[("Set-Cookie", "a=1; Path=/; HttpOnly"), ("Set-Cookie", "b=2; Path=/; Max-Age=3600")]
    ),
    "empty": lambda h, *_: h.answer(b""),
    "binary": lambda h, *_: h.answer(BINARY, headers=[("Content-Type", "application/octet-stream")]),
    "large": lambda h, *_: h.answer(LARGE, headers=[("Content-Type", "application/octet-stream")]),
    "chunked": lambda h, *_: h.answer_chunked(PIECES, [("Content-Type", "text/plain")]),
    "sse": lambda h, *_: h.answer_chunked(EVENTS, [("Content-Type", "text/event-stream")], gap=0.02),
    "gzip": coded("gzip", lambda body: gzip.compress(body, mtime=0)),
    "deflate": coded("deflate", zlib.compress),
    "br": coded("br", brotli.compress),
    "zstd": coded("zstd", zstandard.compress),
    "twice": coded("gzip, br", lambda body: brotli.compress(gzip.compress(body, mtime=0))),
    "until-close": until_close,
    "echo": echo,
    "form": form,
    "counted": counted,
    "redirect": redirect,
    "flaky": flaky,
    "stalled": stalled,
    "reset": reset,
    "broken": broken,
    "garbage": garbage,
}


@contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server, until the block ends."""
    server = Server(context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        for connection in list(server.open):
            connection.close()
