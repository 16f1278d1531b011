"""httpcore and httpcore2, without httpx above them, as the contract sees them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpcore
import httpcore2
from contract import Call, Plan, Seen
from drivers_httpx import pieces_of

NO_CLIENT = "httpcore has pools and answers, and nothing above them"
NO_DECODING = "httpcore leaves a body as it came"
WITHOUT = {
    **dict.fromkeys(
        (
            "cookies", "session cookies", "redirects with history", "base url", "basic auth", "hooks", "streamed lines",
            "custom transport", "the client's own retries", "form", "json upload", "multipart", "file upload",
        ),
        NO_CLIENT,
    ),
    **dict.fromkeys(("gzip", "deflate", "brotli", "zstd", "two codings", "gzip in chunks", "streamed"), NO_DECODING),
}  # fmt: skip


class HttpcoreDriver:
    """A pool."""

    def __init__(self, module: ModuleType) -> None:
        self.module: Any = module
        self.name = module.__name__
        self.not_applicable = WITHOUT

    def settings(self, plan: Plan) -> dict[str, Any]:
        context = ssl.create_default_context(cafile=plan.trust if isinstance(plan.trust, str) else None)
        if plan.trust is False:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        settings: dict[str, Any] = {"ssl_context": context}
        return settings | ({"proxy": self.module.Proxy(plan.proxy)} if plan.proxy else {})

    def request(self, root: str, call: Call) -> dict[str, Any]:
        self.stream = pieces_of(call.body)
        content: Any = self.stream if call.upload == "generator" else call.body or None
        headers = [(b"Host", root.partition("//")[2].encode())]
        headers += [(name.encode(), value.encode("latin-1")) for name, value in call.headers.items()]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), call.timeout)
        return {
            "method": call.method, "url": root + call.path, "headers": headers, "content": content,
            "extensions": {"timeout": timeouts},
        }  # fmt: skip

    def run(self, root: str, plan: Plan) -> list[Seen]:
        with self.module.ConnectionPool(**self.settings(plan)) as pool:
            return [self.call(pool, root, call) for call in plan.calls]

    def call(self, pool: Any, root: str, call: Call) -> Seen:
        pieces: list[bytes] = []
        try:
            with pool.stream(**self.request(root, call)) as answer:
                for piece in answer.iter_stream() if call.read != "close" else ():
                    pieces.append(piece)
                    if call.read == "part":
                        break
        except tuple(vars(self.module)[name] for name in ("NetworkError", "TimeoutException", "ProtocolError")) as error:
            return {"error": type(error), "message": str(error)}
        return self.seen(answer, pieces, call)

    def seen(self, answer: Any, pieces: list[bytes], call: Call) -> Seen:
        return {
            "status": answer.status,
            "reason": answer.extensions["reason_phrase"],
            "version": answer.extensions["http_version"],
            "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers],
            "body": b"".join(pieces),
            "pieces": pieces,
            "left": b"".join(self.stream) if call.upload == "generator" else None,
        }


class AsyncHttpcoreDriver(HttpcoreDriver):
    """An asynchronous pool."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module)
        self.name = f"{module.__name__} async"

    def run(self, root: str, plan: Plan) -> list[Seen]:
        return asyncio.run(self.session(root, plan))

    async def session(self, root: str, plan: Plan) -> list[Seen]:
        async with self.module.AsyncConnectionPool(**self.settings(plan)) as pool:
            return [await self.acall(pool, root, call) for call in plan.calls]

    def request(self, root: str, call: Call) -> dict[str, Any]:
        given = super().request(root, call)
        stream = self.stream

        async def pieces() -> AsyncIterator[bytes]:
            for piece in stream:
                yield piece

        return given | ({"content": pieces()} if call.upload == "generator" else {})

    async def acall(self, pool: Any, root: str, call: Call) -> Seen:
        pieces: list[bytes] = []
        try:
            async with pool.stream(**self.request(root, call)) as answer:
                if call.read != "close":
                    async for piece in answer.aiter_stream():
                        pieces.append(piece)
                        if call.read == "part":
                            break
        except tuple(vars(self.module)[name] for name in ("NetworkError", "TimeoutException", "ProtocolError")) as error:
            return {"error": type(error), "message": str(error)}
        return self.seen(answer, pieces, call)


DRIVERS = [driver(module) for module in (httpcore, httpcore2) for driver in (HttpcoreDriver, AsyncHttpcoreDriver)]
