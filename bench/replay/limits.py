"""The limit: each client answered on the lowest hook that it has, from a dictionary, with no check of anything.

Each keeps what its client keeps by itself: aiohttp's is a client middleware, the lowest place that leaves it its
redirects and its cookies; urllib3's answer comes with the message of its original, where requests looks for cookies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from io import BytesIO
from typing import Any
from unittest import mock

from bench.replay.entries import Entry


@contextmanager
def limit(client: str, entries: list[Entry], session: Any) -> Iterator[None]:
    """`client` is answered from a dictionary."""
    with _HOOKS[client](entries, session):
        yield


def _pools(entries: list[Entry], session: Any) -> Any:
    from urllib3 import HTTPResponse
    from urllib3.connectionpool import HTTPConnectionPool

    found = {("GET", each.url): (each, _Original(each.headers)) for each in entries}

    def answer(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
        each, original = found[method, f"{pool.scheme}://{pool.host}{url}"]
        return HTTPResponse(
            BytesIO(each.body), each.headers, 200, 11, reason="OK", original_response=original,
            preload_content=options.get("preload_content", True), request_method=method,
        )  # fmt: skip

    return mock.patch.object(HTTPConnectionPool, "_make_request", answer)


class _Original:
    """As much of an answer of http.client as urllib3 and requests ask for when its body was read from elsewhere."""

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.msg = HTTPMessage()
        for name, value in headers:
            self.msg[name] = value

    def isclosed(self) -> bool:
        return True


def _transports(name: str) -> Callable[[list[Entry], Any], Any]:
    def hooked(entries: list[Entry], session: Any) -> Any:
        from importlib import import_module

        module = import_module(name)
        found = {
            ("GET", each.url): ([(key.encode(), value.encode()) for key, value in each.headers], each.body)
            for each in entries
        }

        def answer(transport: Any, request: Any) -> Any:
            headers, body = found[request.method, str(request.url)]
            return module.Response(200, headers=headers, stream=module.ByteStream(body))

        return mock.patch.object(module.HTTPTransport, "handle_request", answer)

    return hooked


def _sessions(entries: list[Entry], session: Any) -> Any:
    import aiohttp
    from aiohttp.helpers import TimerNoop
    from multidict import CIMultiDict, CIMultiDictProxy

    found = {("GET", each.url): each for each in entries}

    async def answer(request: Any, handler: Any) -> Any:
        each = found[request.method, str(request.url)]
        made = aiohttp.ClientResponse(
            request.method, request.url, writer=None, continue100=None, timer=TimerNoop(),
            request_info=request.request_info, traces=[], loop=request.loop, session=session,
        )  # fmt: skip
        made.status, made.reason = 200, "OK"
        made._headers = CIMultiDictProxy(CIMultiDict(each.headers))
        made._raw_headers = tuple((name.encode(), value.encode()) for name, value in each.headers)
        made._body = each.body
        return made

    return mock.patch.object(session, "_middlewares", (answer,))


_HOOKS: dict[str, Callable[[list[Entry], Any], Any]] = {
    "requests": _pools, "urllib3": _pools, "httpx": _transports("httpx"), "httpx2": _transports("httpx2"),
    "aiohttp": _sessions,
}  # fmt: skip
