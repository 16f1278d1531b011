"""The fixes of a library's findings, and the way back: what a fix touches is kept first, as it was.

    .respool/cassette-backups/20260131T101500Z-1/
      manifest.json      {"v": 1, "at", "why", "undone", "files": [["tests/cassettes/a.json", "0/a.json" or null], ...],
                          "moved": [[where it is now, where it was], ...]}
      0/a.json           the first file as it was, with its side files; null: it was not there
      moved/             folders that were in the way
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from respool.cassette import placing
from respool.cassette.cleaning import cleaned
from respool.cassette.library import Library
from respool.cassette.mapping.observed import stamp as stamp_of
from respool.cassette.redaction import Redaction
from respool.clock import rfc3339
from respool.errors import CassetteBusy, RespoolError, UsageError
from respool.files import Aside, private_folder, write_atomic
from respool.findings import Finding, Fix
from respool.phrases import counted

BACKUPS = "cassette-backups"
MANIFEST = "manifest.json"
_PATIENCE = 30.0
_AT_ONCE = 100
_ORDER = ("finish_swap", "clear_staging", "redact", "drop", "delete")


class Fixed(NamedTuple):
    """What became of one fix."""

    code: str
    subject: str
    fixed: bool
    message: str


@dataclass(slots=True)
class Backup:
    """Files as they were `at` (UTC microseconds), in `folder`; paths are below the folder that holds the state folder.

    `beside` names the backup of something else that was made in the same repair, so that both can go back together.
    """

    folder: Path
    at: int
    why: str
    files: list[tuple[str, str | None]]
    moved: list[list[str]] = field(default_factory=list)
    undone: bool = False
    beside: str = ""

    def save(self) -> None:
        """Write the manifest; without one a folder is no backup."""
        names = ("at", "why", "undone", "files", "moved", "beside")
        data = {"v": 1, **{name: getattr(self, name) for name in names}}
        write_atomic(self.folder / MANIFEST, json.dumps(data, indent=1))

    def keep(self, state: Path, paths: Iterable[Path]) -> None:
        """Keep these files as they are now, also that one of them is not there. The caller holds their locks."""
        for path in paths:
            kept = f"{len(self.files)}/{path.name}" if path.is_file() else None
            if kept is not None:
                place = self.folder / kept
                private_folder(place.parent)
                placing.put(place, placing.taken(path))
            self.files.append((_below(state, path), kept))
        self.save()

    @property
    def aside(self) -> Aside:
        """The folders that are in this backup."""
        return Aside(self.folder, self.moved, self.save)


def plan(finding: Finding) -> str:
    """What the fix of a finding would do, in words; empty if it has none."""
    fix = finding.fix
    if fix is None:
        return ""
    return {
        "delete": "delete it, with its side files",
        "redact": "redact it again, with the rules of the project",
        "drop": f"take out {counted(len(fix.arguments.get('places', ())), 'interaction')}",
        "clear_staging": "move the folder into the backup",
        "finish_swap": "carry out what was begun",
    }[fix.name]


def fix(
    state: Path, findings: Iterable[Finding], redaction: Redaction, now: int,
) -> tuple[list[Fixed], Backup | None]:  # fmt: skip
    """Carry out the fixes, in an order in which none spoils another.

    First everything that they touch is kept in a backup, which `undo` brings back. A fix that fails is told, and stops
    none of the others. Raises OSError if nothing can be kept: what is not kept is not changed.
    """
    todo = {_name(each.fix): each for each in findings if each.fix is not None}
    if not todo:
        return [], None
    chosen = sorted(todo.values(), key=lambda each: _ORDER.index(each.fix.name) if each.fix is not None else 0)
    backup = begun(state, "fix", now)
    rest = [each for each in chosen if _path(each) is None]
    done = [_Repairs({}, redaction, backup).one(finding) for finding in rest]
    paths = sorted({path for each in chosen if (path := _path(each)) is not None})
    for some in _batches(paths):
        theirs = [each for each in chosen if _path(each) in some]
        try:
            with _held(some) as libraries:
                backup.keep(state, some)
                repairs = _Repairs(libraries, redaction, backup)
                done += [repairs.one(finding) for finding in theirs]
        except CassetteBusy as error:
            done += [Fixed(each.code, each.subject, False, str(error)) for each in theirs]
    return done, backup


def _path(finding: Finding) -> Path | None:
    """The cassette that a fix is about."""
    path = finding.fix.arguments.get("path") if finding.fix is not None else None
    return None if path is None else Path(path)


def _batches(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    """As many at a time as may be locked at once: each lock is an open file."""
    return (paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE))


def _name(fix: Fix | None) -> str:
    return json.dumps([fix.name, fix.arguments], sort_keys=True) if fix is not None else ""


@contextmanager
def _held(paths: Iterable[Path]) -> Iterator[dict[Path, Library]]:
    """The libraries of these files, each by its folder, with the locks of the files: a lock belongs to its library."""
    libraries: dict[Path, Library] = {}
    with ExitStack() as locks:
        for path in paths:
            library = libraries.setdefault(path.parent, Library(path.parent))
            locks.enter_context(library.lock(path, wait=_PATIENCE))
        yield libraries


class _Repairs:
    """The fixes by name; each says what it did."""

    def __init__(self, libraries: Mapping[Path, Library], redaction: Redaction, backup: Backup) -> None:
        self._libraries, self._redaction, self._backup = libraries, redaction, backup

    def one(self, finding: Finding) -> Fixed:
        """Carry one out; what goes wrong is told."""
        assert finding.fix is not None
        try:
            message: str = getattr(self, finding.fix.name)(**finding.fix.arguments)
            return Fixed(finding.code, finding.subject, True, message)
        except (RespoolError, OSError) as error:
            return Fixed(finding.code, finding.subject, False, str(error))

    def delete(self, path: str) -> str:
        self._libraries[Path(path).parent].delete(Path(path))
        return "deleted"

    def redact(self, path: str) -> str:
        library = self._libraries[Path(path).parent]
        cassette = library.load(Path(path))
        clean = cleaned(cassette.interactions, self._redaction.fresh(), path)
        changed = sum(1 for was, now in zip(cassette.interactions, clean, strict=True) if was != now)
        library.save(Path(path), replace(cassette, interactions=clean))
        return f"{counted(changed, 'interaction was', 'interactions were')} redacted"

    def drop(self, path: str, places: Sequence[int], stamp: Sequence[int]) -> str:
        if list(stamp_of(path)) != list(stamp):
            raise CassetteBusy("it has changed since it was looked at", where=path, command="respool cassettes check")
        library = self._libraries[Path(path).parent]
        cassette = library.load(Path(path))
        kept = tuple(each for place, each in enumerate(cassette.interactions) if place not in places)
        library.save(Path(path), replace(cassette, interactions=kept))
        taken = len(cassette.interactions) - len(kept)
        return f"{counted(taken, 'interaction was', 'interactions were')} taken out"

    def finish_swap(self, journals: str) -> str:
        left = placing.roll_forward(Path(journals))
        told = f"; left as they are, for somebody has changed them since: {', '.join(map(str, left))}" if left else ""
        return f"what was begun is carried out{told}"

    def clear_staging(self, folder: str) -> str:
        self._backup.aside.take(Path(folder))
        return f"moved to {self._backup.folder}"


def begun(state: Path, why: str, now: int) -> Backup:
    """A new backup that holds nothing yet. Raises OSError."""
    second = rfc3339(now)[:19].replace("-", "").replace(":", "") + "Z"
    number = 1
    while (folder := state / BACKUPS / f"{second}-{number}").exists():
        number += 1
    backup = Backup(private_folder(folder), now, why, [])
    backup.save()
    return backup


def _below(state: Path, path: Path) -> str:
    return path.relative_to(state.parent).as_posix() if path.is_relative_to(state.parent) else str(path)


def backups(state: Path) -> list[Backup]:
    """The backups that are complete, the latest first."""
    found = []
    for manifest in (state / BACKUPS).glob(f"*/{MANIFEST}"):
        try:
            data = json.loads(manifest.read_bytes())
            files = [(str(path), None if kept is None else str(kept)) for path, kept in data["files"]]
            moved = [[str(now), str(was)] for now, was in data["moved"]]
            told = int(data["at"]), str(data["why"])
            found.append(Backup(manifest.parent, *told, files, moved, bool(data["undone"]), str(data["beside"])))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # not completed, or not ours
    return sorted(found, key=lambda each: (each.at, each.folder.name), reverse=True)


def undo(state: Path, now: int) -> tuple[Backup, Backup]:
    """Exchange the files of the last backup with what is there: (what was put back, where the present state is kept now).

    Undoing twice in a row ends where it began. Raises UsageError if there is nothing to undo.
    """
    last = next((each for each in backups(state) if not each.undone), None)
    if last is None:
        raise UsageError("there is nothing to undo", where=str(state / BACKUPS), why="no fix of cassettes was made here")
    aside = begun(state, "undo", now)
    kept = {state.parent / name: copy for name, copy in last.files}
    for some in _batches(list(kept)):
        with _held(some):
            aside.keep(state, some)
            for path in some:
                if (copy := kept[path]) is not None:
                    placing.put(path, placing.taken(last.folder / copy))
                elif path.is_file():
                    placing.remove(path)
    last.aside.give_back(aside.aside)
    last.undone = True
    last.save()
    return last, aside
