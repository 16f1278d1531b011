"""Which cassettes a test file names: its marks, calls and fixtures turned into paths, or into rules for paths.

The rules of names are those of the plugin: ours (naming.py), pytest-recording's and pytest-vcr's, vcrpy's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from respool.cassette.library import SUFFIXES
from respool.cassette.mapping.literal_paths import HOLE, is_hollow
from respool.cassette.mapping.reading import Call, Case, Fixture, Mark, Reading
from respool.cassette.naming import cassette_path, of_parameters

_ODD = str.maketrans(dict.fromkeys("<>?%*:|\"'/\\", "-"))  # what pytest-recording replaces in names
_ANY_SUFFIX = r"(?:\.(?:json|yaml|yml|har))"
_BUILT_IN = (
    "request", "tmp_path", "tmpdir", "capsys", "capfd", "caplog", "monkeypatch", "recwarn", "pytestconfig",
    "tmp_path_factory", "record_property", "cassette", "vcr", "vcr_cassette", "class_cassette", "module_cassette",
    "session_cassette", "open_cassette", "event_loop", "mocker", "subtests", "record_mode", "vcr_config", "benchmark",
)  # fmt: skip
"""Fixtures that give a test no parameters."""


class Rule(NamedTuple):
    """Paths of a form: `start` is how they begin, `glob` shows them to people."""

    pattern: re.Pattern[str]
    start: str
    glob: str


class Want(NamedTuple):
    """One of `paths`, or some of what `rules` mean, belongs to `test`. `required`: where none is there, one is missing.

    `dynamic`: only a run can tell the name; `hollow`: not even a part of it is known. `own`: it is named after the test,
    so that no other one plays it. `allow` are the error statuses that the test wants on it (None: all).
    """

    test: str
    paths: tuple[Path, ...]
    rules: tuple[Rule, ...]
    required: bool
    dynamic: bool = False
    hollow: bool = False
    own: bool = False
    allow: frozenset[int] | None = frozenset()

    def shown(self, root: Path) -> str:
        """The first of what it means, relative to `root`."""
        text = self.paths[0].as_posix() if self.paths else self.rules[0].glob if self.rules else "*"
        return text.removeprefix(f"{root.as_posix()}/")


class Scope:
    """A file with the conftest.py files whose fixtures it sees, the nearest first."""

    def __init__(self, file: Path, reading: Reading, above: tuple[Reading, ...], is_test: bool) -> None:
        self.file, self.reading, self.above, self.is_test = file, reading, above, is_test

    def fixture(self, name: str) -> Fixture | None:
        """The fixture of that name that tests of this file get, if it is one of the project's."""
        return next((one.fixtures[name] for one in (self.reading, *self.above) if name in one.fixtures), None)

    @cached_property
    def always(self) -> tuple[str, ...]:
        """The fixtures that every test of this file gets."""
        return tuple(name for one in (self.reading, *self.above) for name, each in one.fixtures.items() if each.autouse)

    def reached(self, case: Case) -> tuple[list[Fixture], bool]:
        """The project's fixtures that a test gets, directly or through others; and whether all of them are known."""
        found: dict[str, Fixture] = {}
        known = True
        waiting = [*case.fixtures, *self.always]
        while waiting:
            name = waiting.pop()
            if name in found or name in _BUILT_IN:
                continue
            fixture = self.fixture(name)
            if fixture is None:
                known = False
            else:
                found[name] = fixture
                waiting += fixture.fixtures
        return list(found.values()), known

    def parametrised(self, case: Case) -> bool | None:
        """Whether the test has parameters; None if that cannot be told."""
        if case.closest("parametrize") is not None:
            return True
        fixtures, known = self.reached(case)
        if any(fixture.parametrised for fixture in fixtures):
            return True
        if not known or any(one.generates for one in (self.reading, *self.above)):
            return None
        return False


