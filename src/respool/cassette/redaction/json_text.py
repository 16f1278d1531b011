"""JSON read as text: every value with its place and where it stands, so that one can be changed and no other byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r'[ \t\r\n]*+(?:"(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)"(?P<colon>[ \t\r\n]*+:)?+|(?P<mark>[{}\[\],])'
    r"|(?P<bare>-?\d[\d.eE+-]*+|true|false|null|NaN|-?Infinity))",
    re.DOTALL,
)


class Leaf(NamedTuple):
    """A string (start and end inside its quotes) or a number at a place; `name` is that of the innermost member.

    `raw` is as it stands in the text, escapes and all. `place` is only kept where places were asked for.
    """

    start: int
    end: int
    raw: str
    name: str
    quoted: bool
    place: tuple[str | int, ...]


class Leaves:
    """Every string and number of a JSON text (latin-1 for UTF-8 bytes will do), also of several one after the other.

    true, false and null are passed over. Where the text stops being JSON the walk ends without a word; `end` then says
    how far it came.

    >>> [(leaf.name, leaf.raw) for leaf in Leaves('{"a": {"b": ["c", 1]}}')]
    [('b', 'c'), ('b', '1')]
    """

    def __init__(self, text: str, *, places: bool = False) -> None:
        self.text = text
        self.places = places
        self.end = 0

    def __iter__(self) -> Iterator[Leaf]:
        stack: list[str | int] = []
        names = [""]
        match, text, at = _TOKEN.match, self.text, 0
        while found := match(text, at):
            self.end = at = found.end()
            kind = found.lastgroup
            if kind == "colon":
                if stack:
                    stack[-1] = names[-1] = decoded(found["text"])
            elif kind == "text" or kind == "bare":
                raw = found[kind]
                if kind == "text" or raw[0] in "-0123456789":
                    start, end = found.span(kind)
                    yield Leaf(start, end, raw, names[-1], kind == "text", tuple(stack) if self.places else ())
            elif (mark := found["mark"]) == ",":
                if stack and isinstance(stack[-1], int):
                    stack[-1] += 1
            elif mark in "{[":
                stack.append(0 if mark == "[" else "")
                names.append(names[-1])
            elif stack:
                stack.pop()
                names.pop()


def decoded(raw: str) -> str:
    """What a string means that stands between quotes as `raw` (latin-1 for UTF-8 bytes, or a true text)."""
    if "\\" in raw:
        try:
            raw = str(json.loads(f'"{raw}"', strict=False))
        except ValueError:
            return raw
    if raw.isascii():
        return raw
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return raw


def encoded(text: str, like: str) -> str:
    """`text` as it stands between quotes, spelled as `like` is: non-ASCII characters as escapes unless `like` has some."""
    if like.isascii():
        return json.dumps(text)[1:-1]
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass").decode("latin-1")
