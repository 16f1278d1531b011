"""A cassette inside responses."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import requests
import responses
from host_contract import MOCKED, Contract, deck_open

from counting_service import Service
from respool.cassette.hosts import play_inside
from respool.cassette.model import Mode


class TestResponses(Contract):
    library = "responses"
    refusal = requests.ConnectionError

    def active(self) -> AbstractContextManager[Any]:
        mock = responses.RequestsMock(assert_all_requests_are_fired=False)
        mock.get(MOCKED, body="mocked")
        return mock

    def ask(self, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
        answer = requests.request(method, url, data=body, timeout=10)
        return answer.status_code, answer.headers.get("Content-Type", ""), answer.content

    @responses.activate
    def test_the_module_stands_for_its_own_mock(self, service: Service) -> None:
        responses.get(MOCKED, body="mocked")
        with deck_open(mode=Mode.FILL) as deck, play_inside(responses):
            assert self.ask(MOCKED)[2] == b"mocked"
            self.ask(service.url + "/number")
        assert len(deck.fresh) == 1
        assert responses.mock.passthru_prefixes == ()