def wants(scope: Scope, folder: str, root: Path) -> Iterator[Want]:
    """Every cassette that the file names; `folder` is the setting (the folder of cassettes beside a test file)."""
    names = _Names(scope, folder, root)
    for case in scope.reading.tests if scope.is_test else ():
        test = f"{names.file}::{case.id}"
        marked = [mark for mark in case.marks if mark.kind in ("cassette", "vcr")]
        if any(mark.kind == "cassette" for mark in marked):
            allow = _allowed(case.merged("cassette"))
            yield from (want._replace(allow=allow) for want in names.of_mark(case, test))
        if any(mark.kind == "vcr" for mark in marked):
            yield from names.of_vcr(case, test)
        if case.mixin:
            name = case.name if case.name != HOLE else HOLE
            yield names.at(scope.file.parent.as_posix() + f"/cassettes/{case.cls}.{name}.yaml", test, required=True)
        fixtures, _ = scope.reached(case)
        for call in (*case.calls, *(call for fixture in fixtures for call in fixture.calls)):
            yield names.of_call(call, test)._replace(allow=_allowed(call.options))
    for call in scope.reading.calls:
        yield names.of_call(call, names.file)._replace(allow=_allowed(call.options))
    if not scope.is_test:
        for fixture in scope.reading.fixtures.values():
            for call in fixture.calls:
                yield names.of_call(call, names.file)._replace(required=False)


