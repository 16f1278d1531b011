"""What changed between two JSON values, gathered by the pattern of its path: one entry for all of `$.items[*].price`."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple

from respool.cassette import jsonpath
from respool.cassette.drift.volatile import shape
from respool.phrases import printable

EXAMPLES = 3  # places of one pattern that are told
_SHOWN = 60  # characters of a value
_DEEP = 50
_IDENTIFIES = ("id", "key", "name", "symbol", "code", "slug", "url")
Place = tuple[str | int, ...]


class Example(NamedTuple):
    """One place of a pattern, with the values there as they are shown ("" for the side that has none)."""

    place: str
    old: str
    new: str


class PathChange(NamedTuple):
    """What happened to a pattern of paths, in `places` places.

    `kind` is "added", "removed", "type", "value", "length" (of an array, told in elements) or "order" (of its elements).
    """

    path: str
    kind: str
    places: int
    examples: tuple[Example, ...]


@dataclass
class Comparison:
    """Gathers what changed between any number of pairs of JSON values.

    Where a path is one of `volatile` its value counts for nothing, but that it came, went or changed its type does.
    `same` and `shapes` say of each pattern how often its value stayed, and as what it changed.

    >>> found = Comparison()
    >>> found.compare({"items": [{"price": 1}, {"price": 2}]}, {"items": [{"price": 3}, {"price": 4}]})
    >>> [(each.path, each.kind, each.places) for each in found.changes()]
    [('$.items[*].price', 'value', 2)]
    """

    volatile: Sequence[jsonpath.Steps] = ()
    same: Counter[str] = field(default_factory=Counter)
    shapes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _found: dict[tuple[str, str], list[Example]] = field(default_factory=dict)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def compare(self, old: Any, new: Any, place: Place = ()) -> None:
        """Add what changed from `old` to `new`, both as json.loads gives them."""
        if _type(old) != _type(new):
            self._add("type", place, lambda: (f"{_type(old)} {_shown(old)}", f"{_type(new)} {_shown(new)}"))
        elif isinstance(old, dict) and len(place) < _DEEP:
            self._objects(old, new, place)
        elif isinstance(old, list) and len(place) < _DEEP:
            self._arrays(old, new, place)
        elif old == new and type(old) is type(new) and not isinstance(old, (dict, list)):
            self.same[_pattern(place)] += 1
        elif isinstance(old, (dict, list)) and _exactly(old) == _exactly(new):
            pass  # too deep to be looked into, and the same
        elif not any(jsonpath.covers(steps, place) for steps in self.volatile):
            self._add("value", place, lambda: (_shown(old), _shown(new)))
            name = next((str(step) for step in reversed(place) if isinstance(step, str)), "")
            self.shapes[_pattern(place)][shape(name, old, new) or "other"] += 1

    def changes(self) -> list[PathChange]:
        """What was found so far, in the order in which it was met."""
        return [
            PathChange(path, kind, self._counts[path, kind], tuple(examples))
            for (path, kind), examples in self._found.items()
        ]  # fmt: skip

    def _objects(self, old: dict[str, Any], new: dict[str, Any], place: Place) -> None:
        for name in dict.fromkeys((*old, *new)):
            if name not in new:
                self._add("removed", (*place, name), partial(_gone, old[name]))
            elif name not in old:
                self._add("added", (*place, name), partial(_came, new[name]))
            else:
                self.compare(old[name], new[name], (*place, name))

    def _arrays(self, old: list[Any], new: list[Any], place: Place) -> None:
        if len(old) != len(new):
            self._add("length", place, lambda: (str(len(old)), str(len(new))))
        pairs = _paired(old, new)
        for was, now in pairs:
            self.compare(old[was], new[now], (*place, now))
        for was in sorted(set(range(len(old))) - {was for was, _ in pairs}):
            self._add("removed", (*place, was), partial(_gone, old[was]))
        for now in sorted(set(range(len(new))) - {now for _, now in pairs}):
            self._add("added", (*place, now), partial(_came, new[now]))
        if pairs != sorted(pairs, key=lambda pair: pair[1]):
            self._add("order", place, lambda: ("", ""))

    def _add(self, kind: str, place: Place, told: Callable[[], tuple[str, str]]) -> None:
        """Count one; the values are told of the first few only, for that costs the most."""
        key = (_pattern(place), kind)
        self._counts[key] += 1
        examples = self._found.setdefault(key, [])
        if len(examples) < EXAMPLES:
            examples.append(Example(jsonpath.text(place), *told()))


def _gone(value: Any) -> tuple[str, str]:
    return _shown(value), ""


def _came(value: Any) -> tuple[str, str]:
    return "", _shown(value)


def _paired(old: list[Any], new: list[Any]) -> list[tuple[int, int]]:
    """Which element of the one is which of the other: by what identifies them, else equal ones, else by their places."""
    objects = all(isinstance(each, dict) for each in (*old, *new))
    if not objects and len(old) == len(new) and Counter(map(_exactly, old)) != Counter(map(_exactly, new)):
        return list(zip(range(len(old)), range(len(new)), strict=True))
    name = _identity(old, new) if objects and old and new else None
    places: dict[str, list[int]] = defaultdict(list)
    for place in reversed(range(len(new))):
        places[_exactly(new[place] if name is None else new[place][name])].append(place)
    pairs = []
    for place, each in enumerate(old):
        if same := places[_exactly(each if name is None else each[name])]:
            pairs.append((place, same.pop()))
    if objects and name is None:
        left = [sorted(set(range(len(side))) - {pair[at] for pair in pairs}) for at, side in enumerate((old, new))]
        pairs += zip(*left, strict=False)
    return sorted(pairs)


def _identity(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> str | None:
    """The member whose value names each object of both lists, and at least half of them in both."""
    best: tuple[int, int] = (0, 0)
    found = None
    for name in old[0]:
        values = [[each.get(name) for each in side] for side in (old, new)]
        if not all(type(value) in (str, int) for side in values for value in side):
            continue
        known = [set(side) for side in values]
        common = len(known[0] & known[1])
        if len(known[0]) < len(old) or len(known[1]) < len(new) or common * 2 < min(len(old), len(new)):
            continue
        likely = (int(name.lower().endswith(_IDENTIFIES)), common)
        if likely > best:
            best, found = likely, name
    return found


_text = lru_cache(4096)(jsonpath.text)  # of a long list every element asks for the same


def _pattern(place: Place) -> str:
    return _text(tuple([step if isinstance(step, str) else jsonpath.Wild.EACH for step in place]))


def _type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "text", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def _exactly(value: Any) -> str:
    """Equal texts for equal values, and for no others: 1 and 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def _shown(value: Any) -> str:
    text = printable(json.dumps(value if not isinstance(value, str) else value[: _SHOWN + 1], ensure_ascii=False))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
