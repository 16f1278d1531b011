"""One backup of the doctor: a copy of the spool, the files that a repair moved away, and a manifest that says how to go
back.

    .respool/spool.db.files/backups/20260131T101500Z-1/
      manifest.json      {"v", "at", "why", "raw", "moved": [[where it is now, where it was]], "notes", "undone"}
      spool.db           the spool as it was (with its -wal if it could only be copied as raw files)
      moved/             files that were in the way
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from respool.batch.places import Places
from respool.batch.store.backups import Identity, back_up, identify, install, keep_files, restore
from respool.batch.store.connection import Database
from respool.clock import Clock, rfc3339
from respool.errors import SpoolUnreadable, UsageError
from respool.files import Aside, private_folder, write_atomic

MANIFEST = "manifest.json"


@dataclass(slots=True)
class Backup:
    """A backup folder. `raw`: the spool could not be read and was copied as files. Instants are UTC microseconds."""

    folder: Path
    at: int
    why: str
    raw: bool = False
    moved: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    undone: bool = False

    @property
    def copy(self) -> Path:
        """The spool as it was."""
        return self.folder / "spool.db"

    def save(self) -> None:
        """Write the manifest. A folder without one is no backup: it was never completed."""
        data = {"v": 1, **{name: value for name, value in asdict(self).items() if name != "folder"}}
        write_atomic(self.folder / MANIFEST, json.dumps(data, indent=1))

    @property
    def aside(self) -> Aside:
        """The files and folders that are in this backup."""
        return Aside(self.folder, self.moved, self.save)


def take(places: Places, clock: Clock, why: str, *, damaged: bool = False) -> Backup:
    """Back the spool up as it is now, as the holder of the owner lock; a `damaged` one byte by byte."""
    now = clock.now()
    stamp = rfc3339(now)[:19].replace("-", "").replace(":", "") + "Z"
    private_folder(places.files)
    number = 1
    while (folder := places.backups / f"{stamp}-{number}").exists():
        number += 1
    backup = Backup(private_folder(folder), now, why, raw=damaged or identify(places) is not Identity.SPOOL)
    if not backup.raw:
        try:
            with Database.open(places, clock=clock) as database:
                back_up(database, backup.copy)
        except SpoolUnreadable:
            backup.raw = True
    if backup.raw:
        kept = keep_files(places, folder)
        for path in [kept, *folder.glob(f"{kept.name}-wal")]:
            path.rename(path.with_name("spool.db" + path.name.removeprefix(kept.name)))
    backup.save()
    return backup


def latest(places: Places) -> Backup:
    """The last backup that was not undone. Raises UsageError if there is none."""
    for manifest in sorted(places.backups.glob(f"*/{MANIFEST}"), key=lambda path: _order(path.parent), reverse=True):
        try:
            data = json.loads(manifest.read_bytes())
            data.pop("v")
            backup = Backup(manifest.parent, **data)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue  # not completed, or not ours
        if not backup.undone and backup.copy.exists():
            return backup
    raise UsageError("there is nothing to undo", where=str(places.backups), why="the doctor has made no backup here")


def _order(folder: Path) -> tuple[str, int]:
    stamp, _, number = folder.name.rpartition("-")
    return stamp, int(number) if number.isdecimal() else 0


def put_back(places: Places, clock: Clock) -> tuple[Backup, Backup]:
    """Exchange the spool with its last backup: (what was put back, where the present state is kept now).

    Undoing twice in a row ends where it began. Files that a repair moved away go back to where they were.
    """
    backup = latest(places)
    aside = take(places, clock, "undo")
    if backup.raw or aside.raw:
        log = backup.copy.with_name(backup.copy.name + "-wal")
        install(places, backup.copy, log=log if backup.raw else None)
    else:
        with Database.open(places, clock=clock) as database:
            restore(database, backup.copy)
    backup.aside.give_back(aside.aside)
    backup.undone = True
    backup.save()
    return backup, aside
