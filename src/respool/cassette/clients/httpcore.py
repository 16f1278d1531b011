"""httpcore and httpcore2, used without httpx. The hook is the connection pool, which a request goes through whole."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from respool.cassette.clients.transports import Family, sent_texts, texts
from respool.cassette.model import Request, Response

__tracebackhide__ = True  # a miss is shown where the application made the request


def patch(module: ModuleType) -> None:
    """Hook the pools of `module`, which is httpcore or httpcore2; its proxies are pools too."""
    _Httpcore(module).hook(module.ConnectionPool, module.AsyncConnectionPool)


class _Httpcore(Family):
    def request(self, request: Any, body: bytes) -> Request:
        url = request.url
        host = url.host.decode("ascii")
        host = f"[{host}]" if ":" in host else host
        port = "" if url.port is None else f":{url.port}"
        address = f"{url.scheme.decode('ascii')}://{host}{port}{url.target.decode('ascii')}"
        return Request(request.method.decode("ascii"), address, sent_texts(tuple(request.headers)), body)

    def head(self, answer: Any) -> Response:
        version = answer.extensions.get("http_version", b"HTTP/1.1").decode("ascii")
        reason = answer.extensions.get("reason_phrase", b"").decode("latin-1")
        return Response(answer.status, reason, version, texts(answer.headers))

    def answer(self, response: Response, headers: list[tuple[bytes, bytes]], stream: Any) -> Any:
        told = {"http_version": response.version.encode("ascii"), "reason_phrase": response.reason.encode("latin-1")}
        return self.module.Response(response.status, headers=headers, content=stream, extensions=told)

    def error(self, type_: Any, message: str, request: Any) -> Exception:
        made: Exception = type_(message)
        return made
