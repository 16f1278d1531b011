"""`[tool.respool.rerecord]` of the project's pyproject.toml, read and checked. docs/rerecord.md shows every key."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respool.cassette.jsonpath import parse as parse_path
from respool.config import parse_duration, project_file
from respool.errors import UsageError
from respool.pace import Limit
from respool.phrases import meant

TABLE = "[tool.respool.rerecord]"
TEST_FILES = ("test_*.py", "*_test.py", "test-*.py")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project says of re-recording. `root` is the folder of its pyproject.toml; durations are seconds.

    `tests` are folders below the root, `test_files` globs of names, `folder` the name of the folders of cassettes,
    `limits` rates by host.
    """

    root: Path
    tests: tuple[str, ...] = ()
    test_files: tuple[str, ...] = TEST_FILES
    folder: str = "cassettes"
    priority: tuple[str, ...] = ()
    require_env: tuple[str, ...] = ()
    probe: tuple[str, ...] = ()
    allow_status: tuple[int, ...] = ()
    transient: tuple[int, ...] = (429, 503)
    limits: Mapping[str, str] = field(default_factory=dict)
    max_pause: float = 3600.0
    timeout: float = 600.0
    volatile: tuple[str, ...] = ()


_TEXTS = ("priority", "require_env", "tests", "test_files", "volatile")
_DURATIONS = ("max_pause", "timeout")
_STATUSES = ("allow_status", "transient")
_OTHERS = ("refresh",)  # read by cassette/upkeep/settings.py
KEYS = (*_TEXTS, *_DURATIONS, *_STATUSES, *_OTHERS, "limits", "probe")


def load_settings(start: Path | None = None) -> Settings:
    """The settings of the project that `start` (the working folder) lies in; without a pyproject.toml, of the folder.

    Raises UsageError, with the file and the key, for a key that is not there and for a value that cannot be.
    """
    file = project_file(start)
    if file is None:
        return _with_tests(Settings((start or Path.cwd()).absolute()), {})
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"pyproject.toml cannot be read: {error}", where=str(file)) from None
    tool = document.get("tool", {})
    ours = tool.get("respool", {})
    table = ours.get("rerecord", {})
    if not isinstance(table, dict):
        raise UsageError(f"tool.respool.rerecord must be a table, not {table!r}", where=str(file))
    for key in table:
        if key not in KEYS:
            close = meant(key, KEYS)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(KEYS)}"
            raise UsageError(f"{TABLE} has no key {key!r}", where=str(file), why=hint)
    found = {key: _checked(key, value, str(file)) for key, value in table.items() if key not in _OTHERS}
    folder = ours.get("cassettes", {}).get("folder", "cassettes")
    made = Settings(file.parent.absolute(), folder=str(folder), **found)
    return _with_tests(made, tool.get("pytest", {}).get("ini_options", {}))


def _with_tests(settings: Settings, pytest: Mapping[str, Any]) -> Settings:
    """Where nothing is said of test folders, those of pytest count, else tests/, else the whole project."""
    from dataclasses import replace

    if settings.tests:
        return settings
    paths = pytest.get("testpaths") or (["tests"] if (settings.root / "tests").is_dir() else ["."])
    return replace(settings, tests=tuple(paths.split() if isinstance(paths, str) else map(str, paths)))


def _checked(key: str, value: Any, where: str) -> Any:
    if key in _DURATIONS:
        seconds = parse_duration(value, what=f"{key} in {TABLE}")
        if key == "timeout" and not seconds > 0:
            raise UsageError(f"timeout in {TABLE} must be more than 0 seconds, not {value!r}", where=where)
        return seconds
    if key in _TEXTS and _list_of(value, str):
        if key == "volatile":
            for path in value:
                parse_path(path)  # raises UsageError here, not when the calls have been paid for
        return tuple(value)
    if key in _STATUSES and _list_of(value, int) and all(100 <= each <= 599 for each in value):
        return tuple(value)
    if key == "probe" and (isinstance(value, str) or _list_of(value, str)):
        return tuple(shlex.split(value)) if isinstance(value, str) else tuple(value)
    if key == "limits" and isinstance(value, dict) and all(isinstance(rate, str) for rate in value.values()):
        for host, rate in value.items():
            Limit(host, rate)  # raises UsageError for what is no rate
        return dict(value)
    expected = {
        "limits": 'a table like { "api.example.com" = "30/min" }', "probe": "a command", "allow_status": "a list of statuses",
        "transient": "a list of statuses",
    }.get(key, "a list of texts")  # fmt: skip
    raise UsageError(f"{key} in {TABLE} must be {expected}, not {value!r}", where=where)


def _list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) and not isinstance(each, bool) for each in value)
