"""The doctor of a project's cassettes: the findings of a check, and what killed runs have left, with fix and undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from respool.cassette.library import Library
from respool.cassette.upkeep import baseline, fixes
from respool.cassette.upkeep.checks import Order, check, redaction_of
from respool.cassette.upkeep.fixes import Backup, Fixed
from respool.cassette.upkeep.remains import remains
from respool.cassette.upkeep.settings import UpkeepSettings
from respool.findings import Finding


@dataclass(slots=True)
class Look:
    """What the doctor saw; after its repairs, if it made any, with what became of them."""

    findings: list[Finding]
    cassettes: int
    fixes: list[Fixed] = field(default_factory=list)
    backup: Backup | None = None


def diagnose(settings: UpkeepSettings, now: int, environ: Mapping[str, str]) -> Look:
    """Look at the project's cassettes without changing anything, and without asking any service for its version.

    What the project's baseline accepts is left out. Raises UsageError for settings and baselines that cannot be read.
    """
    seen = check(Order(settings, now, environ=environ))
    place = settings.root / (settings.baseline or baseline.FILE)
    entries = baseline.load(place) if settings.baseline or place.exists() else []
    left = baseline.judged(seen.findings, entries, now, settings.named(place)).left
    return Look([*remains(settings.root / ".respool"), *left], len(seen.looked_at))


def fix(settings: UpkeepSettings, now: int, environ: Mapping[str, str]) -> Look:
    """Back up, repair what can be repaired, look again."""
    before = diagnose(settings, now, environ)
    if not any(finding.fixable for finding in before.findings):
        return before
    done, backup = fixes.fix(_state(settings), before.findings, redaction_of(settings, environ), now)
    after = diagnose(settings, now, environ)
    after.fixes, after.backup = done, backup
    return after


def last_backup(settings: UpkeepSettings) -> Backup | None:
    """What `undo` would bring back."""
    return next((each for each in fixes.backups(settings.root / ".respool") if not each.undone), None)


def undo(settings: UpkeepSettings, now: int) -> tuple[Fixed, Backup]:
    """Exchange the cassettes of the last fix with what it kept; and where the present state is kept now."""
    back, aside = fixes.undo(_state(settings), now)
    names = ", ".join([*(name for name, _ in back.files), *(was for _, was in back.moved)])
    return Fixed("UNDO", names, True, f"as before the last {back.why}; what was there is kept in {aside.folder}"), aside


def _state(settings: UpkeepSettings) -> Path:
    return Library(settings.root).state()
