"""httpx and httpx2, blocking and asynchronous: one adapter, told which of the two it has before it.

The hooks are the two HTTP transports: below redirects, cookies, authentication and event hooks, which stay the client's
own. Their TLS contexts read no CA bundle before they connect.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from respool.cassette.clients.tls import put_off_within
from respool.cassette.clients.transports import Family, texts
from respool.cassette.model import Request, Response


def patch(module: ModuleType) -> None:
    """Hook the transports of `module`, which is httpx or httpx2."""
    family = _Httpx(module, module.SyncByteStream, module.AsyncByteStream)
    family.hook(module.HTTPTransport)
    family.hook_async(module.AsyncHTTPTransport)
    put_off_within(module.HTTPTransport)
    put_off_within(module.AsyncHTTPTransport)


class _Httpx(Family):
    def request(self, request: Any, body: bytes) -> Request:
        url = request.url
        address = f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
        return Request(request.method, address, texts(request.headers.raw), body)

    def head(self, answer: Any) -> Response:
        version = answer.extensions.get("http_version", b"HTTP/1.1").decode("ascii")
        reason = answer.extensions.get("reason_phrase", b"").decode("latin-1")
        return Response(answer.status_code, reason, version, texts(answer.headers.raw))

    def answer(self, response: Response, headers: list[tuple[bytes, bytes]], stream: Any) -> Any:
        told = {"http_version": response.version.encode("ascii"), "reason_phrase": response.reason.encode("latin-1")}
        return self.module.Response(response.status, headers=headers, stream=stream, extensions=told)

    def error(self, type_: Any, message: str, request: Any) -> Exception:
        made: Exception = type_(message, request=request)
        return made
