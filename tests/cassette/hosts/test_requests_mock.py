"""A cassette inside requests_mock."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import requests
import requests_mock
from host_contract import MOCKED, Contract, deck_open

from counting_service import Service
from respool.cassette.hosts import play_inside
from respool.cassette.model import Mode


class TestRequestsMock(Contract):
    library = "requests_mock"
    refusal = requests_mock.NoMockAddress

    def active(self) -> AbstractContextManager[Any]:
        mocker = requests_mock.Mocker()
        mocker.get(MOCKED, text="mocked")
        return mocker

    def ask(self, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
        answer = requests.request(method, url, data=body, timeout=10)
        return answer.status_code, answer.headers.get("Content-Type", ""), answer.content

    def test_its_fixture(self, service: Service, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(MOCKED, text="mocked")
        with deck_open(mode=Mode.FILL) as deck, play_inside(requests_mock):
            assert self.ask(MOCKED)[2] == b"mocked"
            self.ask(service.url + "/number")
        assert len(deck.fresh) == 1
        assert requests_mock.real_http is False
