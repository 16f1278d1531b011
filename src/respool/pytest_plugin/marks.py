"""What a test's `cassette` mark says: its file, its conditions, its scope. Unknown options are an error."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from respool.cassette.mapping.option_values import complaint
from respool.cassette.matching import Matching
from respool.cassette.naming import cassette_path, file_name
from respool.cassette.recording import DEFAULT_MATCHING, Conditions, mode_named
from respool.errors import UsageError
from respool.pytest_plugin.settings import Settings, settings_of
from respool.pytest_plugin.stashed import AWAITED
from respool.pytest_plugin.using import SCOPES, asks_for_none, is_overridden, use

__tracebackhide__ = True  # an error is shown where a cassette was asked for

_OWN = (
    "mode", "scope", "match", "redact", "without", "allow_status", "keep_failures", "repeats", "unplayed",
    "block_network", "allowed_hosts",
)  # fmt: skip
_MATCHING = tuple(one.name for one in dataclasses.fields(Matching) if one.init)


class Wanted(NamedTuple):
    """A cassette as its mark, the settings and the command line want it."""

    path: Path
    conditions: Conditions
    block_network: bool
    allowed_hosts: tuple[str, ...]


def prepare(items: Sequence[pytest.Item]) -> None:
    """Check every mark, and see to the cassette of its scope. Raises pytest.UsageError for all bad ones at once."""
    complaints: list[str] = []
    plain: dict[object, bool] = {}  # node above tests → whether `cassette` is our fixture there, and nobody overrides it
    read: dict[tuple[int, ...], tuple[list[str], str | None]] = {}  # the same marks stand on many tests
    for item in items:
        marks = tuple(item.iter_markers("cassette"))
        key = tuple(map(id, marks))
        if key not in read:
            options = _options(marks)
            wrong = [*_complaints(options), *_odd_names(marks)]
            read[key] = wrong, SCOPES.get(options.get("scope", "function"))
        wrong, fixture = read[key]
        complaints += [f"{item.nodeid}: {text}" for text in wrong]
        if fixture is None or not asks_for_none(item, fixture):
            continue
        if item.parent not in plain:
            plain[item.parent] = not is_overridden(item, SCOPES["function"])
        if fixture == SCOPES["function"] and plain[item.parent]:
            item.stash[AWAITED] = True
        else:
            use(item, fixture)
    if complaints:
        raise pytest.UsageError("\n".join(complaints))


def _options(marks: Sequence[pytest.Mark]) -> dict[str, Any]:
    """The keywords of marks, the nearest to the test first: it wins."""
    merged: dict[str, Any] = {}
    for mark in reversed(marks):
        merged.update(mark.kwargs)
    return merged


def _odd_names(marks: Sequence[pytest.Mark]) -> list[str]:
    names = [name for mark in marks for name in mark.args]
    return [
        f"@pytest.mark.cassette({name!r}): the name of a cassette is a text" for name in names
        if not (isinstance(name, str) and name.strip("./ "))
    ]  # fmt: skip


def _complaints(options: dict[str, Any]) -> list[str]:
    known = (*_OWN, *_MATCHING)
    found = []
    for name in options:
        if name not in known:
            from difflib import get_close_matches  # only a slip of the keyboard pays for it

            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            found.append(f"@pytest.mark.cassette has no option {name!r}{hint}")
        elif (wrong := complaint(name, options[name])) is not None:
            found.append(f"@pytest.mark.cassette: {wrong}")
    if "mode" in options:
        try:
            mode_named(options["mode"], Path())
        except UsageError as error:
            found.append(f"@pytest.mark.cassette: {error.what}")
    if options.get("scope", "function") not in SCOPES:
        found.append(f"scope={options['scope']!r} is none of {', '.join(SCOPES)}")
    return found


class _Plan(NamedTuple):
    """What the same marks come to in every test of a class or module, worked out once.

    Without `folder` the path is the same for all, too; else each test has a file of its own name in it.
    """

    marks: tuple[pytest.Mark, ...]  # kept, for the plan is found by their identity
    folder: Path | None
    want: Wanted


_PLANS: pytest.StashKey[dict[tuple[object, ...], _Plan]] = pytest.StashKey()


def wanted(node: Any, scope: str, config: pytest.Config) -> Wanted:
    """The cassette of `node` (a test, class, module or session) in `scope`. Raises UsageError."""
    if scope == "session":
        settings = settings_of(config)
        return conditions(config.rootpath / settings.folder / "session.json", {}, settings, config)
    marks = tuple(node.iter_markers("cassette"))
    plans = config.stash.setdefault(_PLANS, {})
    key = (node.parent if scope == "function" else node, scope, *map(id, marks))
    plan = plans.get(key)
    if plan is None:
        plan, lasting = _planned(node, scope, config, marks)
        if lasting:
            plans[key] = plan
    return plan.want if plan.folder is None else Wanted(plan.folder / file_name(*_name(node)), *plan.want[1:])


def _planned(node: Any, scope: str, config: pytest.Config, marks: tuple[pytest.Mark, ...]) -> tuple[_Plan, bool]:
    """The plan, and whether it holds for other tests: the mode "once" asks each cassette whether it is there."""
    settings = settings_of(config)
    folder = node.path.parent / settings.folder
    options = _options(marks)
    names: tuple[str, ...] = next((mark.args for mark in marks if mark.args), ())
    path = named(folder, names[0]) if names else _default_path(node, scope, folder)
    want = conditions(path, options, settings, config, also=[named(folder, name) for name in names[1:]])
    each_its_own = scope == "function" and not names
    return _Plan(marks, path.parent if each_its_own else None, want), _mode(options, settings, config) != "once"


def _mode(options: dict[str, Any], settings: Settings, config: pytest.Config) -> Any:
    return config.getoption("--cassettes") or options.get("mode") or settings.options.get("mode") or "replay"


def named(folder: Path, name: str) -> Path:
    """The file that an explicit name means: in `folder`, `.json` where it has no suffix of a cassette."""
    path = folder / name
    return path if path.suffix.lower() in (".json", ".yaml", ".yml", ".har") else path.with_name(path.name + ".json")


def conditions(
    path: Path, options: dict[str, Any], settings: Settings, config: pytest.Config, *, also: Sequence[Path] = (),
) -> Wanted:  # fmt: skip
    """Options of a mark or a call over the settings of the project, the command line's mode over both."""
    complaints = _complaints(options)
    if complaints:
        raise UsageError(complaints[0])
    merged = {**settings.options, **options}
    match = merged.get("match")
    ignoring = {name: value for name, value in merged.items() if name in _MATCHING}
    if "match" in options:
        ignoring = {name: value for name, value in options.items() if name in _MATCHING}
    if match is not None and ignoring:
        raise UsageError(f"match= and {next(iter(ignoring))}= were both given", why="a Matching says all of it by itself")
    allowed = merged.get("allow_status", ())
    hosts = merged.get("allowed_hosts", ())
    return Wanted(
        path,
        Conditions(
            mode=mode_named(_mode(options, settings, config), path),
            matching=match or (Matching.of(ignoring) if ignoring else DEFAULT_MATCHING),
            redact=tuple(merged.get("redact", ())),
            without=tuple(merged.get("without", ())), allow_status=None if allowed is None else frozenset(allowed),
            keep_failures=bool(merged.get("keep_failures", False)), repeats=bool(merged.get("repeats", False)),
            unplayed=merged.get("unplayed", "report"), also=tuple(also),
        ),
        bool(merged.get("block_network", True)), (hosts,) if isinstance(hosts, str) else tuple(hosts),
    )  # fmt: skip


def _default_path(node: Any, scope: str, folder: Path) -> Path:
    module = node.path.stem
    cls = getattr(node, "cls", None)
    if scope == "module":
        return cassette_path(folder, module, None, None, None)
    if scope == "class":
        return cassette_path(folder, module, cls.__name__ if cls else None, None, None)
    return cassette_path(folder, module, cls.__name__ if cls else None, *_name(node))


def _name(node: Any) -> tuple[str, str | None]:
    """A test's function, and its parameters."""
    callspec = getattr(node, "callspec", None)
    return getattr(node, "originalname", None) or node.name, callspec.id if callspec else None
