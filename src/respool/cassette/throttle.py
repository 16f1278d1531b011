"""Waits around the real requests of a recording: limits and cool-downs of hosts, shared by every process that records.

An answer that says "not now" is waited out: `Retry-After` first, else longer each time; the application and the tape see
the last answer only. Where waiting is no use (a key that is refused, a wait longer than the longest), recording stops:
every further request is refused here, so that nothing more is spent on what cannot be kept.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from respool.cassette.deck import Observed, Throttle
from respool.cassette.model import Request, header
from respool.clock import Clock
from respool.errors import CassetteRefused
from respool.pace import Limit, Pace, Token
from respool.retry_after import retry_after_seconds

FIRST, LONGEST = 1.0, 60.0  # seconds of the waits that no answer asks for
REFUSED_KEY, NO_MONEY = (401,), (402,)


class Answer(NamedTuple):
    """A real answer that the test did not declare: `status` 0 means that nothing came back."""

    test: str
    method: str
    url: str
    status: int

    def __str__(self) -> str:
        told = f"was answered with {self.status}" if self.status else "failed"
        return f"{self.method} {self.url} {told}"


class Stop(NamedTuple):
    """Why nothing more is sent: "unauthorised", "quota" or "rate_limited", and what is told. `after` are seconds."""

    kind: str
    what: str
    after: float | None = None


@dataclass(slots=True)
class Throttling:
    """What all cassettes of one recording process share.

    `limits` are by host ("api.example.com", "127.0.0.1:8080", "*.example.com"), `transient` the statuses that are waited
    out, `max_pause` the longest wait in seconds. `waiting` is told, before a wait, how many seconds longer the process will
    have waited after it; `chance` gives random numbers in [0, 1).
    """

    pace: Pace
    limits: Mapping[str, Limit]
    transient: frozenset[int]
    max_pause: float
    clock: Clock
    chance: Callable[[], float]
    waiting: Callable[[float], None] = lambda seconds: None
    stop: Stop | None = None
    unexpected: list[Answer] = field(default_factory=list)
    calls: int = 0
    _tokens: dict[int, Token] = field(default_factory=dict)
    _lost: deque[Token] = field(default_factory=deque)
    _waited: Counter[int] = field(default_factory=Counter)
    _tries: Counter[int] = field(default_factory=Counter)
    _waits_until: float = 0.0  # on the monotonic clock

    def around(self, declared: frozenset[int] | None) -> Throttle:
        """The throttle of a cassette whose test declares these error statuses (None: all of them)."""

        def throttle(request: Request, observed: Observed | None) -> float | None:
            if observed is None:
                return self._before(request)
            if observed.status == 0:
                self._failed(request)
                return None
            return self._after(request, observed, declared)

        return throttle

    def _before(self, request: Request) -> float | None:
        self._hand_back()
        if self.stop is not None:
            raise CassetteRefused(
                f"{_shown(request)} is not sent: {self.stop.what}", why="nothing of this recording could be kept",
            )  # fmt: skip
        limit = self._limit(request)
        grant = self.pace.take([limit], 1)
        if not grant.count:
            wait = grant.wait * (1 + 0.1 * self.chance()) if grant.closed_key else grant.wait
            why = f"{limit.key} is to be left alone" if grant.closed_key else f"the limit of {limit.key}, {limit}, is used up"
            return self._wait(request, max(wait, 0.001), why)
        self.calls += 1
        if grant.tokens:
            self._tokens[id(request)] = grant.tokens[0]
        return None

    def _failed(self, request: Request) -> None:
        # A finaliser may have brought us here, in the midst of anything: these appends take no lock.
        token = self._tokens.pop(id(request), None)
        if token is not None:
            self._lost.append(token)
        self._forget(request)
        self.unexpected.append(Answer(_test(), request.method, _plain(request), 0))

    def _after(self, request: Request, observed: Observed, declared: frozenset[int] | None) -> float | None:
        token = self._tokens.pop(id(request), None)
        if token is not None:
            self.pace.ended([token])
        status = observed.status
        expected = status < 400 or declared is None or status in declared
        if not expected and status in self.transient:
            return self._throttled(request, observed)
        if not expected:
            answer = Answer(_test(), request.method, _plain(request), status)
            self.unexpected.append(answer)
            if status in REFUSED_KEY or status in NO_MONEY:
                self.stop = Stop("unauthorised" if status in REFUSED_KEY else "quota", str(answer))
        self._forget(request)
        return None

    def _throttled(self, request: Request, observed: Observed) -> float | None:
        self._tries[id(request)] += 1
        told, date = (header(observed.headers, name) for name in ("retry-after", "date"))
        wait = retry_after_seconds(told, date, self.clock.now())
        if wait is None:
            plain = min(LONGEST, FIRST * 2.0 ** min(self._tries[id(request)] - 1, 10))
            wait = plain * (0.5 + self.chance())
        key = self._limit(request).key
        why = f"{key} answered {observed.status} and asked to be left alone"
        self.pace.close_key(key, wait, why)
        return self._wait(request, max(wait, 0.001), why)

    def _wait(self, request: Request, seconds: float, why: str) -> float:
        """Wait so long, unless it is too long: then stop, and let whoever asked hear of it at the next look."""
        waited = self._waited[id(request)]
        if seconds > self.max_pause:
            self.stop = Stop("rate_limited", f"{why} for {seconds:.0f} s", seconds)
        elif waited + seconds > self.max_pause:
            self.stop = Stop("rate_limited", f"{why}, again and again: {waited:.0f} s were waited for one request")
        if self.stop is not None:
            return 0.0
        self._waited[id(request)] = waited + round(seconds + 0.5)
        begun = max(self.clock.monotonic(), self._waits_until)  # requests side by side wait at the same time
        self._waits_until = max(begun, self.clock.monotonic() + seconds)
        self.waiting(self._waits_until - begun)
        return seconds

    def _hand_back(self) -> None:
        lost = [self._lost.popleft() for _ in range(len(self._lost))]
        if lost:
            self.pace.ended(lost)

    def _forget(self, request: Request) -> None:
        self._waited.pop(id(request), None)
        self._tries.pop(id(request), None)

    def _limit(self, request: Request) -> Limit:
        place = urlsplit(request.url).netloc.rpartition("@")[2].lower()
        host = place.rpartition(":")[0] if place.rpartition(":")[2].isdigit() else place
        for pattern, limit in self.limits.items():
            if fnmatchcase(place, pattern.lower()) or fnmatchcase(host, pattern.lower()):
                return limit
        return Limit(place[:200] or "unknown")

    def facts(self) -> dict[str, Any]:
        """What happened, as JSON-ready data."""
        return {
            "calls": self.calls, "stop": None if self.stop is None else list(self.stop),
            "unexpected": [list(answer) for answer in self.unexpected],
        }  # fmt: skip


def _test() -> str:
    """The test that runs: "tests/test_a.py::test_one"."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]


def _plain(request: Request) -> str:
    """The address without its query, which may hold a secret, and without a user."""
    parts = urlsplit(request.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _shown(request: Request) -> str:
    return f"{request.method} {_plain(request)}"
