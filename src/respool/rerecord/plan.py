"""From what was asked for to the units that are recorded, each with its reason. Nothing is run and nothing written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Literal

from respool.cassette.mapping import observed
from respool.cassette.mapping.scan import TestMap, scan
from respool.cassette.upkeep.age import stale
from respool.cassette.upkeep.settings import load_upkeep
from respool.cassette.upkeep.upstream import version_of
from respool.errors import NothingMatches
from respool.phrases import counted
from respool.rerecord import selection
from respool.rerecord.history import Ended
from respool.rerecord.settings import TABLE, Settings
from respool.rerecord.units import Unit, units

Choice = Literal["priority", "all", "failures", "stale", "paths"]

@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line selects: `paths` are relative to the root; with "failures" and "stale" they narrow it."""

    choice: Choice
    paths: tuple[str, ...] = ()

    @property
    def job(self) -> str:
        """The name of the job: the same selection goes on where it stopped."""
        option = f" --{self.choice}" if self.choice in ("all", "failures", "stale") else ""
        return " ".join([f"rerecord{option}", *sorted(self.paths)])


@dataclass(frozen=True, slots=True)
class Planned:
    """A unit, and why it is in the plan."""

    unit: Unit
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be recorded, in order. `never_recorded` are tests without a cassette, `orphans` cassettes without a test,
    `silent` the commands that were to tell the version of a service and did not."""

    units: tuple[Planned, ...]
    never_recorded: tuple[str, ...]
    orphans: tuple[str, ...]
    unread: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        return sum(len(each.unit.files) for each in self.units)


def survey(settings: Settings) -> TestMap:
    """The map of the project's tests and cassettes: what they say, joined with what runs observed."""
    seen = observed.read(settings.root / ".respool", settings.root)
    paths = [Path(folder) for folder in settings.tests]
    return scan(settings.root, paths, folder=settings.folder, test_files=settings.test_files, observed=seen)


def make_plan(asked: Asked, settings: Settings, tests: TestMap, failed: Mapping[str, Ended], now: int) -> Plan:
    """The plan. `failed` are the files whose own latest attempt failed, `now` is UTC microseconds.

    Raises UsageError where a setting that the selection needs is missing, NothingMatches for one that fits nothing.
    """
    root = settings.root
    entries = {_relative(file, root): entry for file, entry in tests.files.items()}
    known = {file: {_relative(path, root) for path in entry.cassettes} for file, entry in entries.items()}
    marked = sorted(file for file, entry in entries.items() if entry.marked or entry.cassettes)
    chosen = _chosen(asked, settings, marked, known, failed, now)
    # Only cassettes below the root can be recorded in staging.
    inside = {file: {path for path in names if not path.startswith("../")} for file, names in known.items()}
    planned = [
        Planned(unit, next(chosen[file] for file in unit.files if file in chosen)) for unit in units(chosen, inside)
    ]
    return Plan(
        tuple(planned), tuple(missing.test for missing in tests.missing),
        tuple(_relative(path, root) for path in tests.orphans),
        tuple(f"{_relative(each.file, root)}: {each.why}" for each in tests.unread),
        _silent(settings) if asked.choice == "stale" else (),
    )  # fmt: skip


