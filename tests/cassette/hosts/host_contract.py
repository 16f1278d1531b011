"""What must hold for a cassette inside any mocking library; each library's file fills in how it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from counting_service import Service
from respool.cassette import guard
from respool.cassette.deck import Deck
from respool.cassette.hosts import play_inside
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Mode
from respool.cassette.open_decks import Opened
from respool.cassette.redaction import Redaction
from respool.errors import RequestNotRecorded

MOCKED = "http://mocked.example.com/"


@contextmanager
def deck_open(tape: Cassette | None = None, mode: Mode = Mode.FILL) -> Iterator[Deck]:
    deck = Deck(tape or Cassette(), Matching(), Redaction(), mode, name="tape.json")
    opened = Opened(deck)
    opened.enter()
    try:
        yield deck
    finally:
        opened.end()
        deck.close()


class Contract:
    """A library: `active` starts it with its answer "mocked" for MOCKED, `ask` sends a request with its client."""

    library: str
    refusal: type[Exception]  # what the library raises for a request that nothing matches

    def active(self) -> AbstractContextManager[Any]:
        raise NotImplementedError

    def ask(self, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
        """Status, content type and body of the answer."""
        raise NotImplementedError

    def mocked(self) -> bytes:
        """The body of the library's own answer."""
        return self.ask(MOCKED)[2]

    def seen(self, root: str) -> list[tuple[int, str, bytes]]:
        return [self.ask(root + "/number"), self.ask(root + "/number"), self.ask(root + "/echo", "POST", b"body")]

    def recorded(self, service: Service) -> tuple[Cassette, list[tuple[int, str, bytes]]]:
        with deck_open() as deck:
            seen = self.seen(service.url)
        assert len(deck.fresh) == 3
        service.asked = 0
        return Cassette(deck.fresh), seen

    def test_unmatched_requests_are_answered_by_the_cassette(self, service: Service) -> None:
        tape, live = self.recorded(service)
        with deck_open(tape, Mode.REPLAY) as deck, self.active() as mock, play_inside(mock), guard.blocking():
            assert self.seen(service.url) == live
        assert (deck.played, deck.misses, deck.unplayed, service.asked) == (3, [], (), 0)

    def test_explicit_mocks_win(self, service: Service) -> None:
        with deck_open(mode=Mode.REPLAY) as deck, self.active() as mock, play_inside(mock):
            assert self.mocked() == b"mocked"
        assert (deck.played, deck.misses) == (0, [])

    def test_a_miss_is_told_as_without_the_library(self, service: Service) -> None:
        with (
            deck_open(mode=Mode.REPLAY) as deck, self.active() as mock, play_inside(mock),
            pytest.raises(RequestNotRecorded, match="/number"),
        ):  # fmt: skip
            self.ask(service.url + "/number")
        assert len(deck.misses) == 1
        assert service.asked == 0

    def test_it_records_through_the_library(self, service: Service) -> None:
        with deck_open() as deck, self.active() as mock, play_inside(mock):
            live = self.seen(service.url)
        assert [each.request.method for each in deck.fresh] == ["GET", "GET", "POST"]
        assert deck.live == service.asked == 3
        with deck_open(Cassette(deck.fresh), Mode.REPLAY):
            assert self.seen(service.url) == live

    def test_without_leave_the_library_answers_and_this_is_told(self, service: Service) -> None:
        tape, _ = self.recorded(service)
        with (
            deck_open(tape, Mode.REPLAY) as deck, self.active(), pytest.raises(self.refusal),
            pytest.warns(RuntimeWarning, match=rf"^{self.library} answers before .*'tape.json'.*play_inside\("),
        ):  # fmt: skip
            self.ask(service.url + "/number")
        assert (deck.played, service.asked) == (0, 0)

    def test_explicit_mocks_alone_are_no_news(self) -> None:
        with deck_open(mode=Mode.REPLAY), self.active():
            assert self.mocked() == b"mocked"

    def test_without_a_cassette_the_library_is_as_before(self, service: Service) -> None:
        with self.active(), pytest.raises(self.refusal):
            self.ask(service.url + "/number")
        with deck_open(), self.active() as mock, play_inside(mock):
            self.ask(service.url + "/number")
        with self.active(), pytest.raises(self.refusal):
            self.ask(service.url + "/number")
        assert service.asked == 1
