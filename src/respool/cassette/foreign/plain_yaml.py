"""YAML as plain values, by PyYAML's composer (the one in C where there is one) and a constructor of our own.

Nothing in a file is ever executed: tags of Python and Ruby objects that real cassettes hold become the plain data inside
of them, every other tag is refused. Dates, and numbers in the odder forms of YAML 1.1, stay the text that they were on
the wire. PyYAML's own constructor makes a generator for every list and mapping, and takes more than half of a load.
"""

from __future__ import annotations

import re
from base64 import decodebytes
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

_YAML = "tag:yaml.org,2002:"
_TEXT, _NULL, _BOOL, _INT, _FLOAT = (_YAML + kind for kind in ("str", "null", "bool", "int", "float"))
_PLAIN_TAGS = {_NULL, _BOOL, _INT, _FLOAT}
_LIST, _MAPPING = _YAML + "seq", _YAML + "map"
_NUMBER = re.compile(r"[-+]?(?:(0|[1-9][0-9]{0,99})|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?)")
_WORDS = dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), _BOOL)
_WORDS |= dict.fromkeys(("", "~", "null", "Null", "NULL"), _NULL)
_MAY_BE_NUMBER = frozenset("-+.0123456789")


def load(data: bytes) -> Any:
    """The one document in `data`. Raises yaml.YAMLError, with its place where PyYAML knows it, and RecursionError."""
    node = yaml.compose(data, _loader())
    return None if node is None else _Plain().value(node)


def compose(data: bytes) -> Any:
    """The document as PyYAML's nodes, which know their places."""
    return yaml.compose(data, _loader())


@cache
def _loader() -> Any:
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """PyYAML's loader, without surprises in plain scalars."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
            if kind is not yaml.ScalarNode:
                return _LIST if kind is yaml.SequenceNode else _MAPPING
            return _plain_tag(value) if implicit[0] else _TEXT

        def descend_resolver(self, *_: Any) -> None:
            """There are no resolvers by path."""

        def ascend_resolver(self) -> None:
            """There are no resolvers by path."""

    return Loader


def _plain_tag(value: str) -> str:
    if value in _WORDS:
        return _WORDS[value]
    if value[0] in _MAY_BE_NUMBER and (found := _NUMBER.fullmatch(value)):
        return _INT if found[1] else _FLOAT
    return _TEXT


class _Plain:
    """Makes values of nodes; a node that is named by aliases becomes one value, also inside of itself."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}

    def value(self, node: Any) -> Any:
        """The value of one node."""
        tag = node.tag
        # Ruby marks texts as "! '1'", and PyYAML takes that for a plain 1.
        if tag == _TEXT or (tag in _PLAIN_TAGS and getattr(node, "style", None)):
            return node.value
        if id(node) in self._made:
            return self._made[id(node)]
        if tag == _MAPPING:
            return self.mapping(node)
        if tag == _LIST:
            return self.sequence(node)
        for start, kinds in _CONSTRUCTORS.items():
            if tag.startswith(start):
                construct = kinds.get(tag[len(start) :])
                if construct is not None:
                    return construct(self, node)
        if tag.startswith(("!ruby/struct:VCR::", "!ruby/object:VCR::")):
            return self.mapping(node)
        raise _refused(node, f"nothing is made of the tag {tag!r}")

    def text(self, node: Any) -> str:
        """The text of a scalar."""
        if not isinstance(node.value, str):
            raise _refused(node, "this must be a scalar")
        return node.value

    def sequence(self, node: Any) -> list[Any]:
        """A list."""
        if not isinstance(node, yaml.SequenceNode):
            raise _refused(node, "this must be a list")
        made = self._made[id(node)] = []
        for each in node.value:
            made.append(self.value(each))
        return made

    def mapping(self, node: Any) -> dict[Any, Any]:
        """An object; of equal keys the last one counts."""
        if not isinstance(node, yaml.MappingNode):
            raise _refused(node, "this must be a mapping")
        made: dict[Any, Any] = {}
        self._made[id(node)] = made
        for key, each in node.value:
            name = key.value if key.tag == _TEXT else self.value(key)
            if isinstance(name, (list, dict)):
                raise _refused(key, "a key must be a scalar")
            made[name] = self.value(each)
        return made

    def truth(self, node: Any) -> bool:
        """True or false."""
        if _plain_tag(self.text(node)) != _BOOL:
            raise _refused(node, f"{node.value!r:.40} is neither true nor false")
        return str(node.value).lower() == "true"

    def number(self, node: Any) -> Any:
        """An int or a float, and the text itself where a tag only claims that it is one."""
        found = self.text(node)
        try:
            return int(found) if node.tag == _INT else float(found)
        except ValueError:
            raise _refused(node, f"{found!r:.40} is no number") from None

    def binary(self, node: Any) -> bytes:
        """Bytes in base64."""
        try:
            return decodebytes(self.text(node).encode("ascii"))
        except ValueError as error:
            raise _refused(node, f"it is no base64: {error}") from None

    def buffer(self, node: Any) -> Any:
        """The bytes of a pickled io.BytesIO: the first thing of its state. Nothing is unpickled."""
        state = self.mapping(node).get("state")
        return state[0] if isinstance(state, list) and state else b""

    def applied(self, node: Any) -> Any:
        """What iter() or frozenset() would have been called with. Nothing is called."""
        given = self.sequence(node) if isinstance(node, yaml.SequenceNode) else self.mapping(node).get("args")
        return given[0] if isinstance(given, list) and given else []


def _refused(node: Any, why: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


_Construct = Callable[[_Plain, Any], Any]
_SCALARS: dict[str, _Construct] = {
    "str": _Plain.text, "null": lambda *_: None, "bool": _Plain.truth,
    "int": _Plain.number, "float": _Plain.number, "binary": _Plain.binary,
}  # fmt: skip
_PYTHON: dict[str, _Construct] = {
    "str": _Plain.text, "unicode": _Plain.text, "bytes": _Plain.binary, "tuple": _Plain.sequence, "list": _Plain.sequence,
    "dict": _Plain.mapping, "object:vcr.request.Request": _Plain.mapping, "object/new:_io.BytesIO": _Plain.buffer,
    "object/apply:builtins.iter": _Plain.applied, "object/apply:__builtin__.iter": _Plain.applied,
    "object/apply:builtins.frozenset": _Plain.applied, "object/apply:__builtin__.frozenset": _Plain.applied,
}  # fmt: skip
_LOCAL: dict[str, _Construct] = {
    "binary": _Plain.binary, "str": _Plain.text, "ruby/sym": _Plain.text, "ruby/symbol": _Plain.text,
}  # fmt: skip
_CONSTRUCTORS = {_YAML + "python/": _PYTHON, _YAML: _SCALARS, "!": _LOCAL}
