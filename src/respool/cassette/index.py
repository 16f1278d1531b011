"""Which interaction of a tape a request is answered with: the one whose turn it is among those with the same key.

Made at the first look-up, in one walk over the recorded requests. Reading bodies is what costs, so a request with a body
that counts gets its key when a request comes that differs from it in the body at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from itertools import count
from threading import Lock

from respool.cassette.matching import Matching
from respool.cassette.model import Request


class _Track:
    """The places under one key, and how often the key was asked for."""

    __slots__ = ("asked", "places")

    def __init__(self) -> None:
        self.places: list[int] = []
        self.asked = count()


class Index:
    """The places of a tape's interactions by the keys of their requests, `size` of them.

    `stored` gives the recorded request at a place, in the form that is matched. `played` holds the places that were
    given out, in their order. With `repeats` the last place under a key is given again and again. Threads may share an
    index: turns are drawn from counters; the one lock guards what is done once per key, and custom matchers.

    >>> index = Index(Matching(), 1, lambda place: Request("GET", "http://a/"))
    >>> index.turn(Request("GET", "http://a/")), index.turn(Request("GET", "http://a/"))
    (0, None)
    """

    __slots__ = ("_lock", "_matching", "_repeats", "_size", "_stored", "_tracks", "_unread", "played")

    def __init__(
        self, matching: Matching, size: int, stored: Callable[[int], Request], *, repeats: bool = False
    ) -> None:
        self.played: deque[int] = deque()
        self._matching = matching
        self._size = size
        self._stored = stored
        self._repeats = repeats
        self._tracks: dict[Hashable, _Track] = {}
        self._unread: dict[Hashable, list[int]] | None = None  # outline → places whose bodies were not looked at yet
        self._lock = Lock()

    def turn(self, request: Request) -> int | None:
        """The place of what answers `request` (in the form that is matched) this time, None if nothing is left."""
        key = self._matching.key(request)
        track = self._tracks.get(key) or self._sought(request, key)
        if track is None:
            return None
        if self._matching.custom:
            with self._lock:
                return self._chosen(track, request)
        turn, places = next(track.asked), track.places
        if turn < len(places):
            place = places[turn]
        elif self._repeats:
            place = places[-1]
        else:
            return None
        self.played.append(place)
        return place

    def _sought(self, request: Request, key: Hashable) -> _Track | None:
        """The track of a key that is asked for for the first time, or is not on the tape."""
        if not self._size:
            return None
        with self._lock:
            if self._unread is None:
                self._unread = self._walked()
            if self._unread and (places := self._unread.pop(self._matching.outline(request)[0], None)):
                tracks: dict[Hashable, _Track] = {}
                for place in places:
                    tracks.setdefault(self._matching.key(self._stored(place)), _Track()).places.append(place)
                self._tracks.update(tracks)  # each of them whole: who finds one asks for no lock
            return self._tracks.get(key)

    def _walked(self) -> dict[Hashable, list[int]]:
        tracks: dict[Hashable, _Track] = {}
        unread: dict[Hashable, list[int]] = {}
        for place in range(self._size):
            outline, whole = self._matching.outline(self._stored(place))
            if not whole:
                unread.setdefault(outline, []).append(place)
            elif (track := tracks.get(outline)) is None:
                track = tracks[outline] = _Track()
                track.places.append(place)
            else:
                track.places.append(place)
        self._tracks = tracks
        return unread

    def _chosen(self, track: _Track, request: Request) -> int | None:
        """Custom matchers decide one by one, so this is the one look-up that is not constant in time."""
        agreeing = None
        for place in track.places:
            fresh = place not in self.played
            if (fresh or self._repeats) and self._matching.agrees(request, self._stored(place)):
                agreeing = place
                if fresh:
                    break
        if agreeing is not None:
            self.played.append(agreeing)
        return agreeing
