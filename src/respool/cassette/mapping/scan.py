"""Which test plays which cassette: what a scan of the test files says, joined with what runs observed.

Nothing is imported and nothing is run. Where only a run can know a name (parameters, names that are put together), the
scan has a rule that holds for those names and for no other test's; what runs observed fills in the rest.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

from respool.cassette.library import SUFFIXES, Library
from respool.cassette.mapping import observed as runs
from respool.cassette.mapping.reading import Reading, read
from respool.cassette.mapping.wanted_names import Scope, Want, wants

SKIPPED = ("node_modules", "__pycache__", "site-packages", "build", "dist")
WORDS = (b"cassette", b"vcr", b"VCR", b"Recording")
TEST_FILES = ("test_*.py", "*_test.py")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One test file.

    `cassettes` are those that it names or was seen to open, there or not; `marked` says whether it names any at all,
    `dynamic` whether it holds names that only a run can tell.
    """

    cassettes: frozenset[Path]
    marked: bool
    dynamic: bool


class Missing(NamedTuple):
    """A test whose cassette is not there; `cassette` is its path, with * for what only a run can tell."""

    test: str
    cassette: str


class Unread(NamedTuple):
    """A test file that could not be read, and why: what it names is not known."""

    file: Path
    why: str


@dataclass(frozen=True, slots=True)
class TestMap:
    """Tests and cassettes, both ways. Paths are absolute; a test's id has its file relative to `root`, as pytest's has.

    `orphans` are cassettes in the folders of cassettes that no test names. An orphan in `doubtful` may yet belong to a
    test whose names only a run can tell, and that no run was seen to pass so far. `claims` are, of each cassette, the
    tests that were seen to play it, or that may by their names though it is not named after them. `seen` is what runs
    observed, without tests that are in their files no more.

    >>> import tempfile
    >>> scan(Path(tempfile.mkdtemp())).files
    {}
    """

    __test__: ClassVar[bool] = False  # for pytest: this is no class of tests

    root: Path
    files: Mapping[Path, FileEntry]
    missing: tuple[Missing, ...]
    orphans: tuple[Path, ...]
    doubtful: frozenset[Path]
    unread: tuple[Unread, ...]
    cassettes: tuple[Path, ...]
    owners: Mapping[Path, frozenset[str]] = field(repr=False)
    allowed: Mapping[Path, frozenset[int] | None] = field(repr=False)
    claims: Mapping[Path, frozenset[str]] = field(repr=False)
    seen: runs.Observed = field(repr=False)

    @classmethod
    def empty(cls, root: Path) -> TestMap:
        """The map of no test files at all."""
        return cls(root, {}, (), (), frozenset(), (), (), {}, {}, {}, runs.Observed({}))

    def tests_of(self, cassette: Path) -> tuple[str, ...]:
        """The ids of the tests that play `cassette`; a file alone stands for whatever in it does."""
        return tuple(sorted(self.owners.get(cassette, ())))

    def files_of(self, cassette: Path) -> tuple[Path, ...]:
        """The test files that play `cassette`."""
        return tuple(sorted({self.root / test.partition("::")[0] for test in self.tests_of(cassette)}))


