"""What a test file says of its cassettes: marks, calls and fixtures, read off its syntax tree. Nothing is imported."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from respool.cassette.mapping.literal_paths import HOLE, assigned, told

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

MARKS = ("cassette", "vcr", "default_cassette", "usefixtures", "parametrize")
_OPENERS = ("use_cassette", "open_cassette", "Recording")
_KNOWN_BASES = ("object", "TestCase", "IsolatedAsyncioTestCase", "ABC", "Protocol")
_VCR_BASES = ("VCRTestCase", "VCRMixin")


class Mark(NamedTuple):
    """`@pytest.mark.KIND(*arguments, **options)`: HOLE for an argument that only the run knows; such options are left out."""

    kind: str
    arguments: tuple[str, ...]
    options: Mapping[str, Any]


class Call(NamedTuple):
    """A cassette that is opened by a call: `path` (None: named after `function`), below `folder` (HOLE: nobody knows)."""

    path: str | None
    folder: str
    suffix: str
    function: str
    options: Mapping[str, Any]


class Case(NamedTuple):
    """One test: `name` is HOLE for those that a class inherits from elsewhere. Marks and fixtures of the nearest first."""

    id: str
    cls: str
    name: str
    marks: tuple[Mark, ...]
    fixtures: tuple[str, ...]
    calls: tuple[Call, ...]
    mixin: bool = False

    def closest(self, kind: str) -> Mark | None:
        """The nearest mark of that kind."""
        return next((mark for mark in self.marks if mark.kind == kind), None)

    def merged(self, kind: str) -> dict[str, Any]:
        """The options of its marks of that kind, those of the nearest winning."""
        found: dict[str, Any] = {}
        for mark in reversed(self.marks):
            if mark.kind == kind:
                found |= mark.options
        return found


class Fixture(NamedTuple):
    """A fixture: what it asks for, what it opens, and what it gives as far as that is a literal."""

    fixtures: tuple[str, ...]
    calls: tuple[Call, ...]
    autouse: bool
    parametrised: bool
    gives: str
    options: Mapping[str, Any]


class Reading(NamedTuple):
    """All of one file; `calls` are those that belong to no test and no fixture, `names` whatever has a name in it (None: it
    may hold more, which it imports unseen or makes as it runs)."""

    tests: tuple[Case, ...]
    fixtures: Mapping[str, Fixture]
    calls: tuple[Call, ...]
    generates: bool
    names: frozenset[str] | None

    def may_hold(self, test: str) -> bool:
        """Whether the test of that id (behind its file's name) may be one of this file."""
        *classes, name = test.partition("[")[0].split("::")
        if self.names is None or "." in name or any(case.name == HOLE and case.cls in classes for case in self.tests):
            return True
        made = any(name.startswith(f"{known}_") for known in self.names)  # decorators that make many tests of one
        return (name in self.names or made) and self.names.issuperset(classes)


def read(text: str, file: str) -> Reading:
    """What the source `text` of `file` (its absolute path, with /) says. Raises SyntaxError and ValueError.

    >>> source = "import pytest" + chr(10) + "@pytest.mark.cassette('login')" + chr(10) + "def test_a(): ..."
    >>> read(source, "/t/test_a.py").tests[0].marks
    (Mark(kind='cassette', arguments=('login',), options={}),)
    """
    return _Reader(ast.parse(text), file).all()


class _Reader:
    def __init__(self, tree: ast.Module, file: str) -> None:
        self._tree, self._file = tree, file
        self._names = assigned(tree.body)
        self._classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        self._libraries = _libraries(tree)
        self._ours = _imported(tree)

    def all(self) -> Reading:
        module = self._marks_assigned(self._tree.body)
        fixtures: dict[str, Fixture] = {}
        spoken: set[int] = set()  # nodes that belong to a test or a fixture
        for function in (node for node in ast.walk(self._tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            if (decorator := _fixture_of(function)) is not None:
                name = _keyword(decorator, "name")
                fixtures[told(name, self._names, self._file) if name else function.name] = self._fixture(function, decorator)
            elif not _is_test(function):
                continue
            spoken |= {id(node) for node in ast.walk(function)}
        tests = [
            self._test(node, "", "", module, ()) for node in self._tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test(node)
        ]  # fmt: skip
        for node in self._tree.body:
            if isinstance(node, ast.ClassDef):
                tests += self._class(node, "", module)
        loose = self._calls((node for node in ast.walk(self._tree) if id(node) not in spoken), "", self._names)
        generates = any(getattr(node, "name", "") == "pytest_generate_tests" for node in self._tree.body)
        return Reading(tuple(tests), fixtures, tuple(loose), generates, _named(self._tree))

    def _class(self, node: ast.ClassDef, above: str, outer: tuple[Mark, ...]) -> Iterator[Case]:
        line, bases = self._lineage(node)
        if not (node.name.startswith("Test") or "TestCase" in bases or set(bases) & set(_VCR_BASES)):
            return
        marks: tuple[Mark, ...] = ()
        for each in line:
            marks += (*self._decorated(each.decorator_list), *self._marks_assigned(each.body))
        marks += outer
        calls = tuple(self._calls(node.decorator_list, node.name, self._names))
        identity, mixin = f"{above}{node.name}", bool(set(bases) & set(_VCR_BASES))
        seen: set[str] = set()
        for each in line:
            for inner in each.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test(inner) and inner.name not in seen:
                    seen.add(inner.name)
                    yield self._test(inner, identity, node.name, marks, calls, mixin)
                elif isinstance(inner, ast.ClassDef) and each is node:
                    yield from self._class(inner, f"{identity}::", marks)
        if set(bases) - set(_KNOWN_BASES) - set(_VCR_BASES):
            yield Case(identity, node.name, HOLE, marks, _used(marks), calls, mixin)

    def _lineage(self, node: ast.ClassDef) -> tuple[list[ast.ClassDef], list[str]]:
        """The class with those of its bases that are in this file, and the names of those that are not."""
        line, elsewhere, open_bases = [node], [], [*node.bases]
        while open_bases:
            base = open_bases.pop(0)
            name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else "?"
            found = self._classes.get(name) if isinstance(base, ast.Name) else None
            if found is None:
                elsewhere.append(name)
            elif found not in line:
                line.append(found)
                open_bases += found.bases
        return line, elsewhere

    def _test(
        self, node: Function, path: str, cls: str, outer: tuple[Mark, ...], calls: tuple[Call, ...], mixin: bool = False,
    ) -> Case:  # fmt: skip
        marks = (*self._decorated(node.decorator_list), *outer)
        own = self._calls(ast.walk(node), node.name, {**self._names, **assigned(ast.walk(node))})
        identity = f"{path}::{node.name}" if path else node.name
        return Case(identity, cls, node.name, marks, (*_arguments(node), *_used(marks)), (*own, *calls), mixin)

    def _fixture(self, node: Function, decorator: ast.expr) -> Fixture:
        names = {**self._names, **assigned(ast.walk(node))}
        everywhere = node in self._tree.body  # one in a class gives what it gives to the tests of that class only
        calls = self._calls(ast.walk(node), node.name, names)
        given = [each.value for each in ast.walk(node) if isinstance(each, ast.Return | ast.Yield) and each.value is not None]
        gives = told(given[0], names, self._file) if len(given) == 1 and everywhere else HOLE
        options = _constants(given[0]) if len(given) == 1 else {}
        autouse = _keyword(decorator, "autouse")
        return Fixture(
            _arguments(node), tuple(calls), isinstance(autouse, ast.Constant) and autouse.value is True,
            _keyword(decorator, "params") is not None, gives, options,
        )  # fmt: skip

    def _decorated(self, decorators: Iterable[ast.expr]) -> Iterator[Mark]:
        for decorator in decorators:
            yield from self._mark(decorator)

    def _marks_assigned(self, body: Iterable[ast.stmt]) -> tuple[Mark, ...]:
        """What `pytestmark = ...` says."""
        found: list[Mark] = []
        for statement in body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                if any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets):
                    value = statement.value
                    several = value.elts if isinstance(value, ast.List | ast.Tuple) else [value] if value is not None else []
                    found += self._decorated(several)
        return tuple(found)

    def _mark(self, node: ast.expr, depth: int = 0) -> Iterator[Mark]:
        call = node if isinstance(node, ast.Call) else None
        name = call.func if call is not None else node
        if isinstance(name, ast.Attribute) and name.attr in MARKS and _ends_in_mark(name.value):
            arguments = call.args if call is not None else []
            if name.attr == "parametrize" and len(arguments) > 1:
                yield from self._of_parameters(arguments[1])
            several = [part for each in arguments for part in (each.elts if isinstance(each, ast.List) else [each])]
            texts = tuple(told(each, self._names, self._file) for each in several)
            yield Mark(name.attr, texts, _constants(call) if call is not None else {})
        elif isinstance(name, ast.Name) and depth < 5 and name.id in self._names:  # oslo = pytest.mark.cassette("oslo")
            yield from self._mark(self._names[name.id], depth + 1)

    def _of_parameters(self, values: ast.expr) -> Iterator[Mark]:
        """Marks of single parameters: pytest.param(..., marks=pytest.mark.cassette("a"))."""
        for node in ast.walk(values):
            if isinstance(node, ast.Call) and (marks := _keyword(node, "marks")) is not None:
                yield from self._decorated(marks.elts if isinstance(marks, ast.List | ast.Tuple) else [marks])

    def _calls(self, nodes: Iterable[ast.AST], function: str, names: Mapping[str, ast.expr]) -> list[Call]:
        found = []
        seen: set[int] = set()
        for node in nodes:
            if isinstance(node, ast.Call) and (opener := self._opener(node.func)) is not None:
                seen.add(id(node.func))
                found.append(self._call(node, opener, function, names))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in node.decorator_list:  # @my_vcr.use_cassette, without a call
                    if not isinstance(decorator, ast.Call) and (opener := self._opener(decorator)) is not None:
                        found.append(Call(None, opener.folder(self, names), opener.suffix, node.name, {}))
        return found

    def _call(self, node: ast.Call, opener: _Opener, function: str, names: Mapping[str, ast.expr]) -> Call:
        path = node.args[0] if node.args else _keyword(node, "path")
        given = _VcrOptions.of(node)
        folder = opener.folder(self, names) if given.folder is None else told(given.folder, names, self._file)
        text = None if path is None else told(path, names, self._file)
        return Call(text, folder, given.suffix or opener.suffix, function, _constants(node))

    def _opener(self, name: ast.expr) -> _Opener | None:
        """What `name` opens cassettes with, if it is one of the ways to."""
        if isinstance(name, ast.Name):
            if name.id not in _OPENERS or (name.id == "Recording" and name.id not in self._ours):
                return None
            return _Opener(None, "", name.id in self._ours or name.id == "open_cassette")
        if not isinstance(name, ast.Attribute) or name.attr not in ("use_cassette", "Recording"):
            return None
        owner = name.value.id if isinstance(name.value, ast.Name) else getattr(name.value, "attr", "")
        if owner in ("vcr", "respool"):
            return _Opener(None, "", True)
        known = self._libraries.get(owner)
        if known is None:
            return _Opener(None, "", False) if name.attr == "use_cassette" else None
        return _Opener(known.folder, known.suffix, True)

    def text(self, node: ast.expr, names: Mapping[str, ast.expr]) -> str:
        """What an expression of this file says."""
        return told(node, names, self._file)


def _named(tree: ast.Module) -> frozenset[str] | None:
    """Whatever has a name in a file, None if it may hold more than that."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return None if found & {"*", "globals", "vars", "setattr", "exec"} else frozenset(found)


class _Opener(NamedTuple):
    """One way to open cassettes: the folder that its paths are below, if it has one; not `sure` if it is somebody's own."""

    library: ast.expr | None
    suffix: str
    sure: bool

    def folder(self, reader: _Reader, names: Mapping[str, ast.expr]) -> str:
        """The folder as text."""
        if not self.sure:
            return HOLE
        return "" if self.library is None else reader.text(self.library, names)


class _VcrOptions(NamedTuple):
    """The options of vcrpy that say where a cassette lies."""

    folder: ast.expr | None
    suffix: str

    @classmethod
    def of(cls, call: ast.Call) -> _VcrOptions:
        """Those of VCR(...) or use_cassette(...)."""
        transformer, suffix = _keyword(call, "path_transformer"), ""
        match transformer:
            case ast.Call(func=ast.Attribute(attr="ensure_suffix"), args=[given, *_]):
                suffix = told(given, {}, "")
        return cls(_keyword(call, "cassette_library_dir"), "" if suffix == HOLE else suffix)


def _libraries(tree: ast.Module) -> dict[str, _VcrOptions]:
    """The VCR objects that are made in a file, by the name they are given."""
    found = {}
    for name, value in assigned(ast.walk(tree)).items():
        if isinstance(value, ast.Call) and (getattr(value.func, "attr", "") or getattr(value.func, "id", "")) == "VCR":
            found[name] = _VcrOptions.of(value)
    return found


def _imported(tree: ast.Module) -> set[str]:
    """The names that come from respool or from vcrpy themselves."""
    return {
        alias.asname or alias.name for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("respool", "vcr")
        for alias in node.names
    }  # fmt: skip


def _is_test(node: Function) -> bool:
    return node.name.startswith("test") and _fixture_of(node) is None


def _fixture_of(node: Function) -> ast.expr | None:
    for decorator in node.decorator_list:
        name = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")) == "fixture":
            return decorator
    return None


def _ends_in_mark(node: ast.expr) -> bool:
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) == "mark"


def _arguments(node: Function) -> tuple[str, ...]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return tuple(each.arg for each in every if each.arg not in ("self", "cls"))


def _used(marks: Iterable[Mark]) -> tuple[str, ...]:
    return tuple(name for mark in marks if mark.kind == "usefixtures" for name in mark.arguments)


def _keyword(node: ast.expr, name: str) -> ast.expr | None:
    if not isinstance(node, ast.Call):
        return None
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _constants(node: ast.expr) -> dict[str, Any]:
    """The keywords of a call, or the items of a literal dict, whose values are literals."""
    pairs: list[tuple[str | None, ast.expr]] = []
    if isinstance(node, ast.Call):
        pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
    elif isinstance(node, ast.Dict):
        items = zip(node.keys, node.values, strict=True)
        pairs = [(str(key.value), value) for key, value in items if isinstance(key, ast.Constant)]
    found = {}
    for name, value in pairs:
        if name:
            with contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                found[name] = ast.literal_eval(value)
    return found
