"""Threads and tasks: every interaction kept, none on the wrong tape, each in the place where its request left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import pytest
import requests
from contract import deck_open, no_network
from server import Server

from respool.cassette.model import Cassette, Interaction, Mode

Get = Callable[[str], bytes]

SESSION = requests.Session()
SESSION.trust_env = False
BLOCKING: dict[str, Get] = {
    "requests": lambda url: SESSION.get(url, timeout=20).content,
    "httpx": lambda url: httpx.get(url, trust_env=False, timeout=20).content,
    "httpx2": lambda url: httpx2.get(url, trust_env=False, timeout=20).content,
}


@pytest.fixture(autouse=True, scope="module")
def _closed() -> Any:
    yield
    SESSION.close()


def paths(tape: tuple[Interaction, ...]) -> list[str]:
    return [each.request.url.rpartition("/")[2] for each in tape]


@pytest.mark.parametrize("client", BLOCKING)
def test_forty_requests_over_eight_threads(client: str, plain: Server) -> None:
    """A pool's threads inherit no context, and find the one deck that is open."""
    get, names = BLOCKING[client], [str(n) for n in range(40)]
    plain.reset()
    with deck_open(mode=Mode.FILL) as deck, ThreadPoolExecutor(8) as pool:
        live = list(pool.map(lambda name: get(f"{plain.url}/counted/{name}"), names))
    assert live == [b"1"] * 40
    assert sorted(paths(deck.fresh), key=int) == names
    plain.reset()
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY) as replay, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda name: get(f"{plain.url}/counted/{name}"), names)) == live
    assert (replay.played, replay.unplayed, plain.requests) == (40, (), [])


@pytest.mark.parametrize("module", [httpx, httpx2], ids=lambda module: module.__name__)
def test_gathered_tasks_are_on_the_tape_in_the_order_they_left(module: Any, plain: Server) -> None:
    async def ask() -> list[bytes]:
        async with module.AsyncClient(trust_env=False, timeout=20) as client:

            async def get(n: int) -> bytes:
                answer = await client.get(f"{plain.url}/sse?{n}" if n == 0 else f"{plain.url}/counted/{n}")
                return answer.content  # type: ignore[no-any-return]

            return await asyncio.gather(*(get(n) for n in range(40)))

    plain.reset()
    with deck_open(mode=Mode.FILL) as deck:
        live = asyncio.run(ask())
    assert paths(deck.fresh) == ["sse?0", *(str(n) for n in range(1, 40))], "the slow first one keeps its place"
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY) as replay:
        assert asyncio.run(ask()) == live
    assert replay.unplayed == ()


@pytest.mark.parametrize("client", BLOCKING)
def test_two_threads_with_a_deck_each(client: str, plain: Server) -> None:
    get, gate = BLOCKING[client], threading.Barrier(2)
    tapes: dict[str, tuple[Interaction, ...]] = {}

    def play(name: str) -> None:
        with deck_open(mode=Mode.FILL) as deck:
            gate.wait(10)
            for n in range(10):
                get(f"{plain.url}/counted/{name}{n}")
        tapes[name] = deck.fresh

    threads = [threading.Thread(target=play, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {name: paths(tape) for name, tape in tapes.items()} == {name: [f"{name}{n}" for n in range(10)] for name in "ab"}


def test_two_tasks_with_a_deck_each(plain: Server) -> None:
    """One client for both: the deck is the task's, not the client's."""

    async def play(client: Any, name: str, gate: asyncio.Barrier) -> list[str]:
        with deck_open(mode=Mode.FILL) as deck:
            await gate.wait()
            await asyncio.gather(*(client.get(f"{plain.url}/counted/{name}{n}") for n in range(10)))
        return paths(deck.fresh)

    async def both() -> list[list[str]]:
        gate = asyncio.Barrier(2)
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return await asyncio.gather(*(play(client, name, gate) for name in "ab"))

    assert asyncio.run(both()) == [[f"{name}{n}" for n in range(10)] for name in "ab"]


def test_blocking_calls_of_tasks_go_to_their_tasks_deck(plain: Server) -> None:
    """asyncio.to_thread takes the context along."""

    async def play(name: str, gate: asyncio.Barrier) -> list[str]:
        with deck_open(mode=Mode.FILL) as deck:
            await gate.wait()
            urls = [f"{plain.url}/counted/{name}{n}" for n in range(5)]
            await asyncio.gather(*(asyncio.to_thread(BLOCKING["requests"], url) for url in urls))
        return sorted(paths(deck.fresh))

    async def both() -> list[list[str]]:
        gate = asyncio.Barrier(2)
        return await asyncio.gather(*(play(name, gate) for name in "ab"))

    assert asyncio.run(both()) == [[f"{name}{n}" for n in range(5)] for name in "ab"]
