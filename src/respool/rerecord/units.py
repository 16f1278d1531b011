"""What is re-recorded as one: a test file, or all files that share a cassette."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from respool.batch.model import MAX_KEY_BYTES
from respool.canonical import digest

STAGING = "rerecord"  # what the names of units' staging folders begin with
FACTS = "rerecord.json"  # in the attempt's files: what a unit kept of its failure


@dataclass(frozen=True, slots=True)
class Unit:
    """Test files (relative to the root, with /) and the cassettes that they are known to name.

    >>> Unit(("tests/test_a.py",), ("tests/cassettes/a.json",)).key
    'tests/test_a.py'
    """

    files: tuple[str, ...]
    cassettes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The item's key: the files; where these are too many for a key, the first of them and a digest."""
        whole = " ".join(self.files)
        if len(whole.encode()) <= MAX_KEY_BYTES:
            return whole
        return f"{self.files[0]} and {len(self.files) - 1} more ({digest(*self.files)[:12]})"

    @property
    def payload(self) -> dict[str, Any]:
        """The item's payload: what says which work it is, and nothing that changes by itself."""
        return {"files": list(self.files)}


def units(files: Iterable[str], known: Mapping[str, Set[str]]) -> list[Unit]:
    """`files` in their order, joined with whatever of `known` (file → cassettes) shares a cassette with them.

    A unit stands where the first of its files does. Files that were not asked for come in, too, if they share: a
    cassette is recorded by all of its tests, or by none.

    >>> units(["b", "c"], {"a": {"x"}, "b": {"x", "y"}, "c": {"z"}})
    [Unit(files=('a', 'b'), cassettes=('x', 'y')), Unit(files=('c',), cassettes=('z',))]
    """
    users: dict[str, list[str]] = {}
    for file, cassettes in known.items():
        for cassette in cassettes:
            users.setdefault(cassette, []).append(file)
    found, placed = [], set()
    for file in files:
        if file in placed:
            continue
        together, cassettes, new = set[str](), set[str](), [file]
        while new:
            each = new.pop()
            if each in together:
                continue
            together.add(each)
            for cassette in known.get(each, ()):
                if cassette not in cassettes:
                    cassettes.add(cassette)
                    new += users[cassette]
        placed |= together
        found.append(Unit(tuple(sorted(together)), tuple(sorted(cassettes))))
    return found
