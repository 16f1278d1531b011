"""The two drivers that every client shares, and the tee that reads along while the application reads an answer.

An adapter describes one call of its client as a SyncCall or AsyncCall; `drive` and `drive_async` take it through the
deck's `exchange`. Adapters hold no decision.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar, cast

from respool import clock
from respool.cassette.codings import LIMIT, pieces_put_on, pieces_taken_off, put_on, taken_off
from respool.cassette.deck import Deck, Forward, Observed, Slot, Step, Steps, Wait
from respool.cassette.model import Chunk, Failure, Headers, Request, Response, header

__tracebackhide__ = True  # a miss is shown where the application made the request

Answer = TypeVar("Answer")

STREAMED = ("text/event-stream", "application/x-ndjson", "application/jsonl", "application/vnd.amazon.eventstream")
"""Content types whose chunks and their timing are kept: their readers see every piece by itself."""


SMALL_REST = 65_536
"""Bytes. What an application leaves unread of an answer is read for the tape when the answer is closed, up to this."""


def wire(response: Response) -> tuple[Headers, list[bytes]]:
    """An answer from the tape as it came over the wire: its headers, and its body in the pieces that were recorded.

    >>> wire(Response(200, body=b"one two", chunks=(Chunk(4, 0.0), Chunk(3, 0.1))))
    ((), [b'one ', b'two'])
    """
    if response.chunks:
        headers, timed = pieces_put_on(response)
        return headers, [piece for piece, _ in timed]
    headers, body = put_on(response) if response.codings else (response.headers, response.body)
    return headers, [body] if body else []


class Tee:
    """Reads along: the head of a real answer and the wire bytes of its body, as the application reads them.

    The adapter calls `feed` for every piece (content-encoded, without transfer coding), then one of `end`, `close` (by the
    application, before its end), `cut` (nothing is kept) and `fail`; the first of them counts. A tee that is forgotten
    gives its place up, and so does that of a body beyond codings.LIMIT. A body of a known length ends by itself with its
    last byte, one that cannot be (HEAD, 204) at once. A head with codings says that its client has taken these off
    already: then the pieces are the decoded body's.
    """

    __slots__ = (
        "_deck", "_done", "_head", "_last", "_pieces", "_seconds", "_size", "_slot", "_started", "_streamed", "missing",
    )  # fmt: skip

    missing: int | None
    """How many bytes of the body are still to come, None if its length was not told."""

    def __init__(self, deck: Deck, slot: Slot, head: Response, started: tuple[int, float]) -> None:
        self._deck = deck
        self._slot = slot
        self._head = head
        self._started, begun = started
        self._last = clock.SYSTEM.monotonic()
        self._seconds = round(self._last - begun, 6)
        self._pieces: list[tuple[bytes, float]] = []
        self._size = 0
        self._streamed = (header(head.headers, "content-type") or "").partition(";")[0].strip().lower() in STREAMED
        self._done = False
        self.missing = _length(head, slot.request.method)
        if self.missing == 0:
            self.end()

    @property
    def rest_is_small(self) -> bool:
        """Whether the body, closed now, should be read to its end first."""
        return not self._done and self.missing is not None and self.missing <= SMALL_REST

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        if data and not self._done:
            after = 0.0
            if self._streamed:
                now = clock.SYSTEM.monotonic()
                after, self._last = round(now - self._last, 6), now
            self._pieces.append((bytes(data), after))
            self._size += len(data)
            if self._size > LIMIT:
                self._pieces.clear()
                self.cut()
            if self.missing is not None:
                self.missing -= len(data)
                if self.missing <= 0:
                    self.end()

    def end(self) -> None:
        """The body is complete: put the interaction in its place. A second call does nothing."""
        if not self._done:
            self._done = True
            headers = self._head.headers
            if self._head.codings:
                codings = self._head.codings
                body = b"".join(piece for piece, _ in self._pieces)
                chunks = tuple(Chunk(len(piece), after) for piece, after in self._pieces) if self._streamed else ()
            elif self._streamed:
                body, codings, chunks = pieces_taken_off(headers, self._pieces)
            else:
                body, codings = taken_off(headers, b"".join(piece for piece, _ in self._pieces))
                chunks = ()
            answer = self._head._replace(body=body, codings=codings, chunks=chunks)
            self._deck.keep(self._slot, answer, self._started, self._seconds)

    def close(self) -> None:
        """The application wants no more. Of a stream of events what it read is kept, of anything else nothing.

        (Who reads events stops at the last one, [DONE] or its like, and leaves the end of the body on the wire.)
        """
        if self._streamed and self._pieces:
            self.end()
        else:
            self.cut()

    def cut(self) -> None:
        """The body was not read to its end. A second call does nothing."""
        if not self._done:
            self._done = True
            self._deck.release(self._slot)

    def fail(self, failure: Failure | None) -> None:
        """The stream broke: kept as a failure only if it is one of the network (not None) and the deck keeps failures."""
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

    def replayed(self, response: Response | Failure) -> Answer:
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
    """One request on its way to the network: all that the two drivers share."""

    __slots__ = ("_begun", "_call", "_deck", "_slot", "_steps", "answer")

    def __init__(self, deck: Deck, call: _Call[Answer], steps: Steps) -> None:
        self._deck = deck
        self._call = call
        self._steps = steps
        self._slot: Slot | None = None
        self._begun = (0, 0.0)
        self.answer: Answer | None = None

    def advance(self) -> Step | None:
        """The deck's next step, None when it has decided."""
        try:
            if self.answer is None:
                step = next(self._steps)
            else:
                head = self._call.head(self.answer)
                step = self._steps.send(Observed(head.status, head.headers))
        except StopIteration:
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
        self._steps.close()  # now, not when it is collected: what waits around live requests is told of it

    def result(self) -> Answer:
        """What the application gets."""
        answer = cast(Answer, self.answer)
        if self._slot is None:
            return answer
        head = self._call.head(answer)
        if head.status == 101:  # from here on it is a connection, which no tape can play
            self._deck.release(self._slot)
            return answer
        return self._call.teed(answer, Tee(self._deck, self._slot, head, self._begun))


def drive(deck: Deck, call: SyncCall[Answer]) -> Answer:
    """Take one call through its deck: play it, or send it and read along. Raises RequestNotRecorded."""
    decided = deck.exchange(call.request())
    if isinstance(decided, (Response, Failure)):
        return call.replayed(decided)
    trip = _Trip(deck, call, decided)
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
    decided = deck.exchange(call.request())
    if isinstance(decided, (Response, Failure)):
        return call.replayed(decided)
    trip = _Trip(deck, call, decided)
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


def _length(head: Response, method: str) -> int | None:
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return 0
    if head.codings or header(head.headers, "transfer-encoding") is not None:
        return None
    told = header(head.headers, "content-length") or ""
    return int(told) if told.isascii() and told.isdigit() else None


def _broken(deck: Deck, slot: Slot, failure: Failure | None, begun: tuple[int, float]) -> None:
    if failure is not None and deck.keep_failures:
        deck.keep(slot, failure, begun[0], clock.SYSTEM.monotonic() - begun[1])
    else:
        deck.release(slot)
