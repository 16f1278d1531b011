"""Limits and cool-downs that hold across workers, processes, spools and restarts.

A limit counts *starts*: items, or HTTP requests, whatever its user asks slots for. Per key one small file keeps a
sliding log; everybody who uses the same folder shares it. A server counts *arrivals*, and a request may arrive at any
moment until it has ended. So a slot is held while its request is in flight, and frees one period after its end: then
no window of a period's length can see more arrivals than the limit says, whenever each of them arrived.

All doubts are settled on the slow side: an owner that died has ended its requests when that is noticed, a stamp from
the future (the clock was set back) counts as now, and a file that cannot be read counts as a limit that is used up now.
A clock that is set *forward* frees slots early: nothing in a wall clock tells that from time having passed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from respool.clock import MICROSECONDS, Clock
from respool.errors import SpoolUnwritable, UsageError
from respool.files import FileLock, private_folder, write_atomic
from respool.sliding_log import SlidingLog

_UNITS = {"day": 86400, "hour": 3600, "min": 60, "s": 1}  # the canonical words, longest first
_ALIASES = {"d": "day", "h": "hour", "minute": "min", "sec": "s", "second": "s"}
_WORDS = _UNITS | {alias: _UNITS[word] for alias, word in _ALIASES.items()}
_WORDS |= {f"{word}s": _WORDS[word] for word in ("day", "hour", "min", "minute", "sec", "second")}
_RATE = re.compile(r"([0-9]{1,12})\s*/\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)?\s*([a-z]+)")
_EXAMPLES = 'write it like "30/min", "1000/day" or "10/5s"'
_UNLIMITED = "unlimited"
_LONGEST_PERIOD = 366 * 86400 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` starts in any `period` (microseconds).

    >>> Rate.parse("10/5s"), str(Rate(30, 60_000_000))
    (Rate(count=10, period=5000000), '30/min')
    """

    count: int
    period: int

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.period <= _LONGEST_PERIOD:
            raise UsageError(
                f"{str(self)!r} is no rate", command=_EXAMPLES,
                why="a rate allows 1 or more, in a period of more than 0 seconds and at most 366 days",
            )  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> Rate:
        """The rate that `text` describes: COUNT/UNIT or COUNT/NUMBER UNIT, with the units s, min, hour, day."""
        found = _RATE.fullmatch(text.strip().lower()) if isinstance(text, str) else None
        if found is None or found[3] not in _WORDS:
            raise UsageError(
                f"{text!r} is no rate", why="a rate is a number, a slash and a unit: s, min, hour or day",
                command=_EXAMPLES,
            )  # fmt: skip
        return cls(int(found[1]), int(Decimal(found[2] or 1) * _WORDS[found[3]] * MICROSECONDS))

    def __str__(self) -> str:
        for name, seconds in _UNITS.items():
            number, rest = divmod(self.period, seconds * MICROSECONDS)
            if number and not rest:
                return f"{self.count}/{name}" if number == 1 else f"{self.count}/{number}{name}"
        return f"{self.count}/{(Decimal(self.period) / MICROSECONDS).normalize():f}s"


