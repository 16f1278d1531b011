"""One cassette being played in one mode: what answers a request, what is kept, what was missed.

Nothing here does I/O or reads a clock. A client's adapter runs `exchange` through one of the two drivers in
clients/driving.py and hands back what it saw through `keep` or `release`. Threads and tasks may share a deck: places
and turns are drawn from counters, answers land in a dictionary, finalisers only append to a deque. The one lock guards
the making of the index, which happens once per bucket; it spans no yield.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable
from itertools import count
from threading import Lock
from typing import NamedTuple, Protocol, TypeAlias

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
Throttle: TypeAlias = Callable[[Request, Observed | None], float | None]
"""(request, what came back or None before a try) → seconds to wait before (again) sending it, None: go on.

After each wait it is asked again, since others may have been faster. It is also told of a request to which nothing came
back, perhaps by a finaliser: then its answer counts for nothing, and it takes no lock.
"""


class Redactor(Protocol):
    """What a deck asks of its Redaction (or of another dialect's filters)."""

    def request(self, request: Request, /) -> Request | None:
        """The form in which a request is matched; None for one that this cassette is not meant for: it goes live."""


class _Track:
    """The interactions under one key, and how often the key was asked for."""

    __slots__ = ("asked", "places")

    def __init__(self) -> None:
        self.places: list[int] = []
        self.asked = count()


class Deck:
    """A cassette in play. Public figures: `played`, `recorded`, `live`, `misses`, `unplayed`.

    `name` (the cassette's path) and `command` (what would record it) are only shown. With `repeats` the last
    interaction under a key answers every further request. `throttle` decides on waits around live requests.

    >>> from respool.cassette.model import Response
    >>> from respool.cassette.redaction import Redaction
    >>> tape = Cassette((Interaction(Request("GET", "http://a/"), Response(200, body=b"hi")),))
    >>> steps = Deck(tape, Matching(), Redaction(), Mode.REPLAY).exchange(Request("GET", "http://a/"))
    >>> try: next(steps)
    ... except StopIteration as end: print(end.value.response.body)
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
        self._answers = mode in (Mode.REPLAY, Mode.FILL)
        self._buckets: dict[Hashable, list[int]] | None = None
        self._tracks: dict[Hashable, _Track] = {}
        self._indexing = Lock()
        self._played: deque[int] = deque()
        self._places = count()
        self._reserved: deque[Slot] = deque()
        self._kept: dict[int, Interaction] = {}
        self._released: deque[Slot] = deque()
        self._live: deque[str] = deque()

    @property
    def played(self) -> int:
        """How many requests were answered from the tape."""
        return len(self._played)

    @property
    def plays(self) -> tuple[int, ...]:
        """The index of the interaction that answered, for each request answered from the tape."""
        return tuple(self._played)

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
        played = set(self._played)
        return tuple(place for place in range(len(self.cassette.interactions)) if place not in played)

    def exchange(self, request: Request) -> Generator[Step, Observed | None, Interaction | None]:
        """Decide on one request: returns the interaction that answers it, or None after it went to the network.

        Yields Wait and Forward; what is sent in after a Forward is the Observed head of the real answer (the driver
        throws the client's own exception away from here: see `release`). Raises RequestNotRecorded.
        """
        if self.closed:
            raise self._refused(request, f"the cassette was closed when {self.test or 'its block'} ended")
        slot = None
        if self.mode is not Mode.BYPASS and (redacted := self.redaction.request(request)) is not None:
            if self._answers:
                found = self._find(redacted)
                if found is not None:
                    return found
                if self.mode is Mode.REPLAY:
                    raise self.missed(redacted)
            slot = Slot(next(self._places), request)
            self._reserved.append(slot)
        yield from self._sent(request, slot)
        return None

    def _sent(self, request: Request, slot: Slot | None) -> Generator[Step, Observed | None, None]:
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

    def _find(self, request: Request) -> Interaction | None:
        if not self.cassette.interactions:
            return None
        key = self.matching.key(request)
        track = self._tracks.get(key)
        if track is None:
            with self._indexing:
                track = self._indexed(request, key)
            if track is None:
                return None
        if self.matching.custom:
            with self._indexing:
                place = self._chosen(track, request)
        else:
            turn = next(track.asked)
            places = track.places
            place = places[turn] if turn < len(places) else places[-1] if self.repeats else None
            if place is not None:
                self._played.append(place)
        return None if place is None else self.cassette.interactions[place]

    def _chosen(self, track: _Track, request: Request) -> int | None:
        """Custom matchers decide one by one, so this is the one look-up that is not constant in time."""
        agreeing = None
        for place in track.places:
            fresh = place not in self._played
            if (fresh or self.repeats) and self.matching.agrees(request, self._stored(place)):
                agreeing = place
                if fresh:
                    break
        if agreeing is not None:
            self._played.append(agreeing)
        return agreeing

    def _indexed(self, request: Request, key: Hashable) -> _Track | None:
        """Bring the bucket of `request` under full keys: a large cassette pays only for what is asked of it."""
        matching, buckets = self.matching, self._buckets
        if buckets is None:
            places = range(len(self.cassette.interactions))
            buckets = {}
            if len(places) == 1:  # the most frequent tape by far
                self._track(places)
            else:
                for place in places:
                    buckets.setdefault(matching.bucket(self._stored(place)), []).append(place)
            self._buckets = buckets
        if buckets and (found := buckets.pop(matching.bucket(request), None)):
            self._track(found)
        return self._tracks.get(key)

    def _track(self, places: Iterable[int]) -> None:
        tracks: dict[Hashable, _Track] = {}
        for place in places:
            tracks.setdefault(self.matching.key(self._stored(place)), _Track()).places.append(place)
        self._tracks.update(tracks)

    def _stored(self, place: int) -> Request:
        """A recorded request in the form that is matched: rules that are newer than the tape hold for it too."""
        return self._form(self.cassette.request(place))

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