def scan(
    root: Path, paths: Sequence[Path] = (), *, folder: str = "cassettes", test_files: Sequence[str] = TEST_FILES,
    observed: runs.Observed | None = None,
) -> TestMap:  # fmt: skip
    """Read the test files below `root` (the folder of the project, where pytest runs), or only those below `paths`.

    `folder` is the name of the folders of cassettes, `test_files` are globs of names. A file that is no Python is told
    in `unread`. Raises nothing for what the files say.
    """
    root = Path(os.path.abspath(root))
    seen = observed or runs.Observed({})
    found = _python_files(root, [root / path for path in paths])
    scopes, unread = _read_all(found, test_files, {root / test.partition("::")[0] for test in seen.tests})
    seen = _still_there(seen, {scope.file.relative_to(root).as_posix(): scope.reading for scope in scopes})
    there = _Shelf(cassettes_below(root, folder))
    joined = _Joined(root, there)
    for scope in scopes:
        joined.add(scope, list(wants(scope, folder, root)), seen)
    orphans = tuple(path for path in there.paths if path not in joined.owners)
    doubtful = frozenset(path for path in orphans if unread or any(path.is_relative_to(each) for each in joined.unsure))
    every = tuple(sorted({*there.paths, *(path for path in joined.owners if path.is_file())}))
    owners, claims = ({path: frozenset(tests) for path, tests in each.items()} for each in (joined.owners, joined.claims))
    return TestMap(
        root, joined.entries, tuple(joined.missing), orphans, doubtful, tuple(unread), every, owners, joined.allowed, claims,
        seen,
    )  # fmt: skip


def cassettes_below(root: Path, folder: str = "cassettes") -> list[Path]:
    """Every cassette in folders of that name below `root`, sorted."""
    name = Path(folder).name
    found: list[Path] = []
    for place, folders, _ in os.walk(root):
        folders[:] = [each for each in folders if not _skipped(place, each)]
        if name in folders:
            folders.remove(name)
            library = Library(Path(place) / name)
            found += [library.path(each) for each in library.list()]
    return sorted(found)


