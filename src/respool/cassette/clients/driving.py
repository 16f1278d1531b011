"""The two drivers that every client shares, and the tee that reads along while the application reads an answer.

An adapter describes one call of its client as a SyncCall or AsyncCall; `drive` and `drive_async` take it through the
deck's `exchange`. Adapters hold no decision.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from respool import clock
from respool.cassette.codings import taken_off
from respool.cassette.deck import Deck, Forward, Observed, Slot, Step, Wait
from respool.cassette.model import Chunk, Failure, Headers, Interaction, Request, Response, header

Answer = TypeVar("Answer")

STREAMED = ("text/event-stream", "application/x-ndjson", "application/jsonl", "application/vnd.amazon.eventstream")
"""Content types whose chunks and their timing are kept: their readers see every piece by itself."""


class Tee:
    """Reads along: the head of a real answer and the wire bytes of its body, as the application reads them.

    The adapter calls `feed` for every piece (content-encoded, without transfer coding), then exactly one of `end`, `cut`
    (closed before its end: nothing is kept) and `fail`. A tee that is forgotten gives its place up.
    """

    __slots__ = ("_chunks", "_deck", "_done", "_head", "_last", "_pieces", "_seconds", "_slot", "_started", "_streamed")

    def __init__(self, deck: Deck, slot: Slot, head: Response, started: tuple[int, float]) -> None:
        self._deck = deck
        self._slot = slot
        self._head = head
        self._started, begun = started
        self._last = clock.SYSTEM.monotonic()
        self._seconds = self._last - begun
        self._pieces: list[bytes] = []
        self._chunks: list[Chunk] = []
        self._streamed = (header(head.headers, "content-type") or "").partition(";")[0].strip().lower() in STREAMED
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        if data:
            self._pieces.append(bytes(data))
            if self._streamed:
                now = clock.SYSTEM.monotonic()
                self._chunks.append(Chunk(len(data), round(now - self._last, 6)))
                self._last = now

    def end(self) -> None:
        """The body is complete: put the interaction in its place. A second call does nothing."""
        if not self._done:
            self._done = True
            body, codings = taken_off(self._head.headers, b"".join(self._pieces))
            # Pieces of a compressed stream say nothing about the pieces of what is inside.
            chunks = () if codings else tuple(self._chunks)
            answer = self._head._replace(body=body, codings=codings, chunks=chunks)
            self._deck.keep(self._slot, answer, self._started, self._seconds)

    def cut(self) -> None:
        """The body was not read to its end. A second call does nothing."""
        if not self._done:
            self._done = True
            self._deck.release(self._slot)

    def fail(self, failure: Failure) -> None:
        """The stream broke: kept as a failure only if the deck keeps failures."""
        if not self._done:
            self._done = True
            _broken(self._deck, self._slot, failure, (self._started, clock.SYSTEM.monotonic() - self._seconds))

    def __del__(self) -> None:
        # Run by the garbage collector, perhaps inside a lock of ours: only an append to a deque is allowed here.
        if not self._done:
            self._deck.release(self._slot)


class _Call(Protocol, Generic[Answer]):
    def request(self) -> Request:
        """The request in our form; the client's own body is left as it was (read and put back)."""

    def replayed(self, interaction: Interaction) -> Answer:
        """The client's own answer object for a Response; for a Failure, raise the client's own exception."""

    def head(self, answer: Answer) -> Response:
        """Status, reason, version and headers of a real answer; its body is not read."""

    def teed(self, answer: Answer, tee: Tee) -> Answer:
        """The same answer, feeding `tee` while the application reads it (or now, if its body is already here)."""

    def failure(self, error: Exception) -> Failure | None:
        """The client's own network error in our form; None for what is no failure of the network."""


class SyncCall(_Call[Answer], Protocol):
    """One call of a blocking client."""

    def send(self) -> Answer:
        """Make the real request."""

    def dropped(self, answer: Answer) -> None:
        """Close a real answer that will be asked for again (a throttled one)."""


class AsyncCall(_Call[Answer], Protocol):
    """One call of an asynchronous client."""

    async def send(self) -> Answer:
        """Make the real request."""

    async def dropped(self, answer: Answer) -> None:
        """Close a real answer that will be asked for again (a throttled one)."""


class _Trip(Generic[Answer]):
    """One request on its way through a deck: all that the two drivers share."""

    __slots__ = ("_begun", "_call", "_deck", "_played", "_slot", "_steps", "answer")

    def __init__(self, deck: Deck, call: _Call[Answer]) -> None:
        self._deck = deck
        self._call = call
        self._steps = deck.exchange(call.request())
        self._slot: Slot | None = None
        self._begun = (0, 0.0)
        self._played: Interaction | None = None
        self.answer: Answer | None = None

    def advance(self) -> Step | None:
        """The deck's next step, None when it has decided."""
        try:
            if self.answer is None:
                step = next(self._steps)
            else:
                head = self._call.head(self.answer)
                step = self._steps.send(Observed(head.status, head.headers))
        except StopIteration as end:
            self._played = end.value
            return None
        if isinstance(step, Forward):
            self._slot = step.slot
            self._begun = (clock.SYSTEM.now(), clock.SYSTEM.monotonic())
        return step

    def taken(self) -> Answer | None:
        """The real answer that will not be the last one, to be closed."""
        answer, self.answer = self.answer, None
        return answer

    def failed(self, error: BaseException) -> None:
        """The client raised instead of answering."""
        if self._slot is not None:
            failure = self._call.failure(error) if isinstance(error, Exception) else None
            _broken(self._deck, self._slot, failure, self._begun)

    def result(self) -> Answer:
        """What the application gets."""
        if self._played is not None:
            return self._call.replayed(self._played)
        assert self.answer is not None
        if self._slot is None:
            return self.answer
        return self._call.teed(self.answer, Tee(self._deck, self._slot, self._call.head(self.answer), self._begun))


def drive(deck: Deck, call: SyncCall[Answer]) -> Answer:
    """Take one call through its deck: play it, or send it and read along. Raises RequestNotRecorded."""
    trip = _Trip(deck, call)
    while (step := trip.advance()) is not None:
        if isinstance(step, Wait):
            if (throttled := trip.taken()) is not None:
                call.dropped(throttled)
            clock.SYSTEM.sleep(step.seconds)
        else:
            try:
                trip.answer = call.send()
            except BaseException as error:
                trip.failed(error)
                raise
    return trip.result()


async def drive_async(deck: Deck, call: AsyncCall[Answer]) -> Answer:
    """As `drive`, for an asynchronous client."""
    trip = _Trip(deck, call)
    while (step := trip.advance()) is not None:
        if isinstance(step, Wait):
            if (throttled := trip.taken()) is not None:
                await call.dropped(throttled)
            await clock.SYSTEM.asleep(step.seconds)
        else:
            try:
                trip.answer = await call.send()
            except BaseException as error:
                trip.failed(error)
                raise
    return trip.result()


def _broken(deck: Deck, slot: Slot, failure: Failure | None, begun: tuple[int, float]) -> None:
    if failure is not None and deck.keep_failures:
        deck.keep(slot, failure, begun[0], clock.SYSTEM.monotonic() - begun[1])
    else:
        deck.release(slot)
