"""A cassette inside respx, in both of its ways of mocking httpx."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
import respx
from host_contract import MOCKED, Contract, deck_open

from counting_service import Service
from respool.cassette.hosts import play_inside
from respool.cassette.model import Cassette, Mode


class TestRespx(Contract):
    library = "respx"
    refusal = AssertionError
    using = "httpcore"

    def active(self) -> AbstractContextManager[Any]:
        router = respx.mock(using=self.using, assert_all_called=False)
        router.get(MOCKED).respond(text="mocked")
        return router

    def ask(self, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
        answer = httpx.request(method, url, content=body, timeout=10)
        return answer.status_code, answer.headers.get("Content-Type", ""), answer.content

    def test_routes_added_later_win(self) -> None:
        with deck_open(mode=Mode.REPLAY), self.active() as router, play_inside(router):
            router.get("http://later.example.com/").respond(text="later")
            assert self.ask("http://later.example.com/")[2] == b"later"

    def test_what_was_recorded_without_it_plays_inside_it(self, service: Service) -> None:
        """The hook is another: the request and its answer must not be."""
        with deck_open() as above:
            self.seen(service.url)
        with deck_open() as below, self.active() as router, play_inside(router):
            self.seen(service.url)
        assert [each.request for each in below.fresh] == [each.request for each in above.fresh]
        assert [each.response.headers[:1] for each in below.fresh] == [each.response.headers[:1] for each in above.fresh]

    def test_the_module_stands_for_its_own_router(self, service: Service) -> None:
        with respx.mock:
            respx.get(MOCKED).respond(text="mocked")
            with deck_open(mode=Mode.FILL) as deck, play_inside(respx):
                assert self.ask(MOCKED)[2] == b"mocked"
                self.ask(service.url + "/number")
        assert len(deck.fresh) == 1


class TestRespxAsync(TestRespx):
    def ask(self, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient() as client:
                return await client.request(method, url, content=body)

        answer = asyncio.run(send())
        return answer.status_code, answer.headers.get("Content-Type", ""), answer.content

    def test_without_leave_the_library_answers_and_this_is_told(self, service: Service) -> None:
        with deck_open(), self.active(), pytest.raises(AssertionError), pytest.warns(RuntimeWarning, match="respx answers"):
            self.ask(service.url + "/number")


class TestRespxInFrontOfHttpx(TestRespx):
    using = "httpx"


def test_a_failure_on_the_tape_is_raised_inside_it(service: Service) -> None:
    from respool.cassette.model import Failure, Interaction, Request

    url = service.url + "/number"
    broken = Interaction(Request("GET", url, (("host", "x"),)), Failure("connect", "nobody there"))
    with (
        deck_open(Cassette((broken,)), Mode.REPLAY), respx.mock(assert_all_called=False) as router, play_inside(router),
        pytest.raises(httpx.ConnectError, match="nobody there"),
    ):  # fmt: skip
        httpx.get(url)
