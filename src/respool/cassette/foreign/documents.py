"""A foreign file as plain values, from JSON or from YAML, and the place of each of them."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from respool.cassette.format import unreadable
from respool.errors import CassetteUnreadable

_LOOKS_LIKE_YAML = re.compile(
    rb"(?m)^(?:\"?(?:http_)?interactions\"?\s*:|version: 1\s*$|- request:|- !ruby/struct:VCR|recorded_with:)"
)


class Document(NamedTuple):
    """What a file holds, and a function that tells where in it (line and byte) the value at some path stands."""

    value: Any
    place: Callable[[Sequence[str | int]], str]
    is_json: bool


def parsed(data: bytes, where: str) -> Document | None:
    """The document in `data`, or None if that is neither JSON nor looks like a cassette in YAML.

    Raises CassetteUnreadable for YAML that is broken, or that cannot be read because PyYAML is not installed.
    """
    named = where.endswith((".yaml", ".yml"))
    if not named or data.lstrip()[:1] in (b"{", b"["):
        found = _json(data)
        if found is not None:
            return found
    if named or (not where.endswith((".json", ".har")) and _LOOKS_LIKE_YAML.search(data[:65_536])):
        return _yaml(data, where)
    return None


def _json(data: bytes) -> Document | None:
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None

    def place(path: Sequence[str | int]) -> str:
        from respool.cassette import json_places

        return json_places.shown(text, json_places.place(text, path))

    return Document(value, place, True)


def _yaml(data: bytes, where: str) -> Document:
    try:
        import yaml

        from respool.cassette.foreign import plain_yaml
    except ImportError:
        raise CassetteUnreadable(
            f"{where!r} is YAML, and PyYAML is not installed", where=where,
            why="cassettes of vcrpy and of Ruby's and R's vcr are YAML", command="pip install 'respool[yaml]'",
        ) from None  # fmt: skip
    pausing = gc.isenabled()
    if pausing:
        gc.disable()  # every node would be looked at again and again, and none of them is garbage
    try:
        value = plain_yaml.load(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else None
        raise unreadable(where, line, f"it is no YAML that is safe to read: {error.problem}") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError, AttributeError) as error:
        at = getattr(error, "position", None)  # of a byte or character that YAML does not have
        place = None if at is None else f"byte {at}"
        raise unreadable(where, place, f"it is no YAML that can be read: {' '.join(str(error).split())}") from None
    finally:
        if pausing:
            gc.enable()

    def line_of(path: Sequence[str | int]) -> str:
        return _line(plain_yaml.compose(data), path)

    return Document(value, line_of, False)


def _line(node: Any, path: Sequence[str | int]) -> str:
    if node is None:
        return "line 1, column 1"  # an empty file
    for step in path:
        inner = node.value if isinstance(node.value, list) else []
        if isinstance(step, int):
            found = inner[step : step + 1]
        else:
            found = [pair[1] for pair in inner if isinstance(pair, tuple) and pair[0].value == step]
        if not found or isinstance(found[-1], tuple):
            break
        node = found[-1]
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"
