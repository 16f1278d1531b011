"""A library in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from respool.cassette.library import Library
from respool.cassette.model import Failure
from respool.cassette.placing import side_folder
from respool.cassette.upkeep.age import recorded_at
from respool.errors import CassetteError

AGES = (("a week", 7), ("a month", 30), ("three months", 91), ("a year", 365))
"""Names and days: how old what was recorded may be to be counted there."""


@dataclass(slots=True)
class Stats:
    """The numbers. Sizes are bytes, side files included; instants are UTC microseconds, None where nothing tells."""

    cassettes: int = 0
    unreadable: int = 0
    bytes: int = 0
    interactions: int = 0
    hosts: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    ages: Counter[str] = field(default_factory=Counter)
    oldest: int | None = None
    newest: int | None = None
    biggest: list[tuple[Path, int, int]] = field(default_factory=list)


def size_of(path: Path) -> int:
    """The bytes of a cassette, with its side files."""
    sides = side_folder(path)
    return path.stat().st_size + (sum(each.stat().st_size for each in sides.iterdir()) if sides.is_dir() else 0)


def stats_of(paths: Iterable[Path], now: int, top: int = 5) -> Stats:
    """The numbers of these cassettes; `top` is how many of the biggest are named (path, bytes, interactions)."""
    found = Stats()
    sizes: list[tuple[Path, int, int]] = []
    for path in paths:
        found.cassettes += 1
        size = size_of(path)
        found.bytes += size
        try:
            cassette = Library(path.parent).load(path)
        except CassetteError:
            found.unreadable += 1
            sizes.append((path, size, 0))
            continue
        sizes.append((path, size, len(cassette.interactions)))
        found.interactions += len(cassette.interactions)
        found.formats[cassette.origin] += 1
        for each in cassette.interactions:
            found.hosts[_host(each.request.url)] += 1
            found.methods[each.request.method] += 1
            answer = each.response
            found.statuses[f"failed: {answer.kind}" if isinstance(answer, Failure) else str(answer.status)] += 1
        at = recorded_at(cassette)
        found.ages[_age(at, now)] += 1
        if at is not None:
            found.oldest = min(at, found.oldest or at)
            found.newest = max(at, found.newest or at)
    found.biggest = sorted(sizes, key=lambda each: -each[1])[:top]
    return found


def _age(at: int | None, now: int) -> str:
    if at is None:
        return "unknown"
    days = (now - at) / 86_400e6
    return next((f"up to {name}" for name, most in AGES if days <= most), "older")


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "none"
    except ValueError:
        return "none"