@dataclass(frozen=True, slots=True, init=False)
class Limit:
    """What one provider (or task) allows: a key, and the rates that all hold at once, the shortest period first.

    Everybody who names the same key shares its slots and its cool-downs. Without a rate, only the cool-downs.

    >>> str(Limit("openai", "30/min", "1000/day"))
    '30/min, 1000/day'

    Raises UsageError for a text that is no rate, for two rates with one period, and for a key that is not 1 to 200
    printable characters.
    """

    key: str
    rates: tuple[Rate, ...]

    def __init__(self, key: str, rates: str | Rate | Sequence[str | Rate] = (), *more: str | Rate) -> None:
        if not isinstance(key, str) or not 1 <= len(key) <= 200 or not key.isprintable():
            raise UsageError(
                f"{key!r} cannot be the key of a limit", why="a key is 1 to 200 printable characters",
                command='name the provider, like Limit("openai", "30/min")',
            )  # fmt: skip
        parsed: set[Rate] = set()
        for given in (*(rates if isinstance(rates, tuple | list) else (rates,)), *more):
            if isinstance(given, Rate):
                parsed.add(given)
            elif given != _UNLIMITED:
                parsed.update(Rate.parse(text) for text in (given.split(",") if isinstance(given, str) else (given,)))
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "rates", tuple(sorted(parsed, key=lambda rate: (rate.period, rate.count))))
        if len({rate.period for rate in self.rates}) < len(self.rates):
            raise UsageError(
                f"the limit {str(self)!r} of {key!r} contradicts itself", why="it has two rates for the same period",
                command="keep the one that the provider documents",
            )  # fmt: skip

    @classmethod
    def parse(cls, text: str, *, key: str) -> Limit:
        """The limit that `str()` of a limit, or a user, wrote: rates separated by commas, or "unlimited"."""
        return cls(key, text)

    def __str__(self) -> str:
        return ", ".join(str(rate) for rate in self.rates) or _UNLIMITED


def check_limits(limits: Iterable[Limit]) -> None:
    """Raise UsageError if one key is declared with different rates. The same declaration twice is fine."""
    seen: dict[str, Limit] = {}
    for limit in limits:
        other = seen.setdefault(limit.key, limit)
        if other != limit:
            raise UsageError(
                f"the key {limit.key!r} has two limits: {str(other)!r} and {str(limit)!r}",
                why="everybody who names a key shares its slots, so they must agree on its rates",
                command="declare the same rates everywhere, or give one of them a key of its own",
            )  # fmt: skip


class Token(NamedTuple):
    """One granted slot in each of `keys`. Opaque: only to be handed back to the Pace that granted it."""

    owner: str
    serial: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """What `Pace.take` gave: `count` slots and a token for each.

    `wait` is the seconds until it makes sense to ask again, 0.0 if all was granted. `closed_key` is the key whose
    cool-down is the reason that nothing was granted, else None.
    """

    count: int
    tokens: tuple[Token, ...]
    wait: float
    closed_key: str | None = None


