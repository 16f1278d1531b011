"""What one key's limits must remember: who holds how many slots, when requests ended, and until when it is closed.

Plain data with its arithmetic and its bytes; `pace.py` keeps it in a file and decides who may change it. Instants and
periods are microseconds.
"""

from __future__ import annotations

import json
import zlib
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

from respool.clock import MICROSECONDS

_LOOK_AGAIN = 10.0  # seconds; slots in flight can come back early: given back unused, or their owner found dead
_MOST_RUNS = 1 << 14  # 16 bytes each
_MAGIC = b"respool-pace 1 "


@dataclass(slots=True)
class SlidingLog:
    """The state of one key. Every method takes the time as `now`; `changed` says that something is to be written.

    Ends are runs: `instants` sorted, and `totals[i]`, the number of all ends ever up to and with `instants[i]`
    (`base` before the first), so that counting a window is two look-ups however long the log is.
    """

    key: str
    instants: array[int] = field(default_factory=lambda: array("q"))
    totals: array[int] = field(default_factory=lambda: array("q"))
    base: int = 0
    horizon: int = 0  # how long ends are kept: the longest period asked for ...
    asked: int = 0  # ... and when that was last
    lost: int | None = None  # when the file was found unreadable: all limits count as used up at that instant
    in_flight: dict[str, int] = field(default_factory=dict)  # owner → slots
    closed_until: int = 0
    closed_for: int = 0
    reason: str = ""
    changed: bool = False

    def free(self, count: int, period: int, now: int) -> int:
        """The slots that a rate of `count` per `period` leaves now."""
        if self.lost is not None and self.lost + period > now:
            return 0
        return max(0, count - self._used(period, now))

    def wait(self, count: int, period: int, now: int) -> float:
        """Seconds until that rate leaves a slot; 0.0 if it does now. At most `_LOOK_AGAIN` with slots in flight."""
        seconds = self.until(1, count, period, now)
        return min(seconds, _LOOK_AGAIN) if seconds and self.in_flight else seconds

    def until(self, slots: int, count: int, period: int, now: int) -> float:
        """Seconds until that rate leaves so many slots (1 to `count`), if what is in flight ends now."""
        if self.free(count, period, now) >= slots:
            return 0.0
        ready = now + period  # if only ends that are still to come can free one
        if self.lost is not None and self.lost + period > now:
            ready = self.lost + period
        else:
            first = bisect_right(self.instants, now - period)
            must_go = self._total(first) + self._used(period, now) - count + slots
            run = bisect_left(self.totals, must_go)
            if run < len(self.instants):
                ready = self.instants[run] + period
        return (ready - now) / MICROSECONDS

    def _used(self, period: int, now: int) -> int:
        first = bisect_right(self.instants, now - period)
        return sum(self.in_flight.values()) + self._total(len(self.totals)) - self._total(first)

    def _total(self, run: int) -> int:
        return self.totals[run - 1] if run else self.base

    def take(self, owner: str, count: int, period: int, now: int) -> None:
        """`owner` has `count` more in flight; ends are to be kept for `period` (or longer, if others want that)."""
        if period != self.horizon and (period > self.horizon or self.asked + self.horizon <= now):
            self.horizon, self.asked, self.changed = period, now, True
        if count:
            self.asked = now if period == self.horizon else self.asked
            self.hold(owner, self.in_flight.get(owner, 0) + count)

    def hold(self, owner: str, count: int) -> None:
        """`owner` has exactly `count` in flight."""
        if self.in_flight.get(owner, 0) != count:
            self.in_flight[owner] = count
            self.changed = True
        if not count:
            self.in_flight.pop(owner, None)

    def hand_back(self, owner: str, count: int, now: int, *, used: bool) -> None:
        """`count` requests of `owner` are no longer in flight; `used` ones ended now."""
        self.hold(owner, max(0, self.in_flight.get(owner, 0) - count))
        if not used:
            return
        total = self._total(len(self.totals)) + count
        if self.instants and self.instants[-1] == now:
            self.totals[-1] = total
        else:
            self.instants.append(now)
            self.totals.append(total)
        self._prune(now)
        self.changed = True

    def _prune(self, now: int) -> None:
        old = bisect_right(self.instants, now - self.horizon)
        if old and self.horizon:  # a horizon of 0 is unknown: the file was lost while slots were in flight
            self.base = self.totals[old - 1]
            del self.instants[:old], self.totals[:old]
        if len(self.instants) > _MOST_RUNS:
            # A million a day must not mean a file of a million stamps: in the older half, the ends of one grain count
            # as the last of them. That frees a slot later, by a 4,096th of the period at most, never earlier.
            half, grain = len(self.instants) // 2, self.horizon // (_MOST_RUNS // 4) + 1
            last = [n for n in range(half) if self.instants[n] // grain != self.instants[n + 1] // grain]
            self.instants[:half] = array("q", [self.instants[n] for n in last])
            self.totals[:half] = array("q", [self.totals[n] for n in last])

    def close(self, now: int, duration: int, reason: str) -> None:
        """Close the key for `duration` from now, unless it is closed for longer already."""
        if now + duration > self.closed_until:
            self.closed_until, self.closed_for, self.reason = now + duration, duration, reason
            self.changed = True

    def clamp(self, now: int) -> None:
        """The clock was set back: what lies in the future happened now, and no cool-down outlasts what was asked."""
        if self.instants and self.instants[-1] > now:
            future = bisect_right(self.instants, now)
            last = self.totals[-1]
            del self.instants[future:], self.totals[future:]
            self.instants.append(now)
            self.totals.append(last)
            self.changed = True
        if self.lost is not None and self.lost > now:
            self.lost, self.changed = now, True
        if self.closed_until > now + self.closed_for:
            self.closed_until, self.changed = now + self.closed_for, True
        if self.asked > now:
            self.asked, self.changed = now, True

    def encode(self) -> bytes:
        """One line of checksum, one of JSON, then the two arrays: 10,000 ends are read in microseconds."""
        header: dict[str, Any] = {name: getattr(self, name) for name in _HEADER}
        body = json.dumps(header).encode() + b"\n" + self.instants.tobytes() + self.totals.tobytes()
        return _MAGIC + b"%08x\n" % zlib.crc32(body) + body

    @classmethod
    def decode(cls, data: bytes, key: str) -> SlidingLog:
        """The log that `encode` wrote. Raises ValueError, KeyError or TypeError if `data` is not such a log."""
        first, _, body = data.partition(b"\n")
        header, _, runs = body.partition(b"\n")
        if first != _MAGIC + b"%08x" % zlib.crc32(body):
            raise ValueError("torn, or no pace file")
        log = cls(**{name: value for name, value in json.loads(header).items() if name in _HEADER})
        if not log.key:  # written for a file that could not be read, by somebody who did not know whose it was
            log.key, log.changed = key, True
        if log.key != key:
            raise ValueError(f"the pace file of {log.key!r}")
        log.instants.frombytes(runs[: len(runs) // 2])
        log.totals.frombytes(runs[len(runs) // 2 :])
        return log


_HEADER = ("key", "base", "horizon", "asked", "lost", "in_flight", "closed_until", "closed_for", "reason")
