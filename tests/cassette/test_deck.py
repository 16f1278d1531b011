"""A deck decides: what answers, what is sent, what is kept and where, and what was missed."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from respool.cassette.deck import Deck, Forward, Observed, Step, Steps, Wait
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Interaction, Mode, Request, Response
from respool.cassette.redaction import Redaction
from respool.errors import RequestNotRecorded

GET = Request("GET", "http://a.test/")


def tape(*answers: tuple[str, bytes]) -> Cassette:
    """One GET per (path, body)."""
    return Cassette(tuple(Interaction(at(path), Response(200, body=body)) for path, body in answers))


def at(path: str, body: bytes = b"") -> Request:
    return Request("POST" if body else "GET", f"http://a.test{path}", body=body)


def deck_of(cassette: Cassette = Cassette(), mode: Mode = Mode.REPLAY, **given: Any) -> Deck:  # noqa: B008  a frozen value
    matching, redaction = given.pop("matching", Matching()), given.pop("redaction", Redaction())
    return Deck(cassette, matching, redaction, mode, name="t.json", **given)


def decided(found: Response | Failure | Steps) -> Step | bytes:
    """The first step, or the body that answers."""
    if isinstance(found, Response):
        return found.body
    assert not isinstance(found, Failure)
    return next(found)


def played(deck: Deck, request: Request) -> bytes:
    body = decided(deck.exchange(request))
    assert isinstance(body, bytes)
    return body


def sent(deck: Deck, request: Request, body: bytes) -> None:
    """One request that goes to the network and is kept."""
    step = decided(deck.exchange(request))
    assert isinstance(step, Forward)
    assert step.slot is not None
    deck.keep(step.slot, Response(200, body=body), at=7, seconds=0.5)


class Refusing:
    """A redaction that wants nothing of /private on the tape."""

    def request(self, request: Request) -> Request | None:
        return None if "/private" in request.url else request._replace(url=request.url.replace("secret", "x"))


def test_the_nth_request_gets_the_nth_answer() -> None:
    deck = deck_of(tape(("/", b"1"), ("/b", b"b"), ("/", b"2")))
    assert [played(deck, each) for each in (GET, at("/b"), GET)] == [b"1", b"b", b"2"]
    assert (deck.played, deck.plays, deck.unplayed, deck.live) == (3, (0, 1, 2), (), 0)


def test_one_too_many_is_a_miss_and_with_repeats_the_last_again() -> None:
    answers = tape(("/", b"1"), ("/", b"2"))
    deck = deck_of(answers)
    assert [played(deck, GET) for _ in range(2)] == [b"1", b"2"]
    with pytest.raises(RequestNotRecorded):
        deck.exchange(GET)
    assert [miss.request for miss in deck.misses] == [GET]
    repeating = deck_of(answers, repeats=True)
    assert [played(repeating, GET) for _ in range(4)] == [b"1", b"2", b"2", b"2"]


def test_what_was_not_asked_for_is_told() -> None:
    deck = deck_of(tape(("/a", b"a"), ("/b", b"b")))
    played(deck, at("/b"))
    assert deck.unplayed == (0,)
    assert deck.close().unplayed == (0,)


def test_replay_sends_nothing() -> None:
    deck = deck_of(tape(("/a", b"a")))
    with pytest.raises(RequestNotRecorded, match=r"http://a\.test/b") as caught:
        deck.exchange(at("/b"))
    assert caught.value.command is not None or "t.json" in str(caught.value)
    assert (deck.live, deck.close().fresh) == (0, ())


def test_fill_answers_from_the_tape_and_sends_the_rest() -> None:
    deck = deck_of(tape(("/a", b"a")), Mode.FILL)
    assert played(deck, at("/a")) == b"a"
    sent(deck, at("/b"), b"b")
    sent(deck, at("/a"), b"second")
    closed = deck.close()
    assert [(each.request.url, each.response.body) for each in closed.fresh if isinstance(each.response, Response)] == [
        ("http://a.test/b", b"b"),
        ("http://a.test/a", b"second"),
    ]
    assert closed.fresh[0].at == 7
    assert (closed.played, closed.live, closed.cut, closed.unfinished) == (1, 2, 0, 0)


def test_rerecord_asks_the_tape_nothing_and_bypass_keeps_nothing() -> None:
    deck = deck_of(tape(("/a", b"old")), Mode.RERECORD)
    sent(deck, at("/a"), b"new")
    assert (deck.played, deck.recorded, deck.close().unplayed) == (0, 1, ())
    deck = deck_of(tape(("/a", b"old")), Mode.BYPASS)
    assert decided(deck.exchange(at("/a"))) == Forward(None)
    assert (deck.live, deck.recorded) == (1, 0)


def test_places_are_reserved_before_requests_leave() -> None:
    """The order of the file is that of the departures, whoever answers first."""
    deck = deck_of(mode=Mode.FILL)
    slots = [step.slot for path in "abc" if isinstance(step := decided(deck.exchange(at(f"/{path}"))), Forward)]
    for slot in reversed(slots):
        assert slot is not None
        deck.keep(slot, Response(200), at=0, seconds=0)
    assert [each.request.url[-1] for each in deck.fresh] == ["a", "b", "c"]


def test_what_was_given_up_and_what_is_still_read_are_counted_apart() -> None:
    deck = deck_of(mode=Mode.FILL)
    first, second, third = (decided(deck.exchange(GET)) for _ in range(3))
    assert isinstance(first, Forward)
    assert isinstance(second, Forward)
    assert isinstance(third, Forward)
    assert first.slot is not None
    assert second.slot is not None
    deck.release(first.slot)
    deck.release(first.slot)  # a finaliser may say it again
    deck.keep(second.slot, Failure("closed"), at=0, seconds=0)
    deck.release(second.slot)
    closed = deck.close()
    assert (len(closed.fresh), closed.cut, closed.unfinished) == (1, 1, 1)
    assert deck.close() == closed


def test_a_closed_deck_refuses_and_names_its_test() -> None:
    deck = deck_of(tape(("/", b"1")), test="test_oslo")
    deck.close()
    with pytest.raises(RequestNotRecorded, match="test_oslo"):
        deck.exchange(GET)
    assert len(deck.misses) == 1


def test_a_throttle_waits_before_and_asks_again_after() -> None:
    told: list[tuple[str, int | None]] = []

    def throttle(request: Request, observed: Observed | None) -> float | None:
        told.append((request.url, observed and observed.status))
        if observed is None:
            return 0.5 if len(told) == 1 else None
        return 2.0 if observed.status == 429 else None

    steps = deck_of(mode=Mode.FILL, throttle=throttle).exchange(GET)
    assert isinstance(steps, Generator)
    assert next(steps) == Wait(0.5)
    first = next(steps)
    assert isinstance(first, Forward)
    assert steps.send(Observed(429)) == Wait(2.0)
    again = next(steps)
    assert again == first, "the place on the tape stays"
    with pytest.raises(StopIteration):
        steps.send(Observed(200))
    assert [status for _, status in told] == [None, None, 429, None, 200], "after a wait it is asked again"


def test_a_throttle_hears_of_a_request_that_nothing_came_back_to() -> None:
    told: list[int | None] = []

    def throttle(request: Request, observed: Observed | None) -> float | None:
        told.append(observed and observed.status)
        return None

    steps = deck_of(mode=Mode.FILL, throttle=throttle).exchange(GET)
    assert isinstance(steps, Generator)
    assert isinstance(next(steps), Forward)
    steps.close()
    assert told == [None, 0]


def test_the_redacted_form_is_matched_on_both_sides_and_the_real_one_is_kept() -> None:
    deck = deck_of(tape(("/?q=x", b"1")), redaction=Refusing())
    assert played(deck, at("/?q=secret")) == b"1"
    deck = deck_of(tape(("/?q=secret", b"1")), redaction=Refusing())
    assert played(deck, at("/?q=x")) == b"1"
    deck = deck_of(mode=Mode.FILL, redaction=Refusing())
    sent(deck, at("/?q=secret"), b"")
    assert deck.fresh[0].request.url.endswith("secret"), "redacted when it is written"


@pytest.mark.parametrize("mode", list(Mode))
def test_a_request_that_is_none_of_the_cassettes_business_goes_live(mode: Mode) -> None:
    deck = deck_of(tape(("/a", b"a")), mode, redaction=Refusing())
    assert decided(deck.exchange(at("/private"))) == Forward(None)
    assert (deck.live, deck.recorded, deck.misses) == (1, 0, [])


def test_custom_matchers_choose_among_equal_keys() -> None:
    answers = Cassette(
        tuple(Interaction(at("/", body), Response(200, body=body)) for body in (b"1 one", b"2 two", b"2 more"))
    )
    matching = Matching(parts=("method", "path"), custom=(lambda live, stored: live.body[:1] == stored.body[:1],))
    deck = deck_of(answers, matching=matching)
    assert [played(deck, at("/", body)) for body in (b"2", b"2", b"1")] == [b"2 two", b"2 more", b"1 one"]
    with pytest.raises(RequestNotRecorded):
        deck.exchange(at("/", b"1"))
    repeating = deck_of(answers, matching=matching, repeats=True)
    assert [played(repeating, at("/", b"2")) for _ in range(3)] == [b"2 two", b"2 more", b"2 more"]


def test_threads_share_a_deck_and_nothing_is_played_twice_or_lost() -> None:
    count, workers = 400, 8
    deck = deck_of(tape(*(("/", str(n).encode()) for n in range(count))))
    bodies: list[bytes] = []
    start = threading.Barrier(workers)

    def ask() -> None:
        start.wait(10)
        for _ in range(count // workers):
            bodies.append(played(deck, GET))

    threads = [threading.Thread(target=ask) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(bodies, key=int) == [str(n).encode() for n in range(count)]
    assert deck.unplayed == ()


def test_threads_record_into_places_of_their_own() -> None:
    deck, workers = deck_of(mode=Mode.FILL), 8
    start = threading.Barrier(workers)

    def ask(worker: int) -> None:
        start.wait(10)
        for n in range(50):
            sent(deck, at(f"/{worker}/{n}"), b"")

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    urls = [each.request.url for each in deck.fresh]
    assert len(set(urls)) == 400
    for worker in range(workers):
        own = [url for url in urls if url.startswith(f"http://a.test/{worker}/")]
        assert own == [f"http://a.test/{worker}/{n}" for n in range(50)]


def test_what_went_past_the_deck_is_counted() -> None:
    deck = deck_of()
    deck.went_live("example.org:443")
    assert deck.live == deck.close().live == 1


class _Lazy(list[Interaction]):
    """A sequence that tells its requests by themselves, and whose answers were asked for."""

    def __init__(self, interactions: list[Interaction]) -> None:
        super().__init__(interactions)
        self.made: list[int] = []

    def request(self, place: int) -> Request:
        return list.__getitem__(self, place).request

    def response(self, place: int) -> Response | Failure:
        self.made.append(place)
        return list.__getitem__(self, place).response

    def __getitem__(self, place: Any) -> Any:
        raise AssertionError("an interaction was made whole")


def test_only_the_answer_that_is_played_is_made() -> None:
    tape = _Lazy([Interaction(Request("GET", f"http://a/{number}"), Response(200)) for number in range(50)])
    deck = Deck(Cassette(tape), Matching(), Redaction(), Mode.REPLAY)
    assert deck.exchange(Request("GET", "http://a/7")) == Response(200)
    assert tape.made == [7]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The garbage collector does not look for what holds itself."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_a_deck_that_nobody_holds_is_gone_at_once_with_its_tape() -> None:
    cassette = tape(("/a", b"one"))
    deck = deck_of(cassette)
    assert played(deck, at("/a")) == b"one"
    with pytest.raises(RequestNotRecorded):
        deck.exchange(at("/b"))
    deck.close()
    left = weakref.ref(deck), weakref.ref(deck.redaction)
    del deck
    assert [each() for each in left] == [None, None]
