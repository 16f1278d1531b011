"""What a test's `cassette` mark says: its file, its conditions, its scope. Unknown options are an error."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from respool.cassette.library import cassette_path
from respool.cassette.matching import Matching
from respool.cassette.recording import DEFAULT_MATCHING, Conditions, mode_named
from respool.errors import UsageError
from respool.pytest_plugin.settings import Settings, settings_of
from respool.pytest_plugin.using import SCOPES, use

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
    """Check every mark, and let its test use the fixture of its scope. Raises pytest.UsageError for all bad ones at once."""
    complaints = []
    for item in items:
        options = _options(item)
        complaints += [f"{item.nodeid}: {text}" for text in _complaints(options)]
        name = SCOPES.get(options.get("scope", "function"))
        if name is not None:
            use(item, name)
    if complaints:
        raise pytest.UsageError("\n".join(complaints))


def _options(node: pytest.Item | pytest.Collector) -> dict[str, Any]:
    """The mark's keywords, those nearer to the test winning."""
    merged: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("cassette"))):
        merged.update(mark.kwargs)
    return merged


def _complaints(options: dict[str, Any]) -> list[str]:
    known = (*_OWN, *_MATCHING)
    found = []
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            found.append(f"@pytest.mark.cassette has no option {name!r}{hint}")
    if options.get("scope", "function") not in SCOPES:
        found.append(f"scope={options['scope']!r} is none of {', '.join(SCOPES)}")
    return found


def wanted(node: Any, scope: str, config: pytest.Config) -> Wanted:
    """The cassette of `node` (a test, class, module or session) in `scope`. Raises UsageError."""
    settings = settings_of(config)
    marks = list(node.iter_markers("cassette")) if scope != "session" else []
    names: tuple[str, ...] = next((mark.args for mark in marks if mark.args), ())
    folder = (node.path.parent if scope != "session" else config.rootpath) / settings.folder
    path = named(folder, names[0]) if names else _default_path(node, scope, folder)
    options = _options(node) if scope != "session" else {}
    return conditions(path, options, settings, config, also=[named(folder, name) for name in names[1:]])


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
    mode = config.getoption("--cassettes") or merged.get("mode") or "replay"
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
            mode=mode_named(mode, path), matching=match or (Matching.of(ignoring) if ignoring else DEFAULT_MATCHING),
            redact=tuple(merged.get("redact", ())),
            without=tuple(merged.get("without", ())), allow_status=None if allowed is None else frozenset(allowed),
            keep_failures=bool(merged.get("keep_failures", False)), repeats=bool(merged.get("repeats", False)),
            unplayed=merged.get("unplayed", "report"), also=tuple(also),
        ),
        bool(merged.get("block_network", True)), (hosts,) if isinstance(hosts, str) else tuple(hosts),
    )  # fmt: skip


def _default_path(node: Any, scope: str, folder: Path) -> Path:
    if scope == "session":
        return folder / "session.json"
    module = node.path.stem
    cls = getattr(node, "cls", None)
    if scope == "module":
        return cassette_path(folder, module, None, None, None)
    if scope == "class":
        return cassette_path(folder, module, cls.__name__ if cls else None, None, None)
    callspec = getattr(node, "callspec", None)
    name = getattr(node, "originalname", None) or node.name
    return cassette_path(folder, module, cls.__name__ if cls else None, name, callspec.id if callspec else None)
