"""What changed between two recordings of the same calls: the difference that is reviewed before a new one is kept."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from respool import canonical
from respool.cassette import bodies, jsonpath
from respool.cassette.differences import differences
from respool.cassette.drift import text
from respool.cassette.drift.json_paths import Comparison, PathChange
from respool.cassette.drift.volatile import Evidence, Proposal, shapeless
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Interaction, Request, Response, header
from respool.cassette.urls import take_apart
from respool.phrases import counted

HEADERS = (
    "content-type", "content-language", "content-disposition", "location", "link", "allow", "www-authenticate",
    "retry-after", "ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit", "x-rate-limit-limit", "cache-control",
    "deprecation", "sunset", "warning", "api-version", "x-api-version", "openai-version", "anthropic-version",
)  # fmt: skip
"""Headers of answers that say something; the others (dates, ids, what is left of a limit) differ each time."""


class Told(NamedTuple):
    """One request of a recording: its `place` there (from 1) and how it reads, "GET https://api.example.com/oslo"."""

    place: int
    request: str


class Field(NamedTuple):
    """Something that is told in one line: "status", "header location", "query limit"; "" is no value."""

    name: str
    old: str
    new: str


class Change(NamedTuple):
    """One call that changed: `fields` of it, `paths` in the JSON of its answer, `lines` of its text as a short diff."""

    was: int
    now: int
    request: str
    fields: tuple[Field, ...] = ()
    paths: tuple[PathChange, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """How a new recording differs from an old one; true if it does.

    `old` and `new` are how many interactions each has, None where there is no such recording. `moved` are calls that
    came in another order. `proposals` are paths that look as if they change each time; they are no difference by
    themselves, but what changed there is among `changed` until they are declared.
    """

    old: int | None
    new: int | None
    added: tuple[Told, ...] = ()
    removed: tuple[Told, ...] = ()
    moved: tuple[Told, ...] = ()
    changed: tuple[Change, ...] = ()
    proposals: tuple[Proposal, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved or self.changed or (self.old is None) is not (self.new is None))

    def summary(self) -> str:
        """One line for a list of cassettes.

        >>> Drift(3, 4, added=(Told(4, "GET http://a/"),)).summary()
        '1 call added'
        """
        if self.old is None or self.new is None:
            number = counted(self.new if self.old is None and self.new is not None else self.old or 0, "call")
            return f"new, {number}" if self.old is None else f"gone, {number}"
        parts = [(self.changed, "changed"), (self.added, "added"), (self.removed, "removed"), (self.moved, "moved")]
        return ", ".join(f"{counted(len(each), 'call')} {verb}" for each, verb in parts if each) or "no change"


def drift(
    old: Cassette | None,
    new: Cassette | None,
    volatile: Iterable[str] = (),
    *,
    matching: Matching | None = None,
    earlier: Sequence[Cassette] = (),
) -> Drift:
    """Compare two recordings, the nth call under a key with the nth; None is one that does not exist.

    `volatile` are JSON paths whose values are not compared; that one is there, and its type, is. The rule for "the same
    call" is `matching`, else what the newer one says of itself. Calls without a partner are compared after all if their
    addresses differ in an id or in parameters only. `earlier` recordings, the oldest first, are looked at for what always
    changes. Raises UsageError for a path that is none.

    >>> def tape(temperature):
    ...     return Cassette((Interaction(Request("GET", "http://a/"), Response(200, body=b'{"t": %d}' % temperature)),))
    >>> drift(tape(1), tape(2)).changed[0].paths[0].examples[0]
    Example(place='$.t', old='1', new='2')
    """
    was, now = (list(each.interactions) if each else [] for each in (old, new))
    counts = (None if old is None else len(was), None if new is None else len(now))
    if old is None or new is None:
        return Drift(*counts, added=_told(now, range(len(now))), removed=_told(was, range(len(was))))
    rule = matching or rule_of(new)
    comparing = _Comparing(rule, [jsonpath.parse(path) for path in volatile])
    for one, other in pairwise([*earlier, old]):
        comparing.changed(one.interactions, other.interactions, _pairs(one.interactions, other.interactions, rule))
    pairs = _pairs(was, now, rule)
    partners = ({one for one, _ in pairs}, {other for _, other in pairs})
    return Drift(
        *counts,
        added=_told(now, [place for place in range(len(now)) if place not in partners[1]]),
        removed=_told(was, [place for place in range(len(was)) if place not in partners[0]]),
        moved=_told(now, _out_of_order(pairs)),
        changed=tuple(comparing.changed(was, now, pairs)),
        proposals=comparing.evidence.proposals(1 + len(earlier)),
    )


def rule_of(cassette: Cassette) -> Matching:
    """The rule that a cassette says it is matched by, less what is code: of that it has the names only."""
    told = {name: value for name, value in cassette.matching.items() if name not in ("normalise", "custom")}  # code: no text
    return Matching.of(told)


def _told(interactions: Sequence[Interaction], places: Iterable[int]) -> tuple[Told, ...]:
    return tuple(Told(place + 1, _request(interactions[place].request)) for place in places)


def _request(request: Request) -> str:
    return f"{request.method} {request.url}"


def _pairs(was: Sequence[Interaction], now: Sequence[Interaction], rule: Matching) -> list[tuple[int, int]]:
    """Places in both recordings of the same calls, in the order of the new one: equal keys first, then similar addresses."""
    pairs: list[tuple[int, int]] = []
    for key in (rule.key, lambda request: _address(request, query=True), lambda request: _address(request, query=False)):
        partners = ({one for one, _ in pairs}, {other for _, other in pairs})
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for place in reversed(range(len(was))):
            if place not in partners[0]:
                waiting[key(was[place].request)].append(place)
        for place, each in enumerate(now):
            if place not in partners[1] and (found := waiting[key(each.request)]):
                pairs.append((found.pop(), place))
    return sorted(pairs, key=lambda pair: pair[1])


def _address(request: Request, *, query: bool) -> Hashable:
    url = take_apart(request.url)
    names = tuple(sorted(shapeless(f"{name}={value}") for name, value in url.query)) if query else ()
    return request.method.upper(), url.host, url.port, shapeless(url.path), names


def _out_of_order(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Places, in the new recording, of the fewest calls without which the others are in their old order."""
    ends: list[int] = []  # of the ascending runs of each length the one that ends lowest: an index into pairs
    before: list[int] = []
    for index, (was, _) in enumerate(pairs):
        length = bisect_left(ends, was, key=lambda each: pairs[each][0])
        before.append(ends[length - 1] if length else -1)
        ends[length : length + 1] = [index]
    kept, index = set(), ends[-1] if ends else -1
    while index >= 0:
        kept.add(index)
        index = before[index]
    return [now for index, (_, now) in enumerate(pairs) if index not in kept]


