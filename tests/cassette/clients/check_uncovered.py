"""Clients that connect below Python, in an environment that has them: the guard stops and counts them."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import curl_cffi.requests
import pycurl
import pytest
import uvloop
from contract import deck_open
from server import Server

from respool.cassette import guard
from respool.cassette.model import Mode
from respool.errors import NetworkBlocked

HOST = "api.example.com"


def handle(url: str) -> pycurl.Curl:
    made = pycurl.Curl()
    made.setopt(pycurl.URL, url)
    made.setopt(pycurl.TIMEOUT_MS, 50)
    made.setopt(pycurl.WRITEDATA, io.BytesIO())
    return made


def easy(url: str) -> None:
    made = handle(url)
    made.perform()
    assert made.getinfo(pycurl.RESPONSE_CODE) == 200


def easy_text(url: str) -> None:
    made = pycurl.Curl()
    made.setopt_string(pycurl.URL, url)
    assert made.perform_rs() == "hello"


def multi(url: str) -> None:
    pycurl.CurlMulti().add_handle(handle(url))


def impersonating(url: str) -> None:
    assert curl_cffi.requests.get(url, timeout=5).content == b"hello"


async def impersonating_async(url: str) -> None:
    async with curl_cffi.requests.AsyncSession() as session:
        await session.get(url, timeout=5)


async def transferring(url: str) -> None:
    async with pycurl.AsyncCurlMulti() as multi:
        await multi.perform(handle(url))


def of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


async def connecting(url: str) -> None:
    host, port = of(url)
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


async def sending(url: str) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=of(url))
    transport.close()


def on(loop: Callable[[], asyncio.AbstractEventLoop], work: Callable[[str], Coroutine[Any, Any, None]]) -> Any:
    def run(url: str) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(work(url))

    return run


WAYS = {
    "pycurl": easy, "pycurl, to a text": easy_text, "pycurl, several": multi, "curl_cffi": impersonating,
    "pycurl, awaited": on(asyncio.new_event_loop, transferring),
    "curl_cffi, awaited": on(asyncio.new_event_loop, impersonating_async),
    "asyncio": on(asyncio.new_event_loop, connecting), "uvloop": on(uvloop.new_event_loop, connecting),
    "uvloop, datagrams": on(uvloop.new_event_loop, sending), "asyncio, datagrams": on(asyncio.new_event_loop, sending),
}  # fmt: skip
EACH = pytest.mark.parametrize("way", WAYS)


@EACH
def test_a_block_stops_it(way: str) -> None:
    with guard.blocking(loopback=True, test="tests/test_x.py::test_y"), pytest.raises(NetworkBlocked) as refused:
        WAYS[way](f"http://{HOST}/hello")
    assert HOST in str(refused.value)
    assert "tests/test_x.py::test_y" in str(refused.value)
    if "curl" in way:
        assert f"{way.partition(',')[0]} tried to connect" in str(refused.value)


@EACH
def test_what_is_allowed_works(way: str, plain: Server) -> None:
    with guard.blocking(loopback=True):
        WAYS[way](f"{plain.url}/hello")


@EACH
def test_it_is_counted(way: str) -> None:
    with deck_open(mode=Mode.FILL) as deck, contextlib.suppress(Exception):
        WAYS[way]("http://192.0.2.1/hello" if "loop" in way or "asyncio" in way else "http://unknown.invalid/hello")
    assert deck.live >= 1