class _Shelf:
    """The cassettes that are there: in folders of cassettes, and wherever else a test names some."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = sorted(paths)
        self._texts = {path.as_posix(): path for path in self.paths}
        self._folders: dict[str, dict[str, Path]] = {}

    def matching(self, want: Want) -> list[Path]:
        """Those that a want means."""
        found = [path for path in want.paths if path.as_posix() in self._texts or path.is_file()]
        for rule in want.rules:
            near = self._below(rule.start.rpartition("/")[0])
            begins = ((text, path) for text, path in {**near, **self._texts}.items() if text.startswith(rule.start))
            found += [path for text, path in begins if rule.pattern.fullmatch(text)]
        return found

    def _below(self, folder: str) -> dict[str, Path]:
        """The cassettes in one folder, which need not be a folder of cassettes."""
        if folder not in self._folders:
            place = Path(folder)
            files = place.iterdir() if folder and place.is_dir() else ()
            self._folders[folder] = {path.as_posix(): path for path in files if path.name.endswith(SUFFIXES)}
        return self._folders[folder]


class _Joined:
    """What the files say, joined with what is there and what runs observed."""

    def __init__(self, root: Path, there: _Shelf) -> None:
        self._root, self._there = root, there
        self.entries: dict[Path, FileEntry] = {}
        self.owners: dict[Path, set[str]] = {}
        self.claims: dict[Path, set[str]] = {}
        self.allowed: dict[Path, frozenset[int] | None] = {}
        self.missing: list[Missing] = []
        self.unsure: list[Path] = []  # folders of tests that name cassettes as they run, and were not seen to

    def add(self, scope: Scope, every: list[Want], seen: runs.Observed) -> None:
        """One file."""
        name = scope.file.relative_to(self._root).as_posix()
        observed = {test: uses for test, uses in seen.tests.items() if test.partition("::")[0] == name}
        own: set[Path] = set()
        for want in every:
            found = self._there.matching(want)
            sure = want.paths if len(want.paths) == 1 else ()
            own.update(found, () if want.rules else sure)
            for path in (*found, *sure):
                self.owners.setdefault(path, set()).add(want.test)
                known = self.allowed.get(path, frozenset())
                self.allowed[path] = None if known is None or want.allow is None else known | want.allow
                if not want.own and not (want.dynamic and _uses(want.test, observed)):  # what was seen tells more than a rule
                    self.claims.setdefault(path, set()).add(want.test)
            if want.required and not found and not _ran_without(want.test, observed):
                self.missing.append(Missing(want.test, want.shown(self._root)))
        for test, uses in observed.items():
            for path in runs.names(uses):
                own.add(path)
                self.owners.setdefault(path, set()).add(test)
                self.claims.setdefault(path, set()).add(test)
        if scope.is_test:
            self.entries[scope.file] = FileEntry(frozenset(own), bool(every), any(want.dynamic for want in every))
        if any(want.hollow for want in every) and not observed:
            self.unsure.append(scope.file.parent)


def _ran_without(test: str, observed: Mapping[str, tuple[runs.Opened, ...]]) -> bool:
    """Whether that test was seen to pass without its cassette."""
    uses = _uses(test, observed)
    return bool(uses) and all(use.unplayed is not None and use.stamp[0] < 0 for use in uses)


def _uses(test: str, observed: Mapping[str, tuple[runs.Opened, ...]]) -> list[runs.Opened]:
    """What that test, with whatever parameters, was seen to open."""
    return [use for name, each in observed.items() if name == test or name.startswith(f"{test}[") for use in each]


def _python_files(root: Path, below: Sequence[Path]) -> list[Path]:
    found: set[Path] = {path for path in below if path.is_file()}
    for start in [path for path in below if path.is_dir()] if below else [root]:
        for place, folders, files in os.walk(start):
            folders[:] = [each for each in folders if not _skipped(place, each)]
            found.update(Path(place, file) for file in files if file.endswith(".py"))
    for path in list(found):  # the conftest.py of the folders above belong to each of them
        above = (folder / "conftest.py" for folder in path.parents if folder.is_relative_to(root))
        found.update(each for each in above if each.is_file())
    return sorted(found)


def _skipped(place: str, name: str) -> bool:
    return name.startswith(".") or name in SKIPPED or os.path.exists(f"{place}/{name}/pyvenv.cfg")


def _still_there(seen: runs.Observed, readings: Mapping[str, Reading]) -> runs.Observed:
    """What was seen, without tests that were renamed or deleted since: theirs is no claim to any cassette."""
    kept = {}
    for test, uses in seen.tests.items():
        file, _, rest = test.partition("::")
        if not rest or file not in readings or readings[file].may_hold(rest):
            kept[test] = uses
    return runs.Observed(kept)


def _read_all(
    files: list[Path], test_files: Sequence[str], seen: Collection[Path]
) -> tuple[list[Scope], list[Unread]]:
    """The files that may have to do with cassettes: by a word in them, or because they were `seen` to."""
    readings: dict[Path, Reading] = {}
    unread: list[Unread] = []
    waiting: list[tuple[Path, bytes]] = []
    for path in files:
        try:
            text = path.read_bytes()
        except OSError as error:
            unread.append(Unread(path, error.strerror or str(error)))
            continue
        if any(word in text for word in WORDS) or path.name == "conftest.py" or path in seen:
            _parse(path, text, readings, unread)
        else:
            waiting.append((path, text))
    # Fixtures that open cassettes are used by files that know nothing of them.
    shared = {name for path, reading in readings.items() if path.name == "conftest.py" for name in reading.fixtures}
    always = any(one.autouse and one.calls for reading in readings.values() for one in reading.fixtures.values())
    spoken = tuple(name.encode() for name in shared)
    for path, text in waiting:
        if always or any(name in text for name in spoken):
            _parse(path, text, readings, unread)
    scopes = []
    for path, reading in readings.items():
        above = [readings[each] for folder in path.parents if (each := folder / "conftest.py") in readings and each != path]
        is_test = any(path.match(glob) for glob in test_files)
        scopes.append(Scope(path, reading, tuple(above), is_test))
    return sorted(scopes, key=lambda scope: scope.file), unread


def _parse(path: Path, text: bytes, readings: dict[Path, Reading], unread: list[Unread]) -> None:
    import tokenize
    from io import BytesIO

    try:
        coding, _ = tokenize.detect_encoding(BytesIO(text).readline)
        readings[path] = read(text.decode(coding), path.as_posix())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        unread.append(Unread(path, f"{type(error).__name__}: {error}"))

