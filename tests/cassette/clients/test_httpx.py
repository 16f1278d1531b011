"""What the contract does not ask of httpx: transports that are not its own."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
from contract import deck_open, no_network
from server import Server

from respool.cassette.model import Cassette, Mode

EACH = pytest.mark.parametrize("module", [httpx, httpx2], ids=lambda module: module.__name__)

FOREIGN = '''
import http.client, {module} as module

class Foreign(module.BaseTransport, module.AsyncBaseTransport):
    def handle_request(self, request):
        connection = http.client.HTTPConnection(request.url.host, request.url.port)
        connection.request(request.method, request.url.raw_path.decode(), request.read(), dict(request.headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return module.Response(answer.status, headers=answer.getheaders(), content=body)

    async def handle_async_request(self, request):
        await request.aread()
        return self.handle_request(request)

class Retrying(module.BaseTransport):
    def __init__(self, below):
        self.below, self.asked = below, 0

    def handle_request(self, request):
        while True:
            self.asked += 1
            answer = self.below.handle_request(request)
            answer.read()
            if answer.status_code < 500:
                return answer

    def close(self):
        self.below.close()
'''


@pytest.fixture
def installed(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package of transports, as pip would have installed it."""
    name = f"foreign_{module.__name__}"
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / f"{name}.py").write_text(FOREIGN.format(module=module.__name__))
    monkeypatch.syspath_prepend(folder)
    yield importlib.import_module(name)
    del sys.modules[name]


@EACH
def test_a_foreign_transport_is_taken_through_the_deck(module: Any, installed: Any, plain: Server) -> None:
    def ask() -> str:
        with module.Client(transport=installed.Foreign()) as client:
            return client.post(plain.url + "/echo", content=b"abc").text  # type: ignore[no-any-return]

    live = ask()
    with deck_open(mode=Mode.FILL) as deck:
        assert ask() == live
    assert len(deck.fresh) == 1, "the client below it does not record it again"
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        assert ask() == live


@EACH
def test_an_asynchronous_one(module: Any, installed: Any, plain: Server) -> None:
    async def ask() -> str:
        async with module.AsyncClient(transport=installed.Foreign()) as client:
            return (await client.get(plain.url + "/hello")).text  # type: ignore[no-any-return]

    with deck_open(mode=Mode.FILL) as deck:
        assert asyncio.run(ask()) == "hello"
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        assert asyncio.run(ask()) == "hello"


@EACH
def test_one_that_hands_on_is_recorded_below(module: Any, installed: Any, plain: Server) -> None:
    """Its retries are made anew at playback."""

    def ask() -> tuple[str, int]:
        transport = installed.Retrying(module.HTTPTransport())
        with module.Client(transport=transport) as client:
            return client.get(plain.url + "/flaky/2").text, transport.asked

    plain.reset()
    with deck_open(mode=Mode.FILL) as deck:
        assert ask() == ("now", 3)
    assert len(deck.fresh) == 3
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        assert ask() == ("now", 3)


@EACH
def test_what_goes_to_no_network_is_left_alone(module: Any) -> None:
    """Mocks, applications in the process, and stubs that a test wrote."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"in here"]

    class Stub(module.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            return module.Response(200, text="in here")

    mock = module.MockTransport(lambda request: module.Response(200, text="in here"))
    with deck_open(mode=Mode.REPLAY) as deck:
        for transport in (mock, module.WSGITransport(application), Stub()):
            with module.Client(transport=transport, base_url="http://app.test") as client:
                assert client.get("/").text == "in here"
    assert (deck.misses, deck.live) == ([], 0)


@EACH
def test_a_body_that_can_be_sent_once_cannot_be_sent_again(module: Any, plain: Server) -> None:
    """A redirect that keeps the body asks for it anew: the request has the stream that the application gave it."""

    def ask(content: Any) -> Any:
        with module.Client(follow_redirects=True) as client:
            try:
                answer = client.post(plain.url + "/elsewhere", content=content)
            except module.StreamConsumed as error:
                return type(error)
            return answer.json()["body"], type(answer.request.stream)

    def once() -> Iterator[bytes]:
        yield b"piece"

    for content, told in ((lambda: b"bytes", 2), (once, module.StreamConsumed)):
        live = ask(content())
        assert live == told or len(live) == told
        with deck_open(mode=Mode.FILL) as deck:
            assert ask(content()) == live
        with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
            assert ask(content()) == live


@EACH
def test_neither_fragment_nor_credentials_are_in_the_url(module: Any, plain: Server) -> None:
    """The fragment is not sent, and user and password are sent as a header."""
    with deck_open(mode=Mode.FILL) as deck, module.Client() as client:
        client.get(plain.url.replace("//", "//me:secret@") + "/echo?a=1#part")
    (interaction,) = deck.fresh
    assert interaction.request.url == plain.url + "/echo?a=1"
    assert "Authorization" in dict(interaction.request.headers)
