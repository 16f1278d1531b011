"""Where in a JSON text a value stands: for messages about a file that reads as JSON but not as what it should be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def place(text: str, path: Sequence[str | int]) -> int:
    """The offset (in characters) of the value at `path`, or of the innermost one around it that is there.

    `text` must be valid JSON. Of equal keys the last one counts, as for a reader.

    >>> place('{"a": [1, 22]}', ["a", 1]), place('{"a": [1, 22]}', ["a", "b"])
    (10, 6)
    """
    at = _after_blanks(text, 0)
    for step in path:
        found = [start for key, start in _members(text, at) if key == step and type(key) is type(step)]
        if not found:
            break
        at = found[-1]
    return at


def shown(text: str, at: int) -> str:
    """A place in the words of a message: "line 3, byte 47".

    >>> shown("ä\\nb", 2)
    'line 2, byte 3'
    """
    return f"line {text.count(chr(10), 0, at) + 1}, byte {len(text[:at].encode('utf-8', 'surrogatepass'))}"


def _after_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _members(text: str, at: int) -> Iterator[tuple[str | int, int]]:
    """Key or index and start of each member of the object or array at `at`."""
    opening = text[at : at + 1]
    if opening not in ("{", "["):
        return
    index, at = 0, _after_blanks(text, at + 1)
    while text[at] not in "}]":
        key: str | int = index
        if opening == "{":
            key, end = _DECODER.raw_decode(text, at)
            at = _after_blanks(text, _after_blanks(text, end) + 1)
        yield key, at
        _, end = _DECODER.raw_decode(text, at)
        at = _after_blanks(text, end)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)
        index += 1
