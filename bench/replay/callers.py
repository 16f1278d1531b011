"""One client of each kind, made once: a call is a GET, its body read whole.

Calls are timed by the thread's CPU: no player waits for anything, and who else uses the machine hardly shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import thread_time
from typing import Any, NamedTuple

from bench.replay.entries import REQUEST_HEADERS

Timed = Callable[[str], tuple[float, bytes]]


class Caller(NamedTuple):
    """`timed(url)` → seconds of one call, and the body that came; `client` is the client object."""

    timed: Timed
    client: Any


@contextmanager
def caller(name: str) -> Iterator[Caller]:
    """The client of that name, open."""
    with _OPEN[name]() as opened:
        yield opened


def _blocking(get: Callable[[str], bytes], client: Any) -> Caller:
    def timed(url: str) -> tuple[float, bytes]:
        begin = thread_time()
        body = get(url)
        return thread_time() - begin, body

    return Caller(timed, client)


@contextmanager
def _requests() -> Iterator[Caller]:
    import requests

    with requests.Session() as session:
        session.headers.update(REQUEST_HEADERS)
        yield _blocking(lambda url: session.get(url).content, session)


@contextmanager
def _urllib3() -> Iterator[Caller]:
    import urllib3

    with urllib3.PoolManager(headers=REQUEST_HEADERS) as pool:
        yield _blocking(lambda url: pool.request("GET", url).data, pool)


@contextmanager
def _httpx(module: str = "httpx") -> Iterator[Caller]:
    from importlib import import_module

    with import_module(module).Client(headers=REQUEST_HEADERS) as client:
        yield _blocking(lambda url: client.get(url).content, client)  # type: ignore[no-any-return]


@contextmanager
def _aiohttp() -> Iterator[Caller]:
    import aiohttp

    loop = asyncio.new_event_loop()

    async def opened() -> Any:
        return aiohttp.ClientSession(headers=REQUEST_HEADERS)

    session = loop.run_until_complete(opened())

    async def call(url: str) -> tuple[float, bytes]:
        begin = thread_time()  # inside the loop: what it costs to enter one is nobody's
        async with session.get(url) as answer:
            body = await answer.read()
        return thread_time() - begin, body

    try:
        yield Caller(lambda url: loop.run_until_complete(call(url)), session)
    finally:
        loop.run_until_complete(session.close())
        loop.close()


_OPEN: dict[str, Callable[[], Any]] = {
    "requests": _requests, "urllib3": _urllib3, "httpx": _httpx, "httpx2": lambda: _httpx("httpx2"), "aiohttp": _aiohttp,
}  # fmt: skip
CLIENTS = tuple(_OPEN)
