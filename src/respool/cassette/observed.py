"""What runs observed: which test opened which cassette, and what of it was not played.

A process that runs tests notes each cassette as it closes, and writes one file at its end:

    .respool/observed/SESSION-PID.json
      {"v": 1, "run": "...", "at": 1767225600000000, "root": "/work/project", "whole": true, "failed": ["tests/..."],
       "opened": [["tests/test_a.py::test_one", "tests/cassettes/a.json", 3, [2], [1210, 1767225600000000000]], ...]}

Readers join the files; of a test, the latest run counts. Interactions are told by what was *not* played: mostly nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = "observed"
KEPT = 40  # files of runs; from here on the oldest are joined into one


class Opened(NamedTuple):
    """One use of a cassette by a test: `unplayed` are indices of its `interactions`, as it was when its file had `stamp`.

    `interactions` is -1 where there was no file, and the test passed without.
    """

    cassette: Path
    interactions: int
    unplayed: tuple[int, ...]
    stamp: tuple[int, int]


class Observed(NamedTuple):
    """All runs joined: test id (with its file relative to the root) → what it opened in its latest run that passed."""

    tests: dict[str, tuple[Opened, ...]]


def stamp(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The size and the time of change of a file, (-1, 0) if it is not there: as long as they stay, so did its content."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, 0
    return found.st_size, found.st_mtime_ns


def read(state: Path, root: Path) -> Observed:
    """What the runs in the state folder (`.respool/`) observed of the tests below `root`. What cannot be read is no run."""
    import json

    tests: dict[str, tuple[str, tuple[Opened, ...]]] = {}
    runs: list[dict[str, Any]] = []
    for file in sorted((state / FOLDER).glob("*.json")):
        try:
            runs.append(_checked(json.loads(file.read_bytes())))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    for run in sorted(runs, key=lambda each: each["at"]):
        for test, opened in _by_test(run, root).items():
            earlier = tests.get(test)
            # The processes of one run tell one story; a later run tells a new one.
            joined = (*earlier[1], *opened) if earlier is not None and earlier[0] == run["run"] else tuple(opened)
            tests[test] = (run["run"], joined)
    return Observed({test: opened for test, (_, opened) in tests.items()})


def _by_test(run: dict[str, Any], root: Path) -> dict[str, list[Opened]]:
    here = Path(run["root"])
    failed = set(run["failed"])
    found: dict[str, list[Opened]] = {}
    for test, cassette, interactions, unplayed, (size, changed) in run["opened"]:
        name, mark, rest = test.partition("::")
        file = os.path.relpath(here / name, root) if name else ""
        # Of a test that failed only the opening counts: it may have ended early.
        told = tuple(range(0)) if test in failed else tuple(unplayed)
        seen = (-1, 0) if test in failed else (size, changed)
        found.setdefault(f"{file}{mark}{rest}", []).append(Opened(here / cassette, interactions, told, seen))
    return found


def _checked(run: dict[str, Any]) -> dict[str, Any]:
    if run["v"] != 1 or not isinstance(run["at"], int):
        raise ValueError("another version")
    for test, cassette, interactions, unplayed, (size, changed) in run["opened"]:
        if not (isinstance(test, str) and isinstance(cassette, str) and all(
            type(number) is int for number in (interactions, size, changed, *unplayed)
        )):  # fmt: skip
            raise ValueError("no observation")
    return run


def names(opened: Iterable[Opened]) -> set[Path]:
    """The cassettes of these uses."""
    return {each.cassette for each in opened}