class Pace:
    """The limits and cool-downs kept in `folder` (made when first needed, 0700), shared by all who use that folder.

    May be used by several threads. A Pace holds an OS lock while it has or had slots; when its process dies, however
    it dies, the others notice and take its slots back. `close()` it (or use `with`) when the work is over.

    >>> import tempfile; from respool.clock import FakeClock
    >>> with Pace(Path(tempfile.mkdtemp()), FakeClock()) as pace:
    ...     grant = pace.take([Limit("openai", "2/min")], want=5)
    ...     pace.ended(grant.tokens)
    ...     grant.count, pace.take([Limit("openai", "2/min")], want=3).wait
    (2, 60.0)

    Every method may raise SpoolUnwritable (full disk, read-only folder); nothing is granted then, and what was in
    flight stays so. `set_aside` lists the unreadable files that this Pace found and renamed.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.set_aside: list[Path] = []
        self._folder = folder
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self._guard = threading.Lock()
        self._process = os.getpid()
        self._open: dict[str, set[int]] = {}  # key → serials in flight: the truth, of which the files hold the number
        self._serial = 0
        self._owner: FileLock | None = None
        self._swept: set[str] = set()

    def __enter__(self) -> Pace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, limits: Sequence[Limit], want: int) -> Grant:
        """Take up to `want` slots, each in all of `limits` at once, such that every rate of every limit holds.

        Gives what is free now and never blocks (but for the short file locks). Raises UsageError if one key comes with
        different rates. Hand every token back with `ended` or `unused`.
        """
        check_limits(limits)
        if want <= 0:
            return Grant(0, (), 0.0)
        rates = {limit.key: limit.rates for limit in limits}
        with self._guarded():
            owner = self._signed_in() if any(rates.values()) else ""
            with self._logs(rates) as (now, logs):
                closed, key = max(((log.closed_until, key) for key, log in logs.items()), default=(0, ""))
                if closed > now:
                    return Grant(0, (), (closed - now) / MICROSECONDS, key)
                every = [(log, rate.count, rate.period) for key, log in logs.items() for rate in rates[key]]
                count = min([want, *(log.free(most, period, now) for log, most, period in every)])
                for key, log in logs.items():
                    if rates[key]:
                        log.take(owner, count, rates[key][-1].period, now)
                waits = [log.wait(most, period, now) for log, most, period in every] if count < want else [0.0]
            keys = tuple(sorted(key for key in rates if rates[key]))
            tokens = tuple(Token(owner, self._serial + n, keys) for n in range(1, count + 1))
            self._serial += count
            for key in keys:  # only now: a file that could not be written must not leave slots in flight for ever
                self._open.setdefault(key, set()).update(token.serial for token in tokens)
        return Grant(count, tokens, max(waits))

    def ended(self, tokens: Iterable[Token]) -> None:
        """The requests of these tokens ended now: their slots free one period from now.

        Tokens that were handed back before, or that another Pace granted, change nothing.
        """
        self._hand_back(tokens, used=True)

    def unused(self, tokens: Iterable[Token]) -> None:
        """Nothing was sent for these tokens: their slots are free again at once. Otherwise like `ended`."""
        self._hand_back(tokens, used=False)

    def close_key(self, key: str, seconds: float, reason: str) -> None:
        """Grant nothing on `key` for `seconds` from now (after a 429, say), in no process, also after a restart.

        A key that is already closed for longer stays so, with its reason. Raises UsageError if `seconds` is not finite.
        """
        if not abs(seconds) < float("inf"):
            raise UsageError(f"a key cannot be closed for {seconds!r} seconds", where=f"key {key!r}")
        if seconds > 0:
            with self._guarded(), self._logs([key]) as (now, logs):
                logs[key].close(now, round(seconds * MICROSECONDS), reason)

    def closed(self, key: str) -> tuple[float, str] | None:
        """(seconds left, reason) if `key` is in a cool-down, else None. Makes no file for an unused key."""
        with self._guarded():
            if not self._file(key).exists():
                return None
            with self._logs([key]) as (now, logs):
                log = logs[key]
                return ((log.closed_until - now) / MICROSECONDS, log.reason) if log.closed_until > now else None

    def close(self) -> None:
        """Whatever is still in flight ends now; then nothing is held any more. The Pace may be used again."""
        with self._guarded():
            for key, serials in list(self._open.items()):
                self._hand_back_on(key, set(serials), used=True)
            if self._owner is not None:
                self._owner.path.unlink(missing_ok=True)
                self._owner.release()
                self._owner = None

    def _hand_back(self, tokens: Iterable[Token], *, used: bool) -> None:
        by_key: dict[str, set[int]] = {}
        with self._guarded():
            for token in tokens:
                if self._owner is not None and token.owner == self._owner.path.stem:
                    for key in token.keys:
                        by_key.setdefault(key, set()).add(token.serial)
            for key, serials in by_key.items():
                self._hand_back_on(key, serials & self._open[key], used=used)

    def _hand_back_on(self, key: str, serials: set[int], *, used: bool) -> None:
        if serials and self._owner is not None:
            with self._logs([key]) as (now, logs):
                logs[key].hand_back(self._owner.path.stem, len(serials), now, used=used)
            self._open[key] -= serials

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """One thread at a time; and a forked child starts from nothing, for its parent's slots are not its own."""
        if self._process != os.getpid():
            self._reset()
        with self._guard:
            try:
                yield
            except OSError as error:
                raise SpoolUnwritable(
                    f"the limits cannot be kept: {error.strerror or error}", where=str(self._folder),
                    why="slots that are not written down would not be seen by others", command="respool doctor",
                ) from error  # fmt: skip

    def _signed_in(self) -> str:
        """The name under which this Pace holds slots: the name of a file that it keeps locked."""
        if self._owner is None:
            owners = private_folder(private_folder(self._folder) / "owners")
            with FileLock(owners / "sign-in").hold():  # else a sweep could remove a file between its open and its lock
                for path in owners.glob("*.lock"):
                    if FileLock(path).is_free():
                        path.unlink(missing_ok=True)
                owner = FileLock(owners / f"{secrets.token_hex(8)}.lock")
                owner.acquire(blocking=True)
            self._owner = owner
            weakref.finalize(self, owner.release).atexit = False  # a Pace that was dropped holds nothing
        return self._owner.path.stem

    def _file(self, key: str) -> Path:
        return self._folder / _name(key)

    @contextlib.contextmanager
    def _logs(self, keys: Iterable[str]) -> Iterator[tuple[int, dict[str, SlidingLog]]]:
        """The time and the logs of `keys`, all locked (in sorted order: no deadlock); changed ones are written back."""
        private_folder(self._folder)
        with contextlib.ExitStack() as locks:
            files = {key: self._file(key) for key in sorted(keys)}
            for file in files.values():
                locks.enter_context(FileLock(file.with_suffix(".lock")).hold())
            now = self._clock.now()  # not before the locks: what others wrote meanwhile is not from the future
            logs = {key: self._load(key, file, now) for key, file in files.items()}
            yield now, logs
            for key, log in logs.items():
                if log.changed:
                    write_atomic(files[key], log.encode(), durable=False)

    def _load(self, key: str, file: Path, now: int) -> SlidingLog:
        if key not in self._swept:
            self._swept.add(key)
            for orphan in self._folder.glob(f".{file.name}.*.tmp"):  # of a writer that was killed: we hold its lock
                orphan.unlink(missing_ok=True)
        try:
            log = SlidingLog.decode(file.read_bytes(), key)
        except FileNotFoundError:
            log = SlidingLog(key)
        except (ValueError, KeyError, TypeError, IsADirectoryError):
            number = 1
            while (aside := file.with_name(f"{file.name}.unreadable-{number}")).exists():
                number += 1
            file.rename(aside)
            self.set_aside.append(aside)
            log = SlidingLog(key, lost=now, changed=True)
        log.clamp(now)
        me = self._owner.path.stem if self._owner is not None else None
        if me is not None:  # heals what a write that failed half-way, or a lost file, made wrong
            log.hold(me, len(self._open.get(key, ())))
        for owner in [owner for owner in log.in_flight if owner != me]:
            lock = FileLock(self._folder / "owners" / f"{owner}.lock")
            if lock.is_free():
                log.hand_back(owner, log.in_flight[owner], now, used=True)
                lock.path.unlink(missing_ok=True)
        return log