def _chosen(
    asked: Asked, settings: Settings, marked: Sequence[str], known: Mapping[str, set[str]], failed: Mapping[str, Ended],
    now: int,
) -> dict[str, str]:  # fmt: skip
    """File → reason, in order."""
    narrowed = _named(asked.paths, settings, marked) if asked.paths else list(marked)
    if not narrowed:
        raise NothingMatches(
            "no test file here names a cassette", where=", ".join(settings.tests),
            why=f"looked for marks and calls in files named {', '.join(settings.test_files)}",
            command=f"mark a test with @pytest.mark.cassette, or set tests in {TABLE}",
        )  # fmt: skip
    if asked.choice == "paths":
        return dict.fromkeys(narrowed, "named")
    if asked.choice == "all":
        return {file: _priority(file, settings) or "all" for file in selection.prioritised(narrowed, settings.priority)}
    if asked.choice == "failures":
        ordered = selection.prioritised([file for file in failed if not asked.paths or file in narrowed], settings.priority)
        return {file: f"failed: {failed[file].kind}" for file in ordered if (settings.root / file).is_file()}
    if asked.choice == "stale":
        told = _stale({file: known.get(file, set()) for file in narrowed}, settings, now)
        return {file: told[file] for file in selection.prioritised(told, settings.priority)}
    if not settings.priority:
        raise selection.no_patterns()
    ordered = selection.by_priority(narrowed, settings.priority)
    if not ordered:
        raise NothingMatches(
            f"no test file fits {' or '.join(settings.priority)}", where=f"priority in {TABLE}",
            why=f"{counted(len(narrowed), 'test file')} with cassettes, such as {narrowed[0]}",
            command="respool rerecord --all",
        )  # fmt: skip
    return {file: _priority(file, settings) for file in ordered}


def _named(paths: Sequence[str], settings: Settings, marked: Sequence[str]) -> list[str]:
    """The files that the paths name: a file that is named itself counts even if nobody knows a cassette of it."""
    itself = [path for path in paths if path.endswith(".py") and (settings.root / path).is_file()]
    found, idle = selection.below({*marked, *itself}, paths)
    if idle:
        raise _nothing_in(idle[0], settings)
    return found


def _nothing_in(path: str, settings: Settings) -> NothingMatches:
    """The error of a path that names no test file."""
    file, _, test = path.partition("::")
    place, where = settings.root / path, str(settings.root)
    if test and (settings.root / file).is_file():
        return NothingMatches(
            f"{path!r} is a single test", where=where, why="a cassette is recorded by all tests of its file, or not at all",
            command=f"respool rerecord {quote(file)}",
        )  # fmt: skip
    if place.is_file():
        named = f"their names fit {', '.join(settings.test_files)}"
        return NothingMatches(f"{path!r} is no test file", where=where, why=named, command="respool rerecord --all --dry-run")
    told = f"no test file in {path!r} names a cassette" if place.exists() else f"there is no {path!r}"
    return NothingMatches(told, where=where, command="respool rerecord --all --dry-run")


def _priority(file: str, settings: Settings) -> str:
    return next((f"priority {pattern}" for pattern in settings.priority if selection.matches(pattern, file)), "")


def _stale(known: Mapping[str, set[str]], settings: Settings, now: int) -> dict[str, str]:
    """The files with a cassette that is stale, or was never recorded, and why."""
    upkeep = load_upkeep(settings.root)
    upkeep.need_schedule()
    files: dict[Path, list[str]] = {}
    never: dict[str, str] = {}
    for file, names in known.items():
        for name in names:
            path = settings.root / name
            if path.is_file():
                files.setdefault(path, []).append(file)
            elif "*" not in name:
                never.setdefault(file, f"never recorded: {name}")
    reasons: dict[str, list[str]] = {}
    for each in stale(files, now, upkeep, lambda command: version_of(command, settings.root)):
        for file in files[each.cassette]:
            reasons.setdefault(file, []).append(f"{_relative(each.cassette, settings.root)}: {each.reason}")
    return never | {file: told[0] + (f" (and {len(told) - 1} more)" if told[1:] else "") for file, told in reasons.items()}


def _silent(settings: Settings) -> tuple[str, ...]:
    """The declared commands that do not tell a version: by them nothing is stale."""
    commands = sorted(set(load_upkeep(settings.root).upstream.values()))
    return tuple(command for command in commands if version_of(command, settings.root) is None)


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def narrowed(asked: Asked, here: Path, root: Path) -> Asked:
    """The same with paths as typed in the folder `here`, made relative to the root."""
    return replace(asked, paths=tuple(_relative(here / path, root) for path in asked.paths))
