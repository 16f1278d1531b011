"""The one place that reads the time and sleeps.

Instants are UTC integer microseconds since the epoch; waits are seconds on the monotonic clock. Everything that decides
by time takes a `Clock`, so that tests move it by hand and a clock frozen by a user's test decides nothing of ours.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

MICROSECONDS = 1_000_000
STEP = MICROSECONDS  # a wall clock that is behind by less was slewed, or read at another moment

# Bound at import: a library that freezes time replaces the module's attributes, not what we hold.
_clock_gettime_ns = time.clock_gettime_ns if hasattr(time, "clock_gettime_ns") else None
_time_ns, _monotonic, _sleep = time.time_ns, time.monotonic, time.sleep


class Clock(Protocol):
    """What the rest of the house knows of time."""

    def now(self) -> int:
        """The wall clock: UTC microseconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; its zero means nothing."""

    def sleep(self, seconds: float) -> None:
        """Block this thread."""

    async def asleep(self, seconds: float) -> None:
        """Suspend this coroutine."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        if _clock_gettime_ns is not None:
            return _clock_gettime_ns(time.CLOCK_REALTIME) // 1000
        return _time_ns() // 1000

    def monotonic(self) -> float:
        return _monotonic()

    def sleep(self, seconds: float) -> None:
        _sleep(max(0.0, seconds))

    async def asleep(self, seconds: float) -> None:
        from asyncio import sleep  # importing it costs 30 ms, and most processes never sleep here

        await sleep(max(0.0, seconds))


class SteadyClock:
    """A clock whose wall time never goes back: when the one behind is set back, time goes on from where it was, as the
    monotonic clock tells it, until the other has caught up. Set forward, it follows.

    >>> behind = FakeClock(now=0); steady = SteadyClock(behind)
    >>> behind.set_back(3600); behind.advance(2); steady.now()
    2000000
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last, self._last_monotonic = clock.now(), clock.monotonic()

    def now(self) -> int:
        monotonic = self._clock.monotonic()
        expected = self._last + round((monotonic - self._last_monotonic) * MICROSECONDS)
        wall = self._clock.now()
        set_back = wall < expected - STEP
        self._last = expected if set_back else max(wall, self._last)
        self._last_monotonic = monotonic
        return self._last

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await self._clock.asleep(seconds)


class FakeClock:
    """A clock that moves only when told, or when somebody sleeps on it.

    >>> clock = FakeClock(now=0)
    >>> clock.sleep(1.5)
    >>> clock.now()
    1500000
    """

    def __init__(self, now: int = 1_700_000_000 * MICROSECONDS) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        from asyncio import sleep

        self.advance(seconds)
        await sleep(0)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now += round(seconds * MICROSECONDS)
        self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        """Move the wall clock back, as an administrator or NTP does; the monotonic clock stays."""
        self._now -= round(seconds * MICROSECONDS)


SYSTEM = SystemClock()


def rfc3339(instant: int) -> str:
    """An instant (UTC microseconds) as RFC 3339 text.

    >>> rfc3339(1_700_000_000_000_000)
    '2023-11-14T22:13:20.000000Z'
    """
    seconds, micros = divmod(instant, MICROSECONDS)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{micros:06d}Z"


def local_time(instant: int) -> str:
    """An instant as the local time of day (with the date if it is not today), for the screen only."""
    then = datetime.fromtimestamp(instant / MICROSECONDS).astimezone()
    today = datetime.fromtimestamp(SYSTEM.now() / MICROSECONDS).astimezone().date()
    return then.strftime("%H:%M:%S" if then.date() == today else "%Y-%m-%d %H:%M:%S")
