"""Values that differ in every recording though nothing has changed: dates, ids, tokens, durations, counters."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[1-8][0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?\s?(?:Z|UTC|[+-]\d\d:?\d\d)?)?"
    r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?\d{1,2}[ -](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*[ -]"
    r"\d{2,4}(?: \d\d:\d\d(?::\d\d)?(?: (?:GMT|UTC|[+-]\d{4}))?)?"
)
# 16 characters without a gap, digits and letters among them, perhaps behind a word: "chatcmpl-9aXb…".
_TOKEN = re.compile(r"(?:[a-z]+-)?(?=\w*\d)(?=\w*[A-Za-z])\w{16,}={0,2}")
_IN_TEXT = re.compile(f"{_UUID.pattern}|{_DATE.pattern}|(?<![\\w-]){_TOKEN.pattern}(?![\\w-])")
_DURATION = re.compile(
    r"(?:^|_)(?:took|elapsed|duration|latency|runtime|seconds|millis|msecs?|ms)(?:_|$)|(?:Duration|Millis|Ms)$"
)
_EPOCHS = tuple((unit, 4 * unit) for unit in (10**9, 10**12, 10**15))  # seconds, milli- and microseconds, 2001 to 2096


class Proposal(NamedTuple):
    """A path that can be declared volatile: its `shape` ("date", "id", "token", "duration", "counter" or "other"), and in
    how many places it changed, which are all in which it stands."""

    path: str
    shape: str
    places: int


def shape(name: str, old: Any, new: Any) -> str | None:
    """As what a value under the member `name` changes each time; None if it looks like a change that says something.

    >>> shape("at", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"), shape("n", 1, 2), shape("title", "a", "b")
    ('date', 'counter', None)
    """
    if isinstance(old, bool) or isinstance(new, bool):
        return None
    if isinstance(old, str) and isinstance(new, str):
        for found, pattern in (("id", _UUID), ("date", _DATE), ("token", _TOKEN)):
            if pattern.fullmatch(old) and pattern.fullmatch(new):
                return found
        return None
    if not isinstance(old, (int, float)) or not isinstance(new, (int, float)):
        return None
    if _DURATION.search(name):
        return "duration"
    if any(low <= old < high and low <= new < high for low, high in _EPOCHS):
        return "date"
    return "counter" if isinstance(old, int) and isinstance(new, int) and old < new else None


def shapeless(text: str) -> str:
    """A text with its dates, ids and tokens taken out, so that two which differ in nothing else are equal.

    >>> shapeless("/jobs/0195d2c4-8c1e-7b1a-a6b5-3f2f7e1f9a10/log?on=2026-01-01")
    '/jobs/*/log?on=*'
    """
    return _IN_TEXT.sub("*", text)


@dataclass
class Evidence:
    """What was seen of paths in answers: how often the value changed, as what, and how often it stayed."""

    shapes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    same: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, shapes: Mapping[str, Counter[str]], same: Mapping[str, int]) -> None:
        """Count one answer in two recordings: path → shapes of its changes, and path → how often the value stayed."""
        for path, counts in shapes.items():
            self.shapes[path].update(counts)
            self.answers[path] += 1
        self.same.update(same)

    def proposals(self, comparisons: int) -> tuple[Proposal, ...]:
        """Paths whose value changed wherever it was seen, each time in the same shape, in so many comparisons of recordings.

        One growing number is news; one in each of several answers is a counter. What has no such shape is proposed only
        if it changed between three recordings, or more.

        >>> evidence = Evidence()
        >>> evidence.add({"$.at": Counter(date=1), "$.n": Counter(counter=1)}, {"$.name": 3})
        >>> evidence.proposals(1)
        (Proposal(path='$.at', shape='date', places=1),)
        """
        found = []
        for path, shapes in self.shapes.items():
            (shape, places), *others = shapes.most_common()
            enough = {"counter": places == self.answers[path] > 1, "other": comparisons > 1 and self.answers[path] > 1}
            if not others and not self.same[path] and enough.get(shape, True):
                found.append(Proposal(path, shape, places))
        return tuple(found)