def start_anew(file: Path, now: int) -> None:
    """Put a limit in the place of a file that cannot be read: whoever uses it finds it used up at the instant `now`.

    Which key it is of need not be known. Raises OSError if it cannot be written.
    """
    with FileLock(file.with_suffix(".lock")).hold():
        write_atomic(file, SlidingLog("", lost=now).encode(), durable=False)


def look_at_cooldown(folder: Path, key: str, now: int) -> tuple[float, str] | None:
    """What `Pace.closed` says at the instant `now`, but without touching anything: for whoever only looks."""
    try:
        log = SlidingLog.decode((folder / _name(key)).read_bytes(), key)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ((log.closed_until - now) / MICROSECONDS, log.reason) if log.closed_until > now else None


def look_at_slots(folder: Path, key: str, rate: Rate, slots: int, now: int) -> float:
    """Seconds from the instant `now` until `rate` leaves so many slots on `key`, without touching anything."""
    try:
        log = SlidingLog.decode((folder / _name(key)).read_bytes(), key)
    except FileNotFoundError:
        return 0.0
    except (OSError, ValueError, KeyError, TypeError):
        log = SlidingLog(key, lost=now)
    return log.until(slots, rate.count, rate.period, now)


def _name(key: str) -> str:
    """Readable for people, and safe whatever the key holds."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", key)[:40]
    return f"{readable}-{blake2b(key.encode(), digest_size=8).hexdigest()}.pace"
