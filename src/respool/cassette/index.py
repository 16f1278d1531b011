"""Which interaction of a tape a request is answered with: the one whose turn it is among those with the same key.

Made at the first look-up, in one walk over the recorded requests. Reading bodies is what costs, so a request with a body
that counts gets its key when a request comes that differs from it in the body at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from threading import Lock

from respool.cassette.matching import Matching
from respool.cassette.model import Request


class Index:
    """The places of a tape's interactions by the keys of their requests, `size` of them.

    `stored` gives the recorded request at a place, in the form that is matched. `played` holds the places that were
    given out, in their order. With `repeats` the last place under a key is given again and again. Threads may share an
    index: turns are drawn from iterators of lists; the one lock guards what is done once per key, and custom matchers.

    >>> index = Index(Matching(), 1, lambda place: Request("GET", "http://a/"))
    >>> index.turn(Request("GET", "http://a/")), index.turn(Request("GET", "http://a/"))
    (0, None)
    """

    __slots__ = ("_lock", "_matching", "_places", "_repeats", "_size", "_stored", "_turns", "_unread", "played")

    def __init__(
        self, matching: Matching, size: int, stored: Callable[[int], Request], *, repeats: bool = False
    ) -> None:
        self.played: deque[int] = deque()
        self._matching = matching
        self._size = size
        self._stored = stored
        self._repeats = repeats
        self._places: dict[Hashable, list[int]] = {}  # by key
        # What is left of these lists, by key; and by method and URL as they were recorded, where these lead to one key.
        # Nearly every request comes in the spelling of its record, and then needs no key: one look-up in place of three,
        # and on a large tape half the memory that is touched.
        self._turns: dict[Hashable, Iterator[int]] = {}
        self._unread: dict[Hashable, list[int]] | None = None  # outline → places whose bodies were not looked at yet
        self._lock = Lock()

    def turn(self, request: Request) -> int | None:
        """The place of what answers `request` (in the form that is matched) this time, None if nothing is left."""
        method, url, _, body = request
        turns = None if body else self._turns.get((method, url))
        if turns is None:
            if self._matching.custom:
                return self._chosen(request)
            turns = self._sought(request)
            if turns is None:
                return None
        place = next(turns, None)
        if place is None:
            if not self._repeats:
                return None
            place = self._places[self._matching.key(request)][-1]
        self.played.append(place)
        return place

    def _sought(self, request: Request) -> Iterator[int] | None:
        """The turns of a request that was not recorded in just these letters, or not at all."""
        key = self._matching.key(request)
        turns = self._turns.get(key)
        if turns is not None or not self._size:
            return turns
        with self._lock:
            if self._unread is None:
                self._unread = self._walked()
            if self._unread and (places := self._unread.pop(self._matching.outline(request)[0], None)):
                found: dict[Hashable, list[int]] = {}
                for place in places:
                    found.setdefault(self._matching.key(self._stored(place)), []).append(place)
                self._places.update(found)
                self._turns.update({each: iter(found[each]) for each in found})  # whole: who finds one asks for no lock
            return self._turns.get(key)

    def _walked(self) -> dict[Hashable, list[int]]:
        found: dict[Hashable, list[int]] = {}
        turns: dict[Hashable, Iterator[int]] = {}
        unread: dict[Hashable, list[int]] = {}
        matching = self._matching
        spelled = not (matching.headers or matching.normalise or matching.custom)
        for place in range(self._size):
            request = self._stored(place)
            outline, whole = matching.outline(request)
            if not whole:
                unread.setdefault(outline, []).append(place)
                continue
            if (places := found.get(outline)) is None:
                places = found[outline] = []
                turns[outline] = iter(places)
            places.append(place)
            if spelled:
                turns[request.method, request.url] = turns[outline]
        self._places, self._turns = found, turns
        return unread

    def _chosen(self, request: Request) -> int | None:
        """Custom matchers decide one by one, so this is the one look-up that is not constant in time."""
        if self._sought(request) is None:
            return None
        with self._lock:
            agreeing = None
            for place in self._places[self._matching.key(request)]:
                fresh = place not in self.played
                if (fresh or self._repeats) and self._matching.agrees(request, self._stored(place)):
                    agreeing = place
                    if fresh:
                        break
            if agreeing is not None:
                self.played.append(agreeing)
            return agreeing
