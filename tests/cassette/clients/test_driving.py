"""The two drivers and the tee, with a client that is made of answers."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from contract import deck_open

from respool import clock
from respool.cassette.clients import driving
from respool.cassette.clients.driving import SMALL_REST, Tee, drive, drive_async, wire
from respool.cassette.deck import Deck, Observed, Slot
from respool.cassette.model import Cassette, Chunk, Failure, Interaction, Mode, Request, Response

GET = Request("GET", "http://a.test/")
STARTED = (1_000, 0.0)


class Talk:
    """A call of a blocking client whose answers are Responses; it writes down what is done with them."""

    def __init__(self, *answers: Response | Exception, request: Request = GET) -> None:
        self.answers = list(answers)
        self.asked = request
        self.log: list[Any] = []

    def request(self) -> Request:
        return self.asked

    def send(self) -> Response:
        answer = self.answers.pop(0)
        self.log.append("sent")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def head(self, answer: Response) -> Response:
        return answer._replace(body=b"")

    def teed(self, answer: Response, tee: Tee) -> Response:
        tee.feed(answer.body)
        tee.end()
        return answer

    def dropped(self, answer: Response) -> None:
        self.log.append(("dropped", answer.status))

    def replayed(self, response: Response | Failure) -> Response:
        if isinstance(response, Failure):
            raise ConnectionError(response.message)
        return response

    def failure(self, error: Exception) -> Failure | None:
        return Failure("closed", str(error)) if isinstance(error, OSError) else None


class AsyncTalk(Talk):
    """The same for an asynchronous client."""

    async def send(self) -> Response:  # type: ignore[override]
        return super().send()

    async def dropped(self, answer: Response) -> None:  # type: ignore[override]
        super().dropped(answer)


def run(deck: Deck, *answers: Response | Exception, asynchronous: bool) -> tuple[Response, list[Any]]:
    if asynchronous:
        talk = AsyncTalk(*answers)
        return asyncio.run(drive_async(deck, talk)), talk.log
    call = Talk(*answers)
    return drive(deck, call), call.log


BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asynchronous"])


@BOTH
def test_played_or_sent(asynchronous: bool) -> None:
    with deck_open(Cassette((Interaction(GET, Response(200, body=b"old")),)), Mode.FILL) as deck:
        assert run(deck, asynchronous=asynchronous)[0].body == b"old"
        assert run(deck, Response(201, body=b"new"), asynchronous=asynchronous)[0].body == b"new"
    (interaction,) = deck.fresh
    assert interaction.response == Response(201, body=b"new")
    assert abs(interaction.at - clock.SYSTEM.now()) < 60_000_000
    assert 0 <= interaction.seconds < 60


@BOTH
def test_a_throttled_answer_is_closed_and_asked_for_again(asynchronous: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = clock.FakeClock()
    monkeypatch.setattr(clock, "SYSTEM", ticking)
    waits = iter([None, 30.0, None, None])

    def throttle(request: Request, observed: Observed | None) -> float | None:
        return next(waits) if observed is None or observed.status == 429 else None

    with deck_open(mode=Mode.FILL, throttle=throttle) as deck:
        begun = ticking.monotonic()
        answer, log = run(deck, Response(429), Response(200), asynchronous=asynchronous)
    assert (answer.status, log) == (200, ["sent", ("dropped", 429), "sent"])
    assert ticking.monotonic() - begun == 30.0
    assert [each.response for each in deck.fresh] == [Response(200)], "what was throttled is not on the tape"


@BOTH
@pytest.mark.parametrize("keep_failures", [False, True])
@pytest.mark.parametrize("error", [ConnectionError("gone"), ValueError("no failure of the network")])
def test_an_exception_passes_through(asynchronous: bool, keep_failures: bool, error: Exception) -> None:
    with deck_open(mode=Mode.FILL, keep_failures=keep_failures) as deck:
        with pytest.raises(type(error)) as caught:
            run(deck, error, asynchronous=asynchronous)
        assert caught.value is error
    kept = keep_failures and isinstance(error, ConnectionError)
    assert [each.response for each in deck.fresh] == ([Failure("closed", "gone")] if kept else [])
    assert deck.close().cut == (0 if kept else 1)


@BOTH
def test_a_throttle_hears_of_a_failure_at_once(asynchronous: bool) -> None:
    """Not when the exception, and with it what was decided, is collected: the slot of a limit hangs on it."""
    told: list[int | None] = []

    def throttle(request: Request, observed: Observed | None) -> float | None:
        told.append(observed and observed.status)
        return None

    with deck_open(mode=Mode.FILL, throttle=throttle) as deck:
        with pytest.raises(ConnectionError) as caught:
            run(deck, ConnectionError("gone"), asynchronous=asynchronous)
        assert caught.value.__traceback__ is not None
        assert told == [None, 0]


@BOTH
def test_a_recorded_failure_is_raised(asynchronous: bool) -> None:
    tape = Cassette((Interaction(GET, Failure("closed", "gone")),))
    with deck_open(tape, Mode.REPLAY) as deck, pytest.raises(ConnectionError, match="gone"):
        run(deck, asynchronous=asynchronous)
    assert deck.unplayed == ()


@BOTH
def test_bypass_hands_out_the_answer_itself(asynchronous: bool) -> None:
    answer = Response(200, body=b"real")
    with deck_open(mode=Mode.BYPASS) as deck:
        assert run(deck, answer, asynchronous=asynchronous)[0] is answer


@BOTH
def test_an_upgraded_connection_is_not_recorded(asynchronous: bool) -> None:
    answer = Response(101)
    with deck_open(mode=Mode.FILL) as deck:
        assert run(deck, answer, asynchronous=asynchronous)[0] is answer
    assert (deck.fresh, deck.close().cut) == ((), 1)


class Body:
    """A deck that records, and a tee on one answer of it."""

    def __init__(self, head: Response, method: str = "GET", **given: Any) -> None:
        with deck_open(mode=Mode.FILL, **given) as self.deck:
            step = next(self.deck.exchange(GET._replace(method=method)))  # type: ignore[arg-type]
        assert isinstance(step.slot, Slot)  # type: ignore[union-attr]
        self.tee = Tee(self.deck, step.slot, head, STARTED)  # type: ignore[union-attr]

    @property
    def kept(self) -> list[bytes]:
        return [each.response.body for each in self.deck.fresh if isinstance(each.response, Response)]


def headers(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace("_", "-"), value) for name, value in given.items())


@pytest.mark.parametrize(
    ("head", "method", "missing"),
    [
        (Response(200, headers=headers(Content_Length="5")), "GET", 5),
        (Response(200, headers=headers(Content_Length="5", Transfer_Encoding="chunked")), "GET", None),
        (Response(200), "GET", None),
        (Response(200, headers=headers(Content_Length="-5")), "GET", None),
        (Response(200, headers=headers(Content_Length="5")), "HEAD", 0),
        (Response(204), "GET", 0),
        (Response(304, headers=headers(Content_Length="5")), "GET", 0),
        (Response(200, headers=headers(Content_Length="0")), "GET", 0),
    ],
)
def test_how_much_is_to_come(head: Response, method: str, missing: int | None) -> None:
    body = Body(head, method)
    assert body.tee.missing == missing
    assert body.kept == ([b""] if missing == 0 else []), "what has no body is complete at once"


def test_a_body_of_known_length_ends_with_its_last_byte() -> None:
    body = Body(Response(200, headers=headers(Content_Length="5")))
    body.tee.feed(b"ab")
    assert body.tee.rest_is_small
    body.tee.feed(b"")
    assert body.kept == []
    body.tee.feed(b"cde")
    assert body.kept == [b"abcde"]
    body.tee.cut()
    body.tee.fail(Failure("closed"))
    body.tee.feed(b"more")
    body.tee.end()
    assert (body.kept, body.deck.close().cut) == ([b"abcde"], 0)


def test_a_large_rest_is_not_small() -> None:
    assert not Body(Response(200, headers=headers(Content_Length=str(SMALL_REST + 1)))).tee.rest_is_small
    assert not Body(Response(200)).tee.rest_is_small


def test_a_cut_body_is_not_kept() -> None:
    body = Body(Response(200))
    body.tee.feed(b"half")
    body.tee.cut()
    body.tee.end()
    assert (body.kept, body.deck.close().cut) == ([], 1)


def test_events_are_kept_as_far_as_the_application_read_them() -> None:
    events = Response(200, headers=headers(Content_Type="text/event-stream"))
    for head, pieces, kept in ((events, [b"one", b"two"], [b"onetwo"]), (events, [], []), (Response(200), [b"one"], [])):
        body = Body(head)
        for piece in pieces:
            body.tee.feed(piece)
        body.tee.close()
        assert (body.kept, body.deck.close().cut) == (kept, 0 if kept else 1)


def test_what_is_too_long_for_a_tape_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are not held while the application reads on."""
    monkeypatch.setattr(driving, "LIMIT", 10)
    body = Body(Response(200))
    for _ in range(4):
        body.tee.feed(b"four")
    body.tee.end()
    assert (body.kept, body.deck.close().cut) == ([], 1)
    body = Body(Response(200))
    body.tee.feed(b"ten bytes.")
    body.tee.end()
    assert body.kept == [b"ten bytes."]


