"""A foreign file as plain values: JSON, or YAML of which nothing is ever executed.

YAML is read by PyYAML's safe loader (the one in C where there is one) with constructors of our own. Tags of Python and
Ruby objects that real cassettes hold become the plain data inside of them; every other tag is refused. Dates, times and
numbers in sexagesimal stay text, as they were on the wire.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from respool.cassette.format import unreadable
from respool.errors import CassetteUnreadable

_LOOKS_LIKE_YAML = re.compile(
    rb"(?m)^(?:\"?(?:http_)?interactions\"?\s*:|version: 1\s*$|- request:|- !ruby/struct:VCR|recorded_with:)"
)
_RESOLVED = {  # first characters → what a plain scalar that starts so may be; all else is text
    "null": ("~nN", r"~|null|Null|NULL|"),
    "bool": ("tTfF", r"true|True|TRUE|false|False|FALSE"),
    "int": ("-+0123456789", r"[-+]?(?:0|[1-9][0-9]{0,99})"),
    "float": ("-+0123456789.", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?"),
}
_PYTHON = "tag:yaml.org,2002:python/"


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
    except ImportError:
        raise CassetteUnreadable(
            f"{where!r} is YAML, and PyYAML is not installed", where=where,
            why="cassettes of vcrpy and of Ruby's and R's vcr are YAML", command="pip install 'respool[yaml]'",
        ) from None  # fmt: skip
    loader = _loader()
    pausing = gc.isenabled()
    if pausing:
        gc.disable()  # every node would be looked at again and again, and none of them is garbage
    try:
        value = yaml.load(data, loader)
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
        return _line(yaml.compose(data, loader), path)

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


@cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """PyYAML's safe loader, without surprises in plain scalars."""

    Loader.yaml_implicit_resolvers = {}
    for kind, (first, expression) in _RESOLVED.items():
        tag = f"tag:yaml.org,2002:{kind}"
        Loader.add_implicit_resolver(tag, re.compile(f"^(?:{expression})$"), [*first, *([""] if kind == "null" else [])])
    for tags, construct in _CONSTRUCTORS.items():
        for tag in tags.split():
            Loader.add_constructor(tag if tag[0] == "!" else _PYTHON + tag, construct)
    Loader.add_constructor("!binary", Loader.construct_yaml_binary)
    Loader.add_constructor(_PYTHON + "bytes", Loader.construct_yaml_binary)
    Loader.add_multi_constructor("!ruby/struct:VCR::", lambda loader, _, node: _mapping(loader, node))
    Loader.add_multi_constructor("!ruby/object:VCR::", lambda loader, _, node: _mapping(loader, node))
    return Loader


def _text(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


def _sequence(loader: Any, node: Any) -> Any:
    return loader.construct_sequence(node, deep=True)


def _mapping(loader: Any, node: Any) -> Any:
    return loader.construct_mapping(node, deep=True)


def _buffer(loader: Any, node: Any) -> Any:
    """The bytes of a pickled io.BytesIO: the first thing of its state. Nothing is unpickled."""
    state = loader.construct_mapping(node, deep=True).get("state")
    return state[0] if isinstance(state, (list, tuple)) and state else b""


def _applied(loader: Any, node: Any) -> Any:
    """What iter() or frozenset() would have been called with. Nothing is called."""
    arguments = _sequence(loader, node) if node.id == "sequence" else _mapping(loader, node).get("args")
    return arguments[0] if isinstance(arguments, (list, tuple)) and arguments else []


_CONSTRUCTORS: dict[str, Callable[[Any, Any], Any]] = {
    "str unicode !ruby/sym !ruby/symbol !str": _text,
    "tuple list": _sequence,
    "dict object:vcr.request.Request": _mapping,
    "object/new:_io.BytesIO": _buffer,
    "object/apply:builtins.iter object/apply:__builtin__.iter "
    "object/apply:builtins.frozenset object/apply:__builtin__.frozenset": _applied,
}
