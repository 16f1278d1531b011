"""niquests where the contract does not reach: promises for later, its fork of urllib3 under both names."""

from __future__ import annotations

import asyncio

import niquests
import urllib3
from contract import deck_open, no_network
from server import Server

from respool.cassette.model import Cassette, Mode


def test_answers_promised_for_later(plain: Server) -> None:
    """A multiplexed session gathers its answers at the end; recorded and replayed they are there at once."""

    def ask() -> list[bytes | None]:
        with niquests.Session(multiplexed=True) as session:
            answers = [session.get(plain.url + path) for path in ("/hello", "/json", "/gzip")]
            session.gather()
            return [each.content for each in answers]

    live = ask()
    with deck_open(mode=Mode.FILL) as deck:
        assert ask() == live
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY) as deck:
        assert ask() == live
    assert (deck.played, deck.unplayed) == (3, ())


def test_many_at_once(plain: Server) -> None:
    async def ask() -> list[bytes | None]:
        async with niquests.AsyncSession() as session:
            answers = await asyncio.gather(*(session.get(f"{plain.url}/echo?n={n}") for n in range(20)))
            return [each.content for each in answers]

    with deck_open(mode=Mode.FILL) as deck:
        live = asyncio.run(ask())
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY) as deck:
        assert asyncio.run(ask()) == live
    assert (deck.played, deck.unplayed) == (20, ())


def test_the_fork_as_urllib3_itself(plain: Server) -> None:
    def ask() -> list[tuple[int, bytes, int]]:
        with urllib3.PoolManager() as pools:
            answers = [pools.request("GET", plain.url + path) for path in ("/gzip", "/hello", "/redirect/2")]
            return [(each.status, each.data, each.version) for each in answers]

    live = ask()
    with deck_open(mode=Mode.FILL) as deck:
        assert ask() == live
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY):
        assert ask() == live


def test_its_own_name_for_the_fork(plain: Server) -> None:
    """Where urllib3 proper keeps its place, niquests takes the fork by its other name."""
    import urllib3_future

    assert hasattr(urllib3_future.HTTPConnectionPool._make_request, "respool_original")
    assert hasattr(urllib3_future.AsyncHTTPConnectionPool._make_request, "respool_original")
    with deck_open(mode=Mode.FILL) as deck, urllib3_future.PoolManager() as pools:
        assert pools.request("GET", plain.url + "/hello").data == b"hello"
    with no_network(), deck_open(Cassette(deck.fresh), Mode.REPLAY), urllib3_future.PoolManager() as pools:
        assert pools.request("GET", plain.url + "/hello").data == b"hello"
