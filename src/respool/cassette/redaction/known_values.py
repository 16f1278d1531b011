"""Secrets that are known by their text, found in every dress: plain, percent-encoded, escaped in JSON, inside base64."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

from respool.cassette.redaction.edits import Edit, apart, applied

_SHORT = 8  # a shorter value is replaced only where it stands by itself
_MANY = 400  # above so many needles, looking for each of them costs more than looking at every piece of the text
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_LETTERED = re.compile(r"[A-Za-z0-9]")


class KnownValues:
    """A growing set of values, each with what is to stand in its stead. `version` counts its changes.

    Threads may share it: what they walk through only ever grows at its end.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._placeholders: dict[str, str] = {}
        self._plain: list[tuple[str, str]] = []  # needle, placeholder
        self._inside: list[tuple[str, str, int]] = []  # needle of base64, the value, its offset in a group of three
        self._anchors: dict[str, set[str]] = {}  # the first characters of needles, with the needles
        self._short: set[str] = set()
        self.version = 0
        for value, placeholder in (values or {}).items():
            self.add(value, placeholder)

    def __contains__(self, value: str) -> bool:
        return value in self._placeholders

    def texts(self) -> frozenset[str]:
        """The values themselves."""
        return frozenset(self._placeholders)

    def since(self, version: int) -> tuple[tuple[str, str], ...]:
        """The values that were added after `version`, with their placeholders, in order."""
        added = self.version - version
        return tuple(self._placeholders.items())[-added:] if added else ()

    def copy(self) -> KnownValues:
        """A set of its own with the same values."""
        twin = KnownValues.__new__(KnownValues)
        twin._placeholders, twin._plain, twin._inside = dict(self._placeholders), list(self._plain), list(self._inside)
        twin._anchors = {anchor: set(needles) for anchor, needles in self._anchors.items()}
        twin._short = set(self._short)
        twin.version = self.version
        return twin

    def add(self, value: str, placeholder: str) -> None:
        """Know one more value; one that is known already keeps its placeholder."""
        if not value or value in self._placeholders:
            return
        self._placeholders[value] = placeholder
        for needle in spellings(value):
            self._plain.append((needle, placeholder))
            self._anchor(needle)
        for needle, offset in _inside_base64(value) if len(value) >= _SHORT else ():
            self._inside.append((needle, value, offset))
            self._anchor(needle)
        self.version += 1

    def _anchor(self, needle: str) -> None:
        self._anchors.setdefault(needle[:_SHORT], set()).add(needle)
        if len(needle) < _SHORT:
            self._short.add(needle)

    def occurs(self, text: str) -> bool:
        """Whether any of the values stands in the text, in any dress."""
        return bool(self._placeholders) and bool(self._present(text))

    def _present(self, text: str) -> set[str]:
        """The needles that the text holds, whatever their number in time that grows with the text only."""
        if len(self._plain) + len(self._inside) <= _MANY:
            return {found[0] for needles in (self._plain, self._inside) for found in needles if found[0] in text}
        pieces = {text[at : at + _SHORT] for at in range(len(text) - _SHORT + 1)}
        anchors = pieces & self._anchors.keys() | {anchor for anchor in self._short if anchor in text}
        return {needle for anchor in anchors for needle in self._anchors[anchor] if needle in text}

    def edits(self, text: str) -> Iterator[Edit]:
        """What to replace in the text; edits may overlap."""
        present = self._present(text) if self._placeholders else ()
        if not present:
            return
        for needle, placeholder in self._plain:
            if needle in present:
                yield from _found(text, needle, placeholder)
        inside = [told for told in self._inside if told[0] in present]
        if inside:
            for run in _BASE64.finditer(text):
                new = self._inside_run(run[0], inside)
                if new != run[0]:
                    yield Edit(run.start(), run.end(), new)

    def _inside_run(self, run: str, inside: list[tuple[str, str, int]]) -> str:
        for needle, value, offset in inside:
            at = run.find(needle)
            while at >= 0:
                skip = (at - (0, 2, 3)[offset]) % 4  # the run may begin with text that is no base64
                plain = _from_base64(run[skip:])
                if plain is not None and value.encode() in plain:
                    new = plain.replace(value.encode(), self._placeholders[value].encode())
                    run = run[:skip] + _to_base64(new, run)
                    at = -1
                else:
                    at = run.find(needle, at + 1)
        return run


@lru_cache(maxsize=512)
def spellings(value: str) -> tuple[str, ...]:
    """The texts that mean `value` in a URL, a form, JSON, HTML, or as UTF-8 bytes read as latin-1.

    >>> spellings("a/b+c")
    ('a/b+c', 'a%2Fb%2Bc', 'a%2fb%2bc', 'a/b%2Bc', 'a/b%2bc', 'a%252Fb%252Bc', 'a\\\\/b+c')
    """
    encoded = [quote(value, safe=""), quote_plus(value, safe=""), quote(value), quote_plus(value, safe="/:@")]
    lower = [re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), each) for each in encoded]
    pairs = [each for both in zip(encoded, lower, strict=True) for each in both]
    escaped = [json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
    found = [value, *pairs, quote(encoded[0], safe=""), *escaped, escaped[0].replace("/", "\\/"), _in_html(value)]
    bytewise = [each.encode("utf-8", "surrogateescape").decode("latin-1") for each in found if not each.isascii()]
    return tuple(dict.fromkeys(found + bytewise))


def _in_html(text: str) -> str:
    for mark, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;")):
        text = text.replace(mark, name)
    return text


@lru_cache(maxsize=512)
def _inside_base64(value: str) -> tuple[tuple[str, int], ...]:
    """What `value` surely comes to in base64 behind 0, 1 or 2 bytes of a group, whatever stands around it."""
    data = value.encode("utf-8", "surrogateescape")
    found: dict[str, int] = {}
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + data).decode()
        sure = text[(0, 2, 3)[offset] : (offset + len(data)) * 8 // 6]
        found[sure] = found[sure.replace("+", "-").replace("/", "_")] = offset
    return tuple(found.items())


def _found(text: str, needle: str, placeholder: str) -> Iterator[Edit]:
    at = text.find(needle)
    while at >= 0:
        end = at + len(needle)
        alone = len(needle) >= _SHORT or not (
            _LETTERED.match(text, end) or (at and _LETTERED.match(text, at - 1) and not text.startswith("\\n", at - 2))
        )
        if alone:
            yield Edit(at, end, placeholder)
        at = text.find(needle, end)


def _from_base64(text: str) -> bytes | None:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 1:
        plain = plain[:-1]
    return base64.b64decode(plain + "=" * (-len(plain) % 4))


def _to_base64(data: bytes, like: str) -> str:
    text = base64.b64encode(data).decode()
    if "-" in like or "_" in like:
        text = text.replace("+", "-").replace("/", "_")
    return text if like.endswith("=") or len(data) % 3 == 0 else text.rstrip("=")


def replaced(text: str, known: KnownValues) -> str:
    """The text with every known value replaced.

    >>> replaced("id:pa%2Fssword!", KnownValues({"pa/ssword": "__redacted_p__"}))
    'id:__redacted_p__!'
    """
    return applied(text, apart(known.edits(text)))
