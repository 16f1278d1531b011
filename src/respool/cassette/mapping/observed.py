"""What runs observed: which test opened which cassette, and what of it was not played.

A process that runs tests notes each cassette as it closes (microseconds), and writes one file at its end (a worker of
pytest-xdist hands its notes to the process that started it):

    .respool/observed/1767225600000000-4711.json
      {"v": 1, "runs": [{"run": "...", "at": 1767225600000000, "root": "/work/project", "opened": [
        ["tests/test_a.py::test_one", "tests/cassettes/a.json", 3, [2], [1210, 1767225600000000000]], ...]}]}

Readers join the files: of a test, the latest run counts.
Interactions are told by what was *not* played, mostly nothing; null stands for a use that shows nothing about it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from respool.cassette.model import Mode

if TYPE_CHECKING:
    from respool.cassette.deck import Deck

FOLDER = "observed"
KEPT = 40  # files; the write that finds more joins them into one


class Opened(NamedTuple):
    """One use of a cassette: `unplayed` are indices of its `interactions` (None: this use shows nothing about them).

    `stamp` is that of the file after the run: (-1, 0) if there was none.
    """

    cassette: Path
    interactions: int
    unplayed: frozenset[int] | None
    stamp: tuple[int, int]


class Observed(NamedTuple):
    """All runs joined: the id of a test, class or module ("" for a whole run) → what it opened, in its latest run."""

    tests: dict[str, tuple[Opened, ...]]


class Note(NamedTuple):
    """A cassette that was closed: `test` is whom it was opened for, if that was said, `by` the test that ran then."""

    path: str
    test: str
    by: str
    interactions: int
    unplayed: tuple[int, ...]


NOTES: list[Note] = []
"""Of this process, in the order of closing; only while pytest runs."""


def note(deck: Deck, by: str) -> None:
    """Take down that `deck` was closed. `by` is what PYTEST_CURRENT_TEST said as it was opened; without, nobody asks."""
    if by and deck.name and deck.mode is not Mode.BYPASS:
        plays = deck.mode is not Mode.RERECORD
        count = len(deck.cassette.interactions) if plays else deck.recorded
        NOTES.append(Note(os.path.join(os.getcwd(), deck.name), deck.test, by, count, deck.unplayed if plays else ()))


class Session(NamedTuple):
    """How a run of pytest went in this process: the tests that `passed`, `whole` if it ran every test of its modules,
    `full` if it ran every test of the project."""

    root: Path
    run: str
    passed: frozenset[str]
    whole: bool
    full: bool


def write(state: Callable[[], Path], session: Session, notes: Iterable[Note], at: int) -> None:
    """Keep the notes of a run that has ended `at`, in the folder that `state` makes (`.respool/`). Raises OSError.

    A run that opened nothing of the project leaves nothing behind.
    """
    from respool import canonical
    from respool.files import private_folder, write_atomic

    stamps: dict[str, list[int]] = {}
    rows = []
    inside = os.path.join(session.root, "")
    for each in notes:
        if not each.path.startswith(inside):
            continue  # in a scratch folder: nothing of the project
        if each.path not in stamps:
            stamps[each.path] = list(stamp(each.path))
        test, shows = _meaning(each, session)
        path = each.path.removeprefix(inside)
        rows.append([test, path, each.interactions, list(each.unplayed) if shows else None, stamps[each.path]])
    if not rows:
        return
    run = {"run": session.run, "at": at, "root": str(session.root), "opened": rows}
    folder = private_folder(state() / FOLDER)
    write_atomic(folder / f"{at}-{os.getpid()}.json", canonical.encode({"v": 1, "runs": [run]}), durable=False)
    if len(os.listdir(folder)) > KEPT:
        _join(folder)


def _meaning(each: Note, session: Session) -> tuple[str, bool]:
    """The test that a note is about, and whether it shows what of the cassette is not needed."""
    by, _, phase = each.by.rpartition(" (")
    if by == each.test or (not each.test and phase == "call)"):
        # Parameters may share a cassette: then one of them says nothing about the whole of it.
        return by, by in session.passed and (session.whole or "[" not in by)
    if each.test:
        return each.test, session.whole  # a class or a module
    return by, session.full  # a fixture of whatever scope


def stamp(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The size and the time of change of a file, (-1, 0) if it is not there: as long as they stay, so does its content."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, 0
    return found.st_size, found.st_mtime_ns


def read(state: Path, root: Path) -> Observed:
    """What was observed of the tests below `root`. A file that is not one of these is passed over: it shows nothing."""
    tests: dict[str, tuple[str, tuple[Opened, ...]]] = {}
    runs = [run for file in sorted((state / FOLDER).glob("*.json")) for run in _runs(file)]
    for run in sorted(runs, key=lambda each: int(each["at"])):
        for test, opened in _by_test(run, root).items():
            earlier = tests.get(test)
            joined = (*earlier[1], *opened) if earlier is not None and earlier[0] == run["run"] else tuple(opened)
            tests[test] = (run["run"], joined)
    return Observed({test: opened for test, (_, opened) in tests.items()})


def _by_test(run: dict[str, Any], root: Path) -> dict[str, list[Opened]]:
    here = run["root"]
    found: dict[str, list[Opened]] = {}
    for test, cassette, interactions, unplayed, (size, changed) in run["opened"]:
        file, mark, rest = test.partition("::")
        name = file if not file or here == str(root) else Path(os.path.relpath(os.path.join(here, file), root)).as_posix()
        left = None if unplayed is None else frozenset(unplayed)
        path = Path(os.path.normpath(os.path.join(here, cassette)))
        found.setdefault(f"{name}{mark}{rest}", []).append(Opened(path, interactions, left, (size, changed)))
    return found


def _runs(file: Path) -> list[dict[str, Any]]:
    """The runs of a file, those that have their right form."""
    import json

    try:
        document = json.loads(file.read_bytes())
        runs = document["runs"] if document["v"] == 1 else []
        return [run for run in runs if _formed(run)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def _formed(run: dict[str, Any]) -> bool:
    if type(run["at"]) is not int or {type(run["run"]), type(run["root"])} != {str}:
        return False
    for test, cassette, interactions, unplayed, (size, changed) in run["opened"]:
        numbers = (interactions, size, changed, *(() if unplayed is None else unplayed))
        texts = f"{test}{cassette}" if type(test) is type(cassette) is str else "\0"
        if "\0" in texts or any(type(number) is not int for number in numbers):
            return False
    return "\0" not in run["root"]


def _join(folder: Path) -> None:
    """Make one file of all, without what later runs have told anew."""
    from respool import canonical
    from respool.files import FileLock, write_atomic

    lock = FileLock(folder / "lock", windows=True)
    if not lock.acquire():
        return  # another process is at it
    try:
        files = sorted(folder.glob("*.json"))
        runs = sorted((run for file in files for run in _runs(file)), key=lambda each: int(each["at"]))
        latest = {f"{run['root']}\0{row[0]}": run["run"] for run in runs for row in run["opened"]}
        for run in runs:
            run["opened"] = [row for row in run["opened"] if latest[f"{run['root']}\0{row[0]}"] == run["run"]]
        kept = [run for run in runs if run["opened"]]
        write_atomic(folder / "0-joined.json", canonical.encode({"v": 1, "runs": kept}), durable=False)
        for file in files:
            if file.name != "0-joined.json":
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()
    finally:
        lock.release()


def names(opened: Iterable[Opened]) -> set[Path]:
    """The cassettes of these uses."""
    return {each.cassette for each in opened}
