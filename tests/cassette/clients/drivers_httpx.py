"""httpx and httpx2, blocking and asynchronous, as the contract sees them."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import httpx
import httpx2
from contract import Call, Plan, Seen

NO_RETRIES = "httpx retries connections only, never an answer"


def pieces_of(body: bytes) -> Iterator[bytes]:
    yield body[:100]
    yield body[100:]


class HttpxDriver:
    """The blocking client."""

    def __init__(self, module: ModuleType) -> None:
        self.not_applicable = {"the client's own retries": NO_RETRIES}
        self.module: Any = module
        self.name = module.__name__

    def run(self, root: str, plan: Plan) -> list[Seen]:
        self.hooks: list[tuple[str, str]] = []
        settings = self.settings(root, plan)
        if plan.custom:
            settings["transport"] = self.transport()
        if plan.hooks:
            settings["event_hooks"] = {
                "request": [lambda request: self.hooks.append((request.method, request.url.path))],
                "response": [lambda response: self.hooks.append((str(response.status_code), response.url.path))],
            }
        with self.module.Client(**settings) as client:
            return [self.call(client, root, plan, call) for call in plan.calls]

    def settings(self, root: str, plan: Plan) -> dict[str, Any]:
        settings: dict[str, Any] = {"trust_env": False, "verify": plan.trust, "cookies": dict(plan.cookies)}
        if isinstance(plan.trust, str):
            settings["verify"] = ssl.create_default_context(cafile=plan.trust)
        if plan.proxy:
            settings["proxy"] = plan.proxy
        if plan.base_url:
            settings["base_url"] = root
        return settings | {"auth": plan.auth}

    def transport(self) -> Any:
        module, driver = self.module, self

        class Counting(module.BaseTransport):  # type: ignore[misc]
            def __init__(self) -> None:
                self.below = module.HTTPTransport()

            def handle_request(self, request: Any) -> Any:
                driver.through += 1
                return self.below.handle_request(request)

            def close(self) -> None:
                self.below.close()

        self.through = 0
        return Counting()

    def upload(self, call: Call) -> dict[str, Any]:
        self.stream: Any = None
        if call.upload == "file":
            self.stream = io.BytesIO(call.body)
            return {"content": self.stream}
        if call.upload == "generator":
            self.stream = pieces_of(call.body)
            return {"content": self.stream}
        if call.upload == "multipart":
            self.stream = io.BytesIO(call.body)
            return {"files": {"file": ("name.bin", self.stream)}, "data": {"field": "value"}}
        if call.upload == "form":
            return {"data": dict(parse_qsl(call.body.decode()))}
        if call.upload == "json":
            return {"json": json.loads(call.body)}
        return {"content": call.body} if call.upload else {}

    def left(self) -> bytes | None:
        if self.stream is None:
            return None
        return self.stream.read() if hasattr(self.stream, "read") else b"".join(self.stream)

    def given(self, root: str, plan: Plan, call: Call) -> dict[str, Any]:
        given = {"method": call.method, "url": call.path if plan.base_url else root + call.path, "timeout": call.timeout}
        # As bytes: httpx makes ASCII of texts.
        headers = {name.encode(): value.encode("latin-1") for name, value in call.headers.items()}
        return given | {"headers": headers, **self.upload(call)}

    def call(self, client: Any, root: str, plan: Plan, call: Call) -> Seen:
        told: Seen = {}
        given = self.given(root, plan, call)
        try:
            if call.read == "all":
                answer = client.request(**given, follow_redirects=call.follow)
            else:
                with client.stream(**given, follow_redirects=call.follow) as answer:
                    if call.read == "stream":
                        told["pieces"] = list(answer.iter_bytes())
                    elif call.read == "raw":
                        told["raw"] = b"".join(answer.iter_raw())
                    elif call.read == "lines":
                        told["lines"] = list(answer.iter_lines())
                    elif call.read == "part":
                        told["part"] = next(answer.iter_raw(10))
        except self.module.HTTPError as error:
            return self.failed(error)
        return told | self.seen(client, plan, answer, told)

    def failed(self, error: Any) -> Seen:
        return {"error": type(error), "message": str(error), "path": error.request.url.path, "hooks": self.hooks}

    def seen(self, client: Any, plan: Plan, answer: Any, told: Seen) -> Seen:
        body = b"".join(told.get("pieces", ()))
        if not told and answer.is_stream_consumed:
            body = answer.content
        return {
            "status": answer.status_code,
            "reason": answer.reason_phrase,
            "version": answer.http_version,
            "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw],
            "body": body,
            "url": str(answer.url),
            "history": [(each.status_code, each.headers.raw, each.content) for each in answer.history],
            "cookies": sorted(client.cookies.items()),
            "answer cookies": sorted(answer.cookies.items()),
            "next": str(answer.next_request.url) if answer.next_request else None,
            "elapsed": type(answer.elapsed),
            "downloaded": answer.num_bytes_downloaded,
            "closed": (answer.is_closed, answer.is_stream_consumed),
            "encoding": answer.encoding,
            "sent": sorted(answer.request.headers),
            "left": self.left(),
            "hooks": list(self.hooks),
            "through": getattr(self, "through", None),
        }


class AsyncHttpxDriver(HttpxDriver):
    """The asynchronous client."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module)
        self.name = f"{module.__name__} async"

    def run(self, root: str, plan: Plan) -> list[Seen]:
        return asyncio.run(self.session(root, plan))

    async def session(self, root: str, plan: Plan) -> list[Seen]:
        self.hooks = []
        settings = self.settings(root, plan)
        if plan.custom:
            settings["transport"] = self.transport()
        if plan.hooks:

            async def sent(request: Any) -> None:
                self.hooks.append((request.method, request.url.path))

            async def answered(response: Any) -> None:
                self.hooks.append((str(response.status_code), response.url.path))

            settings["event_hooks"] = {"request": [sent], "response": [answered]}
        async with self.module.AsyncClient(**settings) as client:
            return [await self.acall(client, root, plan, call) for call in plan.calls]

    def transport(self) -> Any:
        module, driver = self.module, self

        class Counting(module.AsyncBaseTransport):  # type: ignore[misc]
            def __init__(self) -> None:
                self.below = module.AsyncHTTPTransport()

            async def handle_async_request(self, request: Any) -> Any:
                driver.through += 1
                return await self.below.handle_async_request(request)

            async def aclose(self) -> None:
                await self.below.aclose()

        self.through = 0
        return Counting()

    def upload(self, call: Call) -> dict[str, Any]:
        given = super().upload(call)
        if call.upload in ("file", "generator"):
            stream = self.stream

            async def read_file() -> AsyncIterator[bytes]:
                while piece := stream.read(65536):
                    yield piece

            async def read_pieces() -> AsyncIterator[bytes]:
                for piece in stream:
                    yield piece

            return {"content": read_file() if call.upload == "file" else read_pieces()}
        return given

    async def acall(self, client: Any, root: str, plan: Plan, call: Call) -> Seen:
        told: Seen = {}
        given = self.given(root, plan, call)
        try:
            if call.read == "all":
                answer = await client.request(**given, follow_redirects=call.follow)
            else:
                async with client.stream(**given, follow_redirects=call.follow) as answer:
                    if call.read == "stream":
                        told["pieces"] = [piece async for piece in answer.aiter_bytes()]
                    elif call.read == "raw":
                        told["raw"] = b"".join([piece async for piece in answer.aiter_raw()])
                    elif call.read == "lines":
                        told["lines"] = [line async for line in answer.aiter_lines()]
                    elif call.read == "part":
                        told["part"] = await anext(answer.aiter_raw(10))
        except self.module.HTTPError as error:
            return self.failed(error)
        return told | self.seen(client, plan, answer, told)


DRIVERS = [driver(module) for module in (httpx, httpx2) for driver in (HttpxDriver, AsyncHttpxDriver)]
