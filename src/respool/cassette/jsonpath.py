"""The part of JSON paths that names fields of a body: `$.a.b`, `$['a b']`, `$.list[0]`, `$.list[*].id`, `$..nonce`.

A step is a name, an index, EACH (every element or member, written `[*]` or `.*`), or DEEP (any depth, written `..`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from respool.errors import UsageError


class Wild(Enum):
    """Steps that stand for more than one place."""

    EACH = "[*]"
    DEEP = ".."


Step: TypeAlias = str | int | Wild
Steps: TypeAlias = tuple[Step, ...]

_STEP = re.compile(
    r"""\.\.(?P<deep>[^.\[\]'"*\s]+) | \.(?P<name>[^.\[\]'"*\s]+) | (?P<each>\[\*\]|\.\*) | \[(?P<index>\d+)\]
      | \[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\]""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"[^.\[\]'\"*\s]+")


@lru_cache(maxsize=256)
def parse(path: str) -> Steps:
    """The steps of a path. Raises UsageError with the path where it stops being one.

    >>> parse("$.a[*].b")
    ('a', <Wild.EACH: '[*]'>, 'b')
    """
    if not path.startswith("$") or path == "$":
        raise UsageError(f"{path!r} is no JSON path of a field", why='a path looks like "$.nonce" or "$.items[*].id"')
    steps: list[Step] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if not found:
            raise UsageError(
                f"{path!r} is no JSON path that is understood here",
                where=f"at {path[at:]!r}",
                why="names, ['names'], [0], [*] and .. are; filters, slices and negative indices are not",
            )
        kind = str(found.lastgroup)
        text = found[kind]
        if kind == "deep":
            steps += [Wild.DEEP, text]
        else:
            steps.append(Wild.EACH if kind == "each" else int(text) if kind == "index" else text)
        at = found.end()
    return tuple(steps)


def text(place: Sequence[str | int | Literal[Wild.EACH]]) -> str:
    """The path of one concrete place, or with EACH of many, as a reader writes it.

    >>> text(["items", 0, "a b"]), text(["items", Wild.EACH])
    ("$.items[0]['a b']", '$.items[*]')
    """
    return "$" + "".join(_written(step) for step in place)


def _written(step: str | int | Wild) -> str:
    if isinstance(step, Wild):
        return str(step.value)
    return f"[{step}]" if isinstance(step, int) else f".{step}" if _PLAIN.fullmatch(step) else f"[{step!r}]"


def covers(steps: Steps, place: Sequence[str | int]) -> bool:
    """Whether `place` is one that the path names, or lies below one.

    >>> covers(parse("$..b"), ["a", 3, "b", "c"])
    True
    """
    open_steps = {0}  # how many steps are taken already; a set instead of recursion, so that many `..` stay cheap
    for part in place:
        if len(steps) in open_steps:
            return True
        following = set()
        for taken in open_steps:
            step = steps[taken]
            if step is Wild.DEEP:
                following.add(taken)
                taken, step = taken + 1, steps[taken + 1]
            if step is Wild.EACH or step == part:
                following.add(taken + 1)
        open_steps = following
    return len(steps) in open_steps


def without(value: Any, paths: Sequence[Steps]) -> Any:
    """`value` (what json.loads gives; it is left as it is) without the members that the paths name.

    An element of a list is replaced by None, so that its neighbours keep their places.

    >>> without({"a": [{"b": 1, "c": 2}], "d": 3}, [parse("$.a[*].b"), parse("$.d")])
    {'a': [{'c': 2}]}
    """
    for steps in paths:
        value = _without(value, steps)
    return value


def _without(value: Any, steps: Steps) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    step, rest = steps[0], steps[1:]
    if step is Wild.DEEP:
        below = value.items() if isinstance(value, dict) else enumerate(value)
        descended = {place: _without(inner, steps) for place, inner in below}
        return _without(descended if isinstance(value, dict) else list(descended.values()), rest)
    if isinstance(value, dict):
        named = set(value) if step is Wild.EACH else {step} & set(value)
        if not rest:
            return {name: inner for name, inner in value.items() if name not in named}
        return {name: _without(inner, rest) if name in named else inner for name, inner in value.items()}
    chosen = set(range(len(value))) if step is Wild.EACH else {step}
    return [
        (_without(inner, rest) if rest else None) if place in chosen else inner for place, inner in enumerate(value)
    ]
