"""A drift told: as lines for a terminal, and as JSON values that can be stored and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from respool.cassette.drift import Change, Drift, Field, Told
from respool.cassette.drift.json_paths import Example, PathChange
from respool.cassette.drift.volatile import Proposal
from respool.phrases import counted

MOST = 30  # paths of one answer that are told


def lines(drift: Drift) -> Iterator[str]:
    """What changed, for people: "+" came, "-" went, "^" in another place, "~" changed, with what changed indented below.

    >>> print(*lines(Drift(1, 2, added=(Told(2, "GET http://a/"),))), sep=chr(10))
    + GET http://a/
    """
    for sign, calls in (("+", drift.added), ("-", drift.removed), ("^", drift.moved)):
        yield from (f"{sign} {each.request}" for each in calls)
    for change in drift.changed:
        yield f"~ {change.request}"
        yield from (f"    {each}" for each in inner_lines(change))


def inner_lines(change: Change) -> Iterator[str]:
    """What changed in one call, a line for each field and for each pattern of paths."""
    yield from (f"{each.name}: {each.old or 'nothing'} → {each.new or 'nothing'}" for each in change.fields)
    yield from (path_line(each) for each in change.paths[:MOST])
    if len(change.paths) > MOST:
        yield f"… and {counted(len(change.paths) - MOST, 'more path')}"
    yield from change.lines


def path_line(change: PathChange) -> str:
    """One pattern of paths in one line.

    >>> path_line(PathChange("$.items[*].price", "value", 12, (Example("$.items[0].price", "1", "2"),)))
    '$.items[*].price: changed in 12 places: $.items[0].price 1 → 2, …'
    """
    first = change.examples[0]
    if change.kind == "length" and change.places == 1:
        return f"{change.path}: {first.old} → {first.new} elements"
    if change.kind == "order" and change.places == 1:
        return f"{change.path}: its elements are in another order"
    verb = _VERBS[change.kind]
    if change.places == 1 and first.place == change.path:
        return f"{change.path}: {_values(first) if change.kind in ('value', 'type') else f'{verb} {_values(first)}'}".rstrip()
    told = ", ".join(f"{each.place} {_values(each)}".rstrip() for each in change.examples)
    more = ", …" if change.places > len(change.examples) else ""
    return f"{change.path}: {verb} in {counted(change.places, 'place')}: {told}{more}"


_VERBS = {
    "added": "added", "removed": "removed", "type": "other type", "value": "changed", "length": "other length",
    "order": "other order",
}  # fmt: skip


def _values(example: Example) -> str:
    return f"{example.old} → {example.new}" if example.old and example.new else example.old or example.new


def proposal_line(drifts: Iterable[Drift]) -> str:
    """The setting that makes what always changed count for nothing; "" if nothing did.

    >>> proposal_line([Drift(1, 1, proposals=(Proposal("$.at", "date", 3),))])
    'volatile = ["$.at"]  # date in 3 places'
    """
    places: dict[tuple[str, str], int] = {}
    for each in (proposal for drift in drifts for proposal in drift.proposals):
        places[each.path, each.shape] = places.get((each.path, each.shape), 0) + each.places
    if not places:
        return ""
    paths = ", ".join(json.dumps(path, ensure_ascii=False) for path in dict.fromkeys(path for path, _ in places))
    return f"volatile = [{paths}]  # " + ", ".join(
        f"{shape} in {counted(number, 'place')}" for (_, shape), number in places.items()
    )


def as_data(drift: Drift) -> dict[str, Any]:
    """JSON values for a drift: what `respool cassettes diff --json` says of each cassette. `of_data` reads them back.

    >>> of_data(as_data(Drift(1, 2, added=(Told(2, "GET http://a/"),)))).summary()
    '1 call added'
    """
    return {
        "summary": drift.summary(), "old": drift.old, "new": drift.new,
        **{name: [each._asdict() for each in getattr(drift, name)] for name in ("added", "removed", "moved", "proposals")},
        "changed": [
            {**each._asdict(), "fields": [one._asdict() for one in each.fields],
             "paths": [{**one._asdict(), "examples": [example._asdict() for example in one.examples]} for one in each.paths]}
            for each in drift.changed
        ],
    }  # fmt: skip


def of_data(data: Mapping[str, Any]) -> Drift:
    """The drift that `as_data` told. Raises KeyError or TypeError for what it never tells."""
    told = {name: tuple(Told(**each) for each in data[name]) for name in ("added", "removed", "moved")}
    changed = tuple(
        Change(
            each["was"], each["now"], each["request"], tuple(Field(**one) for one in each["fields"]),
            tuple(
                PathChange(one["path"], one["kind"], one["places"], tuple(Example(**example) for example in one["examples"]))
                for one in each["paths"]
            ),
            tuple(each["lines"]),
        )
        for each in data["changed"]
    )  # fmt: skip
    proposals = tuple(Proposal(**each) for each in data["proposals"])
    return Drift(data["old"], data["new"], **told, changed=changed, proposals=proposals)
