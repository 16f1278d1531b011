"""Values as people write them in settings, options and code: durations and sizes.

Both parsers take a number as it is, and text with units; both refuse everything else with a UsageError that quotes it.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from respool.errors import UsageError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def parse_duration(value: float | str, *, what: str = "duration") -> float:
    """Seconds, from a number of seconds or from text: "90", "90s", "1.5h", "1h30m", "500ms", "2d", "1w".

    Raises UsageError for anything else (negative, infinite, another unit); `what` names the setting in its message.

    >>> parse_duration("1h30m"), parse_duration(2)
    (5400.0, 2.0)
    """
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _finite(float(text), value, what)
        parts, end = [], 0
        while match := _DURATION.match(text, end):
            parts.append((match[1], match[2]))
            end = match.end()
        units = [unit for _, unit in parts]
        if text and end == len(text) and len(set(units)) == len(units):
            return _finite(sum(float(number) * _SECONDS[unit] for number, unit in parts), value, what)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return _finite(value, value, what)
    raise _refused(what, value, 'seconds, or text such as "90s", "5m", "1h30m" (units: ms, s, m, h, d, w)')


def parse_size(value: int | str, *, what: str = "size") -> int:
    """Bytes, from a whole number of bytes or from text: "200MB" (10^6), "1.5 GiB" (2^30), "512".

    Raises UsageError for anything else; `what` names the setting in its message.

    >>> parse_size("200MB"), parse_size("1 KiB")
    (200000000, 1024)
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match and (match[2] or "." not in match[1]):
            unit = _BYTES[(match[2] or "b").lower()]
            return int(Fraction(match[1]) * unit)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _refused(what, value, 'bytes, or text such as "200MB" or "1.5GiB" (units: B, kB, MB, GB, TB, KiB, MiB ...)')


def _finite(seconds: float, given: object, what: str) -> float:
    # Past 10^11 seconds (3,000 years) a duration added to an instant overflows what we store.
    try:
        number = float(seconds)
    except OverflowError:
        number = math.inf
    if not number <= 1e11:
        raise UsageError(f"{what} is too large: {given!r}")
    return number


def _refused(what: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{what} cannot be read: {value!r}", why=f"expected {expected}")