class _Names:
    """The names of one file's cassettes."""

    def __init__(self, scope: Scope, folder: str, root: Path) -> None:
        self.scope, self.root = scope, root
        self.file = scope.file.relative_to(root).as_posix()
        self.folder = scope.file.parent / folder
        self.session = root / folder

    def of_mark(self, case: Case, test: str) -> Iterator[Want]:
        """The cassettes of `cassette` marks."""
        options = case.merged("cassette")
        marks = [mark for mark in case.marks if mark.kind == "cassette"]
        required = options.get("mode") != "bypass"
        named = next((mark.arguments for mark in marks if mark.arguments), ())
        # One parameter of a test may have a mark of its own: then each of the names is in use.
        others = [mark.arguments for mark in marks if mark.arguments and mark.arguments != named]
        for name in dict.fromkeys([*named, *(name for arguments in others for name in arguments)]):
            text = name if name == HOLE or name.lower().endswith(SUFFIXES) else f"{name}.json"
            yield self.at(posixpath.normpath(f"{self.folder.as_posix()}/{text}"), test, required=required and name in named)
        if not named:
            yield self._default(case, test, str(options.get("scope", "function")), required)

    def _default(self, case: Case, test: str, scope: str, required: bool) -> Want:
        module, cls = self.scope.file.stem, case.cls or None
        if scope == "session":
            return Want(test, (self.session / "session.json",), (), required)
        if scope == "module":
            return Want(test, (cassette_path(self.folder, module),), (), required)
        if scope == "class":
            return Want(test, (cassette_path(self.folder, module, cls),), (), required)
        if case.name == HOLE:
            place = cassette_path(self.folder, module, cls).parent.as_posix()
            return Want(test, (), (_rule(f"{place}/{HOLE}.json"),), False, dynamic=True, own=True)
        plain = cassette_path(self.folder, module, cls, case.name)
        parametrised = self.scope.parametrised(case)
        if parametrised is False:
            return Want(test, (plain,), (), required, own=True)
        start = plain.with_suffix("").as_posix() + "-"
        rule = Rule(of_parameters(plain), start, f"{start}*.json")
        return Want(test, () if parametrised else (plain,), (rule,), required, dynamic=True, own=True)

    def of_vcr(self, case: Case, test: str) -> Iterator[Want]:
        """The cassettes of `vcr` marks, where pytest-recording and pytest-vcr put them."""
        folder, suffix = self._vcr_folder(), self._vcr_suffix(case)
        required = case.closest("vcr") is not None
        for extra in dict.fromkeys(name for mark in case.marks if mark.kind == "vcr" for name in mark.arguments):
            yield self.at(posixpath.join(folder, extra), test, required=True)
        name = self._vcr_name(case)
        if name is not None:
            text = name if name.endswith(suffix) else f"{name}{suffix}"
            yield self.at(f"{folder}/{text}", test, required=required)
            return
        stem = HOLE if case.name == HOLE else case.name
        name = (f"{case.cls}.{stem}" if case.cls else stem).translate(_ODD)
        parametrised = self.scope.parametrised(case)
        if case.name == HOLE or HOLE in folder:
            yield self.at(f"{folder}/{name}{suffix}", test, required=False)._replace(own=True)
            if case.name != HOLE:
                yield self.at(f"{folder}/{name}[{HOLE}{suffix}", test, required=False)._replace(own=True)
            return
        plain = Path(f"{folder}/{name}{suffix}")
        rule = _rule(f"{folder}/{name}[{HOLE}{suffix}", f"{folder}/{name}[*{suffix}")
        rules = () if parametrised is False else (rule,)
        yield Want(test, () if parametrised else (plain,), rules, required, dynamic=bool(rules), own=True)

    def _vcr_name(self, case: Case) -> str | None:
        """The name that a fixture of the project or a mark gives, in the order in which the plugin asks them; None: the
        test's own. HOLE where only a run can tell."""
        whole, named = self.scope.fixture("default_cassette_name"), case.closest("default_cassette")
        if whole is not None:
            return whole.gives
        if named is not None:
            return named.arguments[0] if named.arguments else str(named.options.get("name", HOLE))
        part = self.scope.fixture("vcr_cassette_name")
        return None if part is None else part.gives.translate(_ODD)

    def _vcr_folder(self) -> str:
        override = self.scope.fixture("vcr_cassette_dir") or self.scope.fixture("cassette_dir")
        if override is not None:
            return self._from_root(override.gives)
        folder = self.scope.file.parent / "cassettes"
        own = folder / self.scope.file.stem
        flat = not own.is_dir() and folder.is_dir() and any(folder.glob("*.yaml"))
        return (folder if flat else own).as_posix()

    def _vcr_suffix(self, case: Case) -> str:
        """By the serialiser, as the mark or the fixture vcr_config names it."""
        config = self.scope.fixture("vcr_config")
        mark: Mark | None = case.closest("vcr")
        found = (mark.options if mark else {}).get("serializer") or (config.options if config else {}).get("serializer")
        return f".{found}" if found else ".yaml"

    def of_call(self, call: Call, test: str) -> Want:
        """The cassette of use_cassette(...) and its like."""
        if call.path is None:
            place = call.folder or self.scope.file.parent.as_posix()
            text = f"{place}/{call.function}{call.suffix}"
            return self.at(text, test, required=False, any_suffix=not call.suffix)._replace(own=True)
        path = call.path if call.path.endswith(call.suffix) else call.path + call.suffix
        if call.folder and not path.startswith(call.folder):
            path = posixpath.join(call.folder, path)
        return self.at(path, test, required=True, any_suffix=call.folder == HOLE)

    def at(self, text: str, test: str, *, required: bool, any_suffix: bool = False) -> Want:
        """What a path in the program's words means: from the root, unless it is absolute."""
        if is_hollow(text):
            return Want(test, (), (), False, dynamic=True, hollow=True)
        text = self._from_root(text)
        if HOLE in text:
            return Want(test, (), (_rule(text, any_suffix=any_suffix),), False, dynamic=True)
        if any_suffix and not text.lower().endswith(SUFFIXES):
            return Want(test, tuple(Path(text + suffix) for suffix in ("", *SUFFIXES)), (), False)
        return Want(test, (Path(text),), (), required)

    def _from_root(self, text: str) -> str:
        loose = not text.startswith(HOLE) and not Path(text).is_absolute()
        return posixpath.normpath(f"{self.root.as_posix()}/{text}") if loose else text


def _allowed(options: Mapping[str, Any]) -> frozenset[int] | None:
    given = options.get("allow_status", ())
    return None if given is None else frozenset(given if isinstance(given, list | tuple | set) else ())


def _rule(text: str, glob: str = "", *, any_suffix: bool = False) -> Rule:
    """The paths that a text with holes means. A hole at its start may be any folders, any other a part of a name."""
    start, _, _ = text.partition(HOLE)
    lead, rest = (".*", text[1:]) if text.startswith(HOLE) else ("", text)
    pattern = lead + "[^/]*".join(re.escape(part) for part in rest.split(HOLE))
    ending = f"{_ANY_SUFFIX}?" if any_suffix else ""
    return Rule(re.compile(pattern + ending), start, glob or text.replace(HOLE, "*"))
