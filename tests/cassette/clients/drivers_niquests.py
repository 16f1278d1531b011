"""niquests, blocking and asynchronous, as the contract sees it. Only where it is installed: see test_clients.py."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Mapping
from typing import Any

import niquests
import niquests.adapters
import niquests.exceptions
from contract import Call, Plan, Seen
from drivers_httpx import pieces_of
from drivers_urllib3 import HALF_ANSWER, RequestsDriver
from niquests.packages import urllib3

NOT_APPLICABLE = {"cut body": HALF_ANSWER}


class NiquestsDriver(RequestsDriver):
    """niquests, with a session."""

    name = "niquests"

    def __init__(self) -> None:
        self.not_applicable: Mapping[str, str] = dict(NOT_APPLICABLE)

    def run(self, root: str, plan: Plan) -> list[Seen]:
        with niquests.Session(**self.settings(root, plan)) as session, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # comes with a connection that nobody verified
            self.prepare(session, plan, niquests.adapters.HTTPAdapter)
            return [self.call(session, root, plan, call) for call in plan.calls]

    def settings(self, root: str, plan: Plan) -> dict[str, Any]:
        return {"base_url": root} if plan.base_url else {}

    def prepare(self, session: Any, plan: Plan, adapter: Any) -> None:
        session.trust_env = False
        session.verify = plan.trust
        session.cookies.update(dict(plan.cookies))
        session.auth = plan.auth
        if plan.proxy:
            session.proxies = {"http": plan.proxy, "https": plan.proxy}
        self.through = 0
        retries = urllib3.Retry(plan.retries, status_forcelist=[503], backoff_factor=0.001) if plan.retries else 0
        session.mount("http://", self.counting(adapter, plan.custom)(max_retries=retries))
        session.mount("https://", self.counting(adapter, plan.custom)(max_retries=retries))

    def counting(self, adapter: Any, custom: bool) -> Any:
        driver = self

        class Counting(adapter):  # type: ignore[misc]
            def send(self, *given: Any, **options: Any) -> Any:
                driver.through += 1
                return super().send(*given, **options)

        return Counting if custom else adapter

    def call(self, session: Any, root: str, plan: Plan, call: Call) -> Seen:
        told: Seen = {}
        hooked: list[tuple[Any, ...]] = []
        try:
            with session.request(call.method, self.address(root, plan, call), **self.given(call, plan, hooked)) as answer:
                if call.read == "stream":
                    told["pieces"] = list(answer.iter_content(-1 if "sse" in call.path else 65536))
                elif call.read == "raw":
                    told["raw"] = answer.raw.read(decode_content=False)
                elif call.read == "lines":
                    told["lines"] = list(answer.iter_lines())
                elif call.read == "part":
                    told["part"] = answer.raw.read(10)
                told["body"] = answer.content if call.read == "all" else b"".join(told.get("pieces", ()))
                told["read"] = answer._content_consumed
        except niquests.exceptions.RequestException as error:
            return self.failed(error)
        return told | self.seen(session, answer) | {"hooks": hooked, "through": self.through}

    def address(self, root: str, plan: Plan, call: Call) -> str:
        return call.path if plan.base_url else root + call.path

    def given(self, call: Call, plan: Plan, hooked: list[tuple[Any, ...]]) -> dict[str, Any]:
        given = {
            "timeout": call.timeout, "headers": dict(call.headers), "allow_redirects": call.follow,
            "stream": call.read != "all", **self.upload(call),
        }  # fmt: skip
        if plan.hooks:

            def connected(request: Any) -> None:
                hooked.append((request.conn_info.http_version,))

            def answered(answer: Any, **_: Any) -> None:
                hooked.append((answer.status_code, answer.url))

            given["hooks"] = {"pre_send": [connected], "response": [answered]}
        return given

    def failed(self, error: Any) -> Seen:
        cause = error.args[0]
        path = error.request.path_url if error.request is not None else None
        return {"error": type(error), "cause": type(cause), "reason": type(getattr(cause, "reason", None)), "path": path}

    def seen(self, session: Any, answer: Any) -> Seen:
        raw = answer.raw
        return {
            "status": answer.status_code,
            "reason": answer.reason,
            "version": raw.version,
            "http version": answer.http_version,
            "headers": list(raw.headers.items()),
            "original headers": [(n, v) for n, v in raw._original_response.msg.items() if n.lower() != "content-length"],
            "url": answer.url,
            "history": [(each.status_code, sorted(each.headers.items())) for each in answer.history],
            "cookies": sorted((each.name, each.value, each.domain, each.path) for each in session.cookies),
            "answer cookies": sorted(answer.cookies.items()),
            "elapsed": type(answer.elapsed),
            "closed": (raw.closed, raw.isclosed(), raw._original_response.isclosed()),
            "encoding": answer.encoding,
            "sent": sorted(answer.request.headers),
            "left": self.left(),
            "tries": len(raw.retries.history) + 1 if raw.retries is not None else 1,
            "retries left": raw.retries.total if raw.retries is not None else None,
        }


class NiquestsAsyncDriver(NiquestsDriver):
    """niquests, with an asynchronous session."""

    name = "niquests async"

    def run(self, root: str, plan: Plan) -> list[Seen]:
        return asyncio.run(self.session(root, plan))

    async def session(self, root: str, plan: Plan) -> list[Seen]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            async with niquests.AsyncSession(**self.settings(root, plan)) as session:
                self.prepare(session, plan, niquests.adapters.AsyncHTTPAdapter)
                return [await self.acall(session, root, plan, call) for call in plan.calls]

    def counting(self, adapter: Any, custom: bool) -> Any:
        driver = self

        class Counting(adapter):  # type: ignore[misc]
            async def send(self, *given: Any, **options: Any) -> Any:
                driver.through += 1
                return await super().send(*given, **options)

        return Counting if custom else adapter

    def upload(self, call: Call) -> dict[str, Any]:
        if call.upload != "generator":
            return super().upload(call)
        self.stream = pieces_of(call.body)

        async def pieces() -> AsyncIterator[bytes]:
            for piece in self.stream:
                yield piece

        return {"data": pieces()}

    async def acall(self, session: Any, root: str, plan: Plan, call: Call) -> Seen:
        told: Seen = {}
        hooked: list[tuple[Any, ...]] = []
        try:
            answer = await session.request(
                call.method, self.address(root, plan, call), **self.given(call, plan, hooked)
            )
            try:
                if call.read == "stream":
                    size = -1 if "sse" in call.path else 65536
                    told["pieces"] = [piece async for piece in await answer.iter_content(size)]
                elif call.read == "raw":
                    told["raw"] = await answer.raw.read(decode_content=False)
                elif call.read == "lines":
                    told["lines"] = [line async for line in answer.iter_lines()]
                elif call.read == "part":
                    told["part"] = await answer.raw.read(10)
                told["body"] = answer.content if call.read == "all" else b"".join(told.get("pieces", ()))
                told["read"] = answer._content_consumed
            finally:
                if call.read != "all":
                    await answer.close()
        except niquests.exceptions.RequestException as error:
            return self.failed(error)
        return told | self.seen(session, answer) | {"hooks": hooked, "through": self.through}


DRIVERS = [NiquestsDriver(), NiquestsAsyncDriver()]
