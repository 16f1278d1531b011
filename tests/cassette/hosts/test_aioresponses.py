"""A cassette inside aioresponses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses
from host_contract import MOCKED, Contract


class TestAioresponses(Contract):
    library = "aioresponses"
    refusal = aiohttp.ClientConnectionError

    @contextmanager
    def active(self) -> Iterator[Any]:
        with aioresponses() as mocked:
            # An answer of its own it cannot make any more for aiohttp >= 3.14.
            mocked.get(MOCKED, exception=OverflowError("mocked"), repeat=True)
            yield mocked

    def mocked(self) -> bytes:
        with pytest.raises(OverflowError) as raised:
            self.ask(MOCKED)
        return str(raised.value).encode()

    def ask(self, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
        async def send() -> tuple[int, str, bytes]:
            async with aiohttp.ClientSession() as session, session.request(method, url, data=body) as answer:
                return answer.status, answer.headers.get("Content-Type", ""), await answer.read()

        return asyncio.run(send())
