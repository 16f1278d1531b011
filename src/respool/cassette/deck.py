"""One cassette being played in one mode: what answers a request, what is kept, what was missed.

Nothing here does I/O or reads a clock. A client's adapter takes what `exchange` decides through one of the two drivers
in clients/driving.py and hands back what it saw through `keep` or `release`. Threads and tasks may share a deck: places
are drawn from a counter, answers land in a dictionary, finalisers only append to a deque.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from itertools import count
from typing import NamedTuple, Protocol, TypeAlias

from respool.cassette.index import Index
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Headers, Interaction, Mode, Request, Response
from respool.errors import RequestNotRecorded

__tracebackhide__ = True  # a miss is shown where the application made the request


class Wait(NamedTuple):
    """The driver is to sleep `seconds`, and then to go on."""

    seconds: float


class Slot:
    """A place on the tape, reserved before its request leaves, so that concurrent recordings have a stable order."""

    __slots__ = ("place", "request")

    def __init__(self, place: int, request: Request) -> None:
        self.place = place
        self.request = request


class Forward(NamedTuple):
    """The request is to be sent for real; `slot` is None where nothing will be kept."""

    slot: Slot | None


class Observed(NamedTuple):
    """The head of a real answer, sent into `exchange` after a Forward. Status 0: nothing came back."""

    status: int
    headers: Headers = ()


class Miss(NamedTuple):
    """A request that nothing on the tape answered: its redacted form, and the message that was raised."""

    request: Request
    message: str


class Closed(NamedTuple):
    """What a deck leaves behind.

    `fresh` are the recorded interactions in the order their requests left, not yet redacted. `unplayed` are indices of
    the cassette that was given. `cut` counts requests that failed and answers that were not read to their end,
    `unfinished` those still being read at the close: neither is among `fresh`.
    """

    fresh: tuple[Interaction, ...] = ()
    played: int = 0
    misses: tuple[Miss, ...] = ()
    unplayed: tuple[int, ...] = ()
    live: int = 0
    cut: int = 0
    unfinished: int = 0


Step: TypeAlias = Wait | Forward
Steps: TypeAlias = Generator[Step, Observed | None, None]
"""What is to be done for a request that goes to the network; what is sent in after a Forward is what came back."""
Throttle: TypeAlias = Callable[[Request, Observed | None], float | None]
"""(request, what came back or None before a try) → seconds to wait before (again) sending it, None: go on.

