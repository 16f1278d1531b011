"""What a `Retry-After` header asks for."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime

from respool.clock import MICROSECONDS


def retry_after_seconds(value: str | None, answered: str | None, now: int) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or an HTTP date measured against the answer's own Date.

    `answered` is the answer's Date header, `now` the local instant used when there is none. None if unreadable.

    >>> retry_after_seconds("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", now=0)
    30.0
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text).timestamp()
            start = parsedate_to_datetime(answered).timestamp() if answered else now / MICROSECONDS
        except (TypeError, ValueError):
            return None
        seconds = until - start
    return max(0.0, seconds) if seconds < math.inf else None  # not so for NaN either