def test_a_broken_body_is_a_failure_if_these_are_kept() -> None:
    body = Body(Response(200), keep_failures=True)
    body.tee.fail(Failure("closed", "gone"))
    assert [each.response for each in body.deck.fresh] == [Failure("closed", "gone")]
    body = Body(Response(200), keep_failures=True)
    body.tee.fail(None)
    assert (body.deck.fresh, body.deck.close().cut) == ((), 1)


def test_a_forgotten_tee_gives_its_place_up() -> None:
    body = Body(Response(200))
    del body.tee
    gc.collect()
    assert (body.deck.close().cut, body.deck.close().unfinished) == (1, 0)


def test_chunks_are_kept_of_streams_only() -> None:
    body = Body(Response(200, headers=headers(Content_Type="Text/Event-Stream; charset=utf-8")))
    for piece in (b"one", b"", b"three"):
        body.tee.feed(piece)
    body.tee.end()
    (interaction,) = body.deck.fresh
    assert isinstance(interaction.response, Response)
    assert [chunk.size for chunk in interaction.response.chunks] == [3, 5]
    body = Body(Response(200, headers=headers(Content_Type="text/plain")))
    body.tee.feed(b"one")
    body.tee.feed(b"two")
    body.tee.end()
    (interaction,) = body.deck.fresh
    assert interaction.response == Response(200, headers=headers(Content_Type="text/plain"), body=b"onetwo")


def test_the_wire_form_of_a_tape() -> None:
    assert wire(Response(200)) == ((), [])
    assert wire(Response(200, body=b"ab")) == ((), [b"ab"])
    assert wire(Response(200, body=b"abc", chunks=(Chunk(1, 0.0), Chunk(2, 0.0)))) == ((), [b"a", b"bc"])
    coded = Response(200, headers=headers(Content_Encoding="gzip", Content_Length="3"), body=b"abc", codings=("gzip",))
    ((_, _), (_, length)), (piece,) = wire(coded)
    assert len(piece) == int(length) != 3