After each wait it is asked again, since others may have been faster. It is also told of a request to which nothing came
back, perhaps by a finaliser: then its answer counts for nothing, and it takes no lock.
"""


class Redactor(Protocol):
    """What a deck asks of its Redaction (or of another dialect's filters)."""

    def request(self, request: Request, /) -> Request | None:
        """The form in which a request is matched; None for one that this cassette is not meant for: it goes live."""


class Deck:
    """A cassette in play. Public figures: `played`, `recorded`, `live`, `misses`, `unplayed`.

    `name` (the cassette's path) and `command` (what would record it) are only shown. With `repeats` the last
    interaction under a key answers every further request. `throttle` decides on waits around live requests.

    >>> from respool.cassette.model import Response
    >>> from respool.cassette.redaction import Redaction
    >>> tape = Cassette((Interaction(Request("GET", "http://a/"), Response(200, body=b"hi")),))
    >>> Deck(tape, Matching(), Redaction(), Mode.REPLAY).exchange(Request("GET", "http://a/")).body
    b'hi'
    """

    rereadable = False
    """Whether an answer can be read after it was closed, as vcrpy's can and a real one cannot."""

    def __init__(
        self, cassette: Cassette, matching: Matching, redaction: Redactor, mode: Mode, *, name: str = "", test: str = "",
        command: str = "", repeats: bool = False, keep_failures: bool = False, throttle: Throttle | None = None,
    ) -> None:  # fmt: skip
        self.cassette = cassette
        self.matching = matching
        self.redaction = redaction
        self.mode = mode
        self.name = name
        self.test = test
        self.command = command
        self.repeats = repeats
        self.keep_failures = keep_failures
        self.throttle = throttle
        self.closed = False
        self.misses: list[Miss] = []
        self._minds = mode is not Mode.BYPASS
        self._answers = mode in (Mode.REPLAY, Mode.FILL)
        # Not a method of this deck: they would hold each other, and every test leave its tape to the garbage collector.
        stored = partial(_stored, cassette, redaction)
        self._index = Index(matching, len(cassette.interactions), stored, repeats=repeats)
        self._places = count()
        self._reserved: deque[Slot] = deque()
        self._kept: dict[int, Interaction] = {}
        self._released: deque[Slot] = deque()
        self._live: deque[str] = deque()

    @property
    def played(self) -> int:
        """How many requests were answered from the tape."""
        return len(self._index.played)

    @property
    def plays(self) -> tuple[int, ...]:
        """The index of the interaction that answered, for each request answered from the tape."""
        return tuple(self._index.played)

    @property
    def recorded(self) -> int:
        """How many interactions were recorded so far."""
        return len(self._kept)

    @property
    def live(self) -> int:
        """How many requests went to the network while this deck was open."""
        return len(self._live)

    @property
    def unplayed(self) -> tuple[int, ...]:
        """The indices of interactions on the tape that answered nothing."""
        played = set(self._index.played)
        return tuple([place for place in range(len(self.cassette.interactions)) if place not in played])

    def exchange(self, request: Request) -> Response | Failure | Steps:
        """Decide on one request: what answers it from the tape, or the steps that take it to the network.

        The driver throws the client's own exception away from the steps (see `release`). Raises RequestNotRecorded.
        """
        if self.closed:
            raise self._refused(request, f"the cassette was closed when {self.test or 'its block'} ended")
        slot = None
        if self._minds and (redacted := self.redaction.request(request)) is not None:
            if self._answers:
                place = self._index.turn(redacted)
                if place is not None:
                    return self.cassette.response(place)
                if self.mode is Mode.REPLAY:
                    raise self.missed(redacted)
                if (recorded := self.played_again(redacted)) is not None:
                    return recorded
            slot = Slot(next(self._places), request)
            self._reserved.append(slot)
        return self._sent(request, slot)

    def _sent(self, request: Request, slot: Slot | None) -> Steps:
        if self.throttle is None:
            self._live.append(request.url)
            yield Forward(slot)
            return
        observed: Observed | None = None
        while True:
            seconds = self.throttle(request, observed)
            if seconds is None and observed is not None:
                return
            while seconds is not None:
                yield Wait(seconds)
                seconds = self.throttle(request, None)
            self._live.append(request.url)
            try:
                observed = yield Forward(slot)
            except GeneratorExit:
                self.throttle(request, Observed(0))
                raise

    def keep(self, slot: Slot, response: Response | Failure, at: int, seconds: float) -> None:
        """Put what came back in its place. `at`: UTC microseconds of the departure, `seconds` until the headers."""
        self._kept[slot.place] = Interaction(slot.request, response, at, seconds)

    def release(self, slot: Slot) -> None:
        """Give a place up: the request failed, or its answer was not read to the end. Safe in a finaliser."""
        self._released.append(slot)

    def went_live(self, what: str) -> None:
        """Count a connection that nobody sent through this deck (`what` is shown); called by the network guard."""
        self._live.append(what)

    @property
    def fresh(self) -> tuple[Interaction, ...]:
        """What was recorded so far, in the order its requests left."""
        return tuple(self._kept[place] for place in sorted(self._kept))

    def close(self) -> Closed:
        """End the play. What is still on its way is not waited for; further requests are refused.

        Idempotent: a second call returns the same figures.
        """
        self.closed = True
        fresh = self.fresh if self._kept else ()
        cut = len({slot.place for slot in tuple(self._released)} - set(self._kept))
        return Closed(
            fresh, self.played, tuple(self.misses), self.unplayed if self._answers else (), self.live, cut,
            len(self._reserved) - len(fresh) - cut,
        )  # fmt: skip

    def played_again(self, request: Request) -> Response | Failure | None:
        """What was recorded since this deck was opened and answers a redacted request: nothing, but under vcrpy's rules."""
        return None

    def _form(self, request: Request) -> Request:
        return self.redaction.request(request) or request

    def missed(self, request: Request) -> RequestNotRecorded:
        """Remember a redacted request that nothing answers; returns the error that says so."""
        from respool.cassette import nearest  # only a miss pays for its import

        times = 1 + sum(1 for miss in self.misses if miss.request == request)
        error = nearest.explained(
            request, self.cassette.interactions, self.matching, self._form,
            name=self.name, times=times, command=self.command,
        )  # fmt: skip
        self.misses.append(Miss(request, str(error)))
        return error

    def _refused(self, request: Request, why: str) -> RequestNotRecorded:
        redacted = self._form(request)
        error = RequestNotRecorded(
            f"{redacted.method} {redacted.url} was sent after its cassette had been closed", where=self.name or None, why=why,
            command="end what runs in the background before the test ends, or give it a cassette of a wider scope",
        )  # fmt: skip
        self.misses.append(Miss(redacted, str(error)))
        return error


def _stored(cassette: Cassette, redaction: Redactor, place: int) -> Request:
    """A recorded request in the form that is matched: rules that are newer than the tape hold for it too."""
    recorded = cassette.request(place)
    return redaction.request(recorded) or recorded
