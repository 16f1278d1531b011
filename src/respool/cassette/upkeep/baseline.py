"""Findings that a project lives with for a while: each with a reason, and with a day on which that ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from respool.cassette.upkeep.checks import Spotted
from respool.clock import rfc3339
from respool.errors import UsageError
from respool.files import write_atomic
from respool.findings import Severity

FILE = "cassettes-baseline.json"
"""Where a project's baseline is if nobody says another place, below its root."""

_DAY = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")


class Entry(NamedTuple):
    """One accepted finding: `expires` is the last day (UTC, YYYY-MM-DD) on which it is."""

    code: str
    path: str
    fingerprint: str
    reason: str
    expires: str
    message: str = ""


class Judged(NamedTuple):
    """Findings that count, and those that the baseline accepts with their entries."""

    left: list[Spotted]
    accepted: list[tuple[Spotted, Entry]]

    @property
    def passes(self) -> bool:
        """Whether no warning and no error is left."""
        return all(finding.severity is Severity.INFO for finding in self.left)


def load(path: Path) -> list[Entry]:
    """The entries of a baseline file. Raises UsageError, naming the entry, for what has no reason or no last day."""
    try:
        document = json.loads(path.read_text("utf-8"))
        entries = document["entries"]
        if document["v"] != 1 or not isinstance(entries, list):
            raise ValueError("it is of another version")
    except FileNotFoundError:
        raise UsageError(f"there is no baseline {str(path)!r}", command="respool cassettes check --write-baseline") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{str(path)!r} is no baseline: {error}", where=str(path)) from None
    return [_entry(number, each, path) for number, each in enumerate(entries, 1)]


def _entry(number: int, given: Any, path: Path) -> Entry:
    where = f"{path}, entry {number}"
    if not isinstance(given, dict) or not all(isinstance(given.get(name, ""), str) for name in Entry._fields):
        raise UsageError(f"an entry of a baseline is an object of texts, not {given!r:.80}", where=where)
    for name in ("code", "path", "fingerprint", "reason"):
        if not given.get(name, "").strip():
            raise UsageError(f"an entry of a baseline needs its {name!r}", where=where, why="nothing is accepted without")
    if not _DAY.fullmatch(given.get("expires", "")):
        told = f"expires = {given.get('expires')!r} is no day such as 2027-01-31"
        raise UsageError(told, where=where, why="nothing is accepted for ever")
    return Entry(**{name: given.get(name, "") for name in Entry._fields})


def day(text: str) -> str:
    """A day as people give it, checked. Raises UsageError.

    >>> day("2027-01-31")
    '2027-01-31'
    """
    if not _DAY.fullmatch(text.strip()):
        raise UsageError(f"{text!r} is no day such as 2027-01-31")
    return text.strip()


def judged(found: Iterable[Spotted], entries: Sequence[Entry], now: int, file: str, *, whole: bool = True) -> Judged:
    """What is left of the findings `now` (UTC microseconds). Expired entries of the baseline `file` are findings
    themselves, and so are, where `found` tells of the `whole` project, those that nothing is found for."""
    today = rfc3339(now)[:10]
    by_print = {entry.fingerprint: entry for entry in entries}
    left: list[Spotted] = []
    accepted: list[tuple[Spotted, Entry]] = []
    used: set[str] = set()
    for finding in found:
        entry = by_print.get(finding.fingerprint)
        if entry is None:
            left.append(finding)
            continue
        used.add(entry.fingerprint)
        if entry.expires >= today:
            accepted.append((finding, entry))
            continue
        left += [finding, Spotted(
            "BASELINE_EXPIRED", Severity.WARNING, f"{entry.path}, {entry.code}",
            f"it was accepted until {entry.expires}: {entry.reason}",
            "mend it, or accept it again: respool cassettes check --write-baseline", None, file, entry.fingerprint,
        )]  # fmt: skip
    left += [
        Spotted(
            "BASELINE_IDLE", Severity.INFO, f"{entry.path}, {entry.code}", "nothing is found any more that it accepts",
            "take it out, or let respool cassettes check --write-baseline do so", None, file, entry.fingerprint,
        ) for entry in entries if whole and entry.fingerprint not in used
    ]  # fmt: skip
    return Judged(left, accepted)


class Merged(NamedTuple):
    """What a new baseline holds: entries that stay, and findings that are accepted for the first time (or again)."""

    kept: list[Entry]
    fresh: list[Spotted]

    def with_fresh(self, reason: str, expires: str) -> list[Entry]:
        """All entries; the fresh ones have this reason and last day."""
        fresh = [Entry(each.code, each.path, each.fingerprint, reason, expires, each.message) for each in self.fresh]
        made = {entry.fingerprint: entry for entry in (*self.kept, *fresh)}
        return sorted(made.values(), key=lambda entry: (entry.path, entry.code))


def merged(found: Iterable[Spotted], entries: Iterable[Entry], now: int, *, whole: bool = True) -> Merged:
    """The entries that are still of use, and the findings that have none.

    What has expired is not accepted any more. Entries that nothing was found for go if `found` is the `whole` project.
    """
    today = rfc3339(now)[:10]
    valid = {entry.fingerprint: entry for entry in entries if entry.expires >= today}
    counts = [each for each in found if each.severity is not Severity.INFO and not each.code.startswith("BASELINE_")]
    prints = {each.fingerprint for each in counts}
    kept = [entry for entry in valid.values() if entry.fingerprint in prints or not whole]
    return Merged(kept, [each for each in counts if each.fingerprint not in valid])


def save(path: Path, entries: Iterable[Entry]) -> None:
    """Write a baseline file. Raises OSError."""
    document = {"v": 1, "entries": [entry._asdict() for entry in entries]}
    write_atomic(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n", mode=0o644)
