"""aiohttp, as the contract sees it."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from contract import Call, Plan, Seen
from drivers_httpx import pieces_of
from drivers_urllib3 import HALF_ANSWER

MIDDLEWARES = hasattr(aiohttp, "ClientMiddlewareType")  # from 3.12 on
VERSION = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])
OF_OLD = {"zstd": "aiohttp knows no zstd before 3.13"} if VERSION < (3, 13) else {}


class AiohttpDriver:
    """A session, with a trace and a middleware of the application's own where the plan asks for them."""

    name = "aiohttp"
    not_applicable: Mapping[str, str] = {
        "two codings": "aiohttp takes off one coding only",
        "the client's own retries": "it retries no answer",
        "cut body": HALF_ANSWER,
        **OF_OLD,
    }

    more: Mapping[str, int] = {"reset": 2} if VERSION >= (3, 10) else {}  # what is sent twice by aiohttp's own decision

    def run(self, root: str, plan: Plan) -> list[Seen]:
        return asyncio.run(self.session(root, plan))

    async def session(self, root: str, plan: Plan) -> list[Seen]:
        self.hooks: list[tuple[str, Any]] = []
        self.through = 0
        settings: dict[str, Any] = {"cookie_jar": aiohttp.CookieJar(unsafe=True), "cookies": dict(plan.cookies) or None}
        if plan.base_url:
            settings["base_url"] = root
        if plan.auth:
            encoded = getattr(aiohttp, "encode_basic_auth", lambda *auth: aiohttp.BasicAuth(*auth).encode())
            settings["headers"] = {"Authorization": encoded(*plan.auth)}
        if plan.hooks:
            settings["trace_configs"] = [self.trace()]
        if plan.custom:
            settings |= {"middlewares": (self.middleware,)} if MIDDLEWARES else {"connector": self.connector()}
        async with aiohttp.ClientSession(**settings) as session:
            seen = [await self.call(session, root, plan, call) for call in plan.calls]
        if not MIDDLEWARES and root.startswith("https"):
            await self.all_closed()
        return seen

    async def all_closed(self) -> None:
        """Old versions close TLS connections behind the session's back; their documentation asks for a sleep."""
        loop: Any = asyncio.get_running_loop()
        for _ in range(1000):
            if len(loop._selector.get_map()) <= 1:  # the loop's own pipe
                return
            await asyncio.sleep(0.01)

    def trace(self) -> aiohttp.TraceConfig:
        config = aiohttp.TraceConfig()

        async def started(session: Any, context: Any, params: Any) -> None:
            self.hooks.append(("start", params.url.path))

        async def redirected(session: Any, context: Any, params: Any) -> None:
            self.hooks.append(("redirect", params.response.status))

        async def received(session: Any, context: Any, params: Any) -> None:
            self.hooks.append(("chunk", params.chunk))

        async def ended(session: Any, context: Any, params: Any) -> None:
            self.hooks.append(("end", params.response.status))

        config.on_request_start.append(started)
        config.on_request_redirect.append(redirected)
        config.on_response_chunk_received.append(received)
        config.on_request_end.append(ended)
        return config

    def connector(self) -> aiohttp.TCPConnector:
        driver = self

        class Counting(aiohttp.TCPConnector):
            async def connect(self, *given: Any, **options: Any) -> Any:
                driver.through += 1
                return await super().connect(*given, **options)

        return Counting()

    async def middleware(self, request: Any, handler: Any) -> Any:
        self.through += 1
        return await handler(request)

    def upload(self, call: Call) -> dict[str, Any]:
        self.stream: Any = None
        if call.upload in ("file", "multipart"):
            self.stream = io.BytesIO(call.body)
        if call.upload == "multipart":
            form = aiohttp.FormData()
            form.add_field("field", "value")
            form.add_field("file", self.stream, filename="name.bin")
            return {"data": form}
        if call.upload == "generator":
            self.stream = pieces_of(call.body)

            async def pieces() -> AsyncIterator[bytes]:
                for piece in self.stream:
                    yield piece

            return {"data": pieces()}
        if call.upload == "form":
            return {"data": dict(parse_qsl(call.body.decode()))}
        if call.upload == "json":
            return {"json": json.loads(call.body)}
        return {"data": self.stream or call.body} if call.upload else {}

    def left(self) -> bytes | None:
        if self.stream is None:
            return None
        if isinstance(self.stream, io.BytesIO):
            return b"" if self.stream.closed else self.stream.read()
        return b"".join(self.stream)

    def trust(self, plan: Plan) -> Any:
        return ssl.create_default_context(cafile=plan.trust) if isinstance(plan.trust, str) else plan.trust

    async def call(self, session: Any, root: str, plan: Plan, call: Call) -> Seen:
        given = {
            "headers": dict(call.headers), "allow_redirects": call.follow, "ssl": self.trust(plan),
            "timeout": aiohttp.ClientTimeout(total=call.timeout), "proxy": plan.proxy or None, **self.upload(call),
        }  # fmt: skip
        try:
            async with session.request(call.method, call.path if plan.base_url else root + call.path, **given) as answer:
                told = await self.body(answer, call)
        except (aiohttp.ClientError, OSError) as error:
            return {"error": type(error), "message": str(error), "errno": getattr(error, "errno", None)}
        return told | {
            "status": answer.status, "reason": answer.reason, "version": answer.version, "url": str(answer.url),
            "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers],
            "history": [(each.status, each.url.path) for each in answer.history], "left": self.left(),
            "cookies": sorted((each.key, each.value) for each in session.cookie_jar), "hooks": list(self.hooks),
            "own cookies": sorted((name, each.value) for name, each in answer.cookies.items()), "through": self.through,
            "sent": sorted(answer.request_info.headers.items()) if call.upload != "multipart" else None,
        }  # fmt: skip

    async def body(self, answer: Any, call: Call) -> Seen:
        if call.read == "close":
            return {"body": b""}
        if call.read == "stream":
            pieces = [piece async for piece in answer.content.iter_any()]
            return {"body": b"".join(pieces), "pieces": pieces}
        if call.read == "lines":
            lines = [line async for line in answer.content]
            return {"lines": lines, "body": b"".join(lines)}
        if call.read == "part":
            return {"part": await answer.content.read(10), "body": b""}
        return {"body": await answer.read()}


DRIVERS = [AiohttpDriver()]