@dataclass
class _Comparing:
    """How two answers are compared, and what was seen of their paths on the way."""

    rule: Matching
    volatile: Sequence[jsonpath.Steps]
    evidence: Evidence = field(default_factory=Evidence)

    def changed(
        self, old: Sequence[Interaction], new: Sequence[Interaction], pairs: Iterable[tuple[int, int]]
    ) -> list[Change]:  # fmt: skip
        """The pairs of places that differ."""
        found = []
        for was, now in pairs:
            fields, paths, lines = self._call(old[was], new[now])
            if fields or paths or lines:
                told = _request(new[now].request)
                found.append(Change(was + 1, now + 1, told, tuple(fields), tuple(paths), tuple(lines)))
        return found

    def _call(self, old: Interaction, new: Interaction) -> tuple[list[Field], list[PathChange], list[str]]:
        one, other = old.response, new.response
        fields = [Field(*each) for each in differences(old.request, new.request, self.rule)]
        if isinstance(one, Failure) or isinstance(other, Failure):
            return fields + _outcomes(one, other), [], []
        fields += _heads(one, other)
        values = _json(one.body), _json(other.body)
        if values[0] is not None and values[1] is not None:
            paths = Comparison(self.volatile)
            paths.compare(*values)
            self.evidence.add(paths.shapes, paths.same)
            return fields, paths.changes(), []
        if one.body == other.body:
            return fields, [], []
        return fields + _kinds(one, other), [], text.changed(one.body, other.body)


def _outcomes(old: Response | Failure, new: Response | Failure) -> list[Field]:
    was, now = (each.kind if isinstance(each, Failure) else str(each.status) for each in (old, new))
    return [Field("outcome", was, now)] if was != now else []


def _heads(old: Response, new: Response) -> list[Field]:
    found = [Field("status", str(old.status), str(new.status))] if old.status != new.status else []
    for name in HEADERS:
        was, now = (header(each.headers, name) or "" for each in (old, new))
        if was != now and shapeless(was) != shapeless(now):
            found.append(Field(f"header {name}", was, now))
    return found


def _kinds(old: Response, new: Response) -> list[Field]:
    kinds = ["JSON" if _json(each.body) is not None else "text" if each.body else "no body" for each in (old, new)]
    return [Field("body", *kinds)] if kinds[0] != kinds[1] else []


def _json(body: bytes) -> Any:
    """The value of a body that is a JSON object or array, else None."""
    try:
        return canonical.decode(body) if bodies.looks_like_json(body) else None
    except canonical.NotCanonical:
        return None
