"""How failures are judged: which kind an exception is, whether it is tried again and when, and when a job stops.

One retry policy in one place: nothing below it retries. Times are seconds here, instants UTC microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from respool.batch.model import Failed, Kind, Later, Outcome, Skipped
from respool.errors import GiveUp, RetryLater, SkipItem, TryFailed, UsageError
from respool.retry_after import retry_after_seconds

# A second try of these gives the same answer and costs the same money.
FINAL_KINDS = frozenset({Kind.INVALID, Kind.REFUSED, Kind.TRUNCATED, Kind.NOT_RECORDED})
# These say something about the service or the key, not about the item.
BREAKER_KINDS = frozenset({Kind.UNAUTHORISED, Kind.QUOTA, Kind.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Retry:
    """How often an item is tried, and how long it waits between.

    `attempts` own failures and `crashes` deaths of its own worker or command are allowed (both at least 1; the last one
    fails the item). The wait before try n+1 is `base` * 2^(n-1) seconds, at most `cap`, times a random factor in
    [1 - jitter, 1 + jitter], plus up to `spread` seconds. `waiting` caps what announced waits (429, RetryLater) may add up
    to for one item.

    >>> Retry(attempts=5, base=2).wait(3, 0.5)
    8.0
    """

    attempts: int = 3
    crashes: int = 2
    base: float = 1.0
    cap: float = 300.0
    jitter: float = 0.5
    spread: float = 0.0
    waiting: float = 24 * 3600.0
    kinds: frozenset[Kind] = frozenset(Kind) - FINAL_KINDS

    def __post_init__(self) -> None:
        for name in ("attempts", "crashes", "base", "cap", "jitter", "spread", "waiting"):
            least = 1 if name in ("attempts", "crashes") else 0
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
                raise UsageError(f"retry.{name} must be a finite number of at least {least}, not {value!r}")
        if self.jitter > 1:
            raise UsageError(f"retry.jitter must be between 0 and 1, not {self.jitter!r}")

    def wait(self, failures: int, chance: float) -> float:
        """Seconds to wait after `failures` failures (≥ 1); `chance` in [0, 1) is the caller's random number."""
        plain = min(self.cap, self.base * 2.0 ** min(failures - 1, 60))
        return min(self.cap, plain * (1 - self.jitter + 2 * self.jitter * chance) + self.spread * chance)


@dataclass(frozen=True, slots=True)
class Breaker:
    """How many failures of one kind in a row, with no success between, pause the job. 0 switches a kind off."""

    unauthorised: int = 3
    quota: int = 3
    unavailable: int = 10

    def threshold(self, kind: Kind | None) -> int:
        """The number of failures in a row that pauses the job, or 0 for never."""
        if kind is Kind.UNAUTHORISED:
            return self.unauthorised
        if kind is Kind.QUOTA:
            return self.quota
        return self.unavailable if kind is Kind.UNAVAILABLE else 0


@dataclass(slots=True)
class Concurrency:
    """How many attempts may run at once: halves when the service throttles, grows by one per round of successes.

    >>> allowed = Concurrency(8)
    >>> allowed.throttled(); allowed.limit
    4
    """

    ceiling: int
    limit: int = field(default=0)
    _successes: int = 0

    def __post_init__(self) -> None:
        self.limit = self.limit or self.ceiling

    def throttled(self) -> None:
        self.limit = max(1, self.limit // 2)
        self._successes = 0

    def succeeded(self) -> None:
        if self.limit < self.ceiling:
            self._successes += 1
            if self._successes >= self.limit:
                self.limit, self._successes = self.limit + 1, 0


def classify(error: BaseException, now: int) -> Outcome:
    """What an exception of a task means. Clients are recognised by shape, never imported.

    A status is looked for on the exception (`status_code`, `status`, `code`) and on its `response`, then on its causes;
    a throttled answer's `Retry-After` is kept, or the exception's own `retry_after`. What has no status is judged by the
    names of its classes.
    """
    if isinstance(error, SkipItem):
        return Skipped(error.what)
    if isinstance(error, RetryLater):
        return Later(max(0.0, error.after), error.what)
    if isinstance(error, TryFailed):
        return Failed(Kind(error.kind), error.what, error.retry_after)
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, GiveUp):
        return Failed(Kind.RAISED, error.what, final=True)
    link: BaseException | None = error
    for _ in range(8):
        if link is None:
            break
        status, headers = _status_and_headers(link)
        if status is not None:
            kind = _kind_of_status(status, str(link))
            told = _header(headers, "retry-after") or _own_retry_after(link)
            wait = retry_after_seconds(told, _header(headers, "date"), now)
            return Failed(kind, message, retry_after=wait)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return Failed(_kind_of_name(error), message)


def _status_and_headers(error: BaseException) -> tuple[int | None, Any]:
    response = getattr(error, "response", None)
    for holder in (error, response):
        for name in ("status_code", "status", "code"):
            status = getattr(holder, name, None)
            if isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599:
                headers = getattr(holder, "headers", None)
                return status, headers if headers is not None else getattr(response, "headers", None)
    return None, None


def _own_retry_after(error: BaseException) -> str | None:
    """What a client that has read the header itself put on its exception: seconds, or the header's text."""
    told = getattr(error, "retry_after", None)
    return str(told) if isinstance(told, (int, float, str)) and not isinstance(told, bool) else None


def _header(headers: Any, name: str) -> str | None:
    if not isinstance(headers, Mapping) and not hasattr(headers, "items"):
        return None
    for key, value in headers.items():
        if str(key).lower() == name:
            return str(value)
    return None


def _kind_of_status(status: int, text: str) -> Kind:
    if status == 429:
        # OpenAI's and others' "you have no money left" arrives as a 429 that no wait will cure.
        return Kind.QUOTA if "insufficient_quota" in text else Kind.RATE_LIMITED
    if status in (401, 403):
        return Kind.UNAUTHORISED
    if status == 402:
        return Kind.QUOTA
    if status == 408:
        return Kind.TIMEOUT
    if status == 422:
        return Kind.INVALID
    return Kind.UNAVAILABLE if status >= 500 else Kind.RAISED


def _kind_of_name(error: BaseException) -> Kind:
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"TimeoutError", "TimeoutException", "Timeout", "ReadTimeout", "ConnectTimeout", "APITimeoutError"}:
        return Kind.TIMEOUT
    if names & {
        "ConnectionError", "ConnectError", "NetworkError", "TransportError", "APIConnectionError", "gaierror",
        "ClientConnectionError", "URLError", "RemoteProtocolError",
    }:  # fmt: skip
        return Kind.UNAVAILABLE
    if names & {"ValidationError", "JSONDecodeError"}:
        return Kind.INVALID
    if "RequestNotRecorded" in names:
        return Kind.NOT_RECORDED
    return Kind.RAISED
