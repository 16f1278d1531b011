"""What `[tool.respool.cassettes]` says of the upkeep of a library: when a cassette is stale, and what may be on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from respool.config import parse_duration, project_file
from respool.errors import UsageError

TABLE = "[tool.respool.cassettes]"
KEYS = ("refresh", "inputs", "upstream", "expected_status", "scan", "baseline")
"""The keys of the table that are read here; the others are those of the pytest plugin."""

SCANNERS = ("kingfisher",)


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """The settings of one project; `root` is the folder of its pyproject.toml, without one the folder asked for.

    Those by cassette map a glob (on the cassette's path below the root, * crosses folders) to what holds for it:
    `refresh` seconds, `inputs` globs of files below the root, `upstream` a command, `expected_status` error statuses.
    """

    root: Path
    folder: str = "cassettes"
    refresh: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    upstream: Mapping[str, str] = field(default_factory=dict)
    expected_status: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    allow_status: tuple[int, ...] | None = ()
    scan: str | None = None
    baseline: str | None = None
    redact: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()

    def need_schedule(self) -> None:
        """Raise UsageError where nothing says when a cassette is stale: who asks for that by name would always hear no."""
        if not (self.refresh or self.inputs or self.upstream):
            raise UsageError(
                "it is not said when a cassette is stale", where="refresh in [tool.respool.rerecord]",
                why=f"inputs and upstream in {TABLE} would say it, too", command='set refresh = "30d"',
            )  # fmt: skip

    def named(self, cassette: Path) -> str:
        """The cassette's path below the root, with /; as it is if it lies elsewhere."""
        return (cassette.relative_to(self.root) if cassette.is_relative_to(self.root) else cassette).as_posix()

    def refresh_of(self, cassette: Path) -> float | None:
        """Seconds after which the cassette is to be recorded again, the shortest that is said of it."""
        return min(_of(self.refresh, self.named(cassette)), default=None)

    def inputs_of(self, cassette: Path) -> tuple[str, ...]:
        """The globs of the files that the cassette depends on."""
        return tuple(sorted({glob for each in _of(self.inputs, self.named(cassette)) for glob in each}))

    def upstream_of(self, cassette: Path) -> str | None:
        """The command that prints the version of the service that the cassette was recorded from."""
        return next(iter(_of(self.upstream, self.named(cassette))), None)

    def statuses_of(self, cassette: Path) -> frozenset[int] | None:
        """The error statuses that may be on the cassette, None for all of them."""
        if self.allow_status is None:
            return None
        return frozenset(self.allow_status).union(*_of(self.expected_status, self.named(cassette)))


def _of(table: Mapping[str, Any], name: str) -> list[Any]:
    return [value for glob, value in table.items() if fnmatchcase(name, glob)]


def load_upkeep(start: Path | None = None) -> UpkeepSettings:
    """The settings of the project that `start` (the working folder) lies in. Raises UsageError, naming file and key."""
    here = (start or Path.cwd()).absolute()
    file = project_file(here)
    if file is None:
        return UpkeepSettings(here)
    import tomllib

    try:
        tool = tomllib.loads(file.read_text("utf-8")).get("tool", {})
        ours = tool.get("respool", {})
        table = dict(ours.get("cassettes", {}))
        files = tool.get("pytest", {}).get("ini_options", {}).get("python_files", ())
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"pyproject.toml cannot be read: {error}", where=str(file)) from None
    rerecord = ours.get("rerecord", {})
    if "refresh" not in table and isinstance(rerecord, dict) and "refresh" in rerecord:
        table["refresh"] = rerecord["refresh"]  # the schedule of `rerecord --stale` may stand with the rest of it
    reader = _Reader(table, str(file))
    return UpkeepSettings(
        file.parent.absolute(), str(table.get("folder", "cassettes")),
        reader.by_glob("refresh", lambda value: parse_duration(value, what=f"{TABLE} refresh")),
        reader.by_glob("inputs", reader.texts), reader.by_glob("upstream", reader.text),
        reader.by_glob("expected_status", reader.numbers),
        reader.numbers(table.get("allow_status", [])), reader.scanner(), reader.optional("baseline"),
        {key: reader.texts(value) for key, value in table.items() if key.startswith("redact_")},
        reader.texts(table.get("without", [])), tuple(files.split() if isinstance(files, str) else map(str, files)),
    )  # fmt: skip


class _Reader:
    """One table; what is wrong with a value is told with the file."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._table, self._where = table, where

    def by_glob(self, key: str, read: Callable[[Any], Any]) -> dict[str, Any]:
        """A value for all cassettes, or a table of globs."""
        value = self._table.get(key)
        if value is None:
            return {}
        return {glob: read(each) for glob, each in value.items()} if isinstance(value, dict) else {"*": read(value)}

    def texts(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UsageError(f"{TABLE}: {value!r} is no list of texts", where=self._where)
        return tuple(value)

    def numbers(self, value: Any) -> tuple[int, ...]:
        if not isinstance(value, list) or not all(type(each) is int for each in value):
            raise UsageError(f"{TABLE}: {value!r} is no list of statuses", where=self._where)
        return tuple(value)

    def text(self, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{TABLE}: {value!r} is no text", where=self._where)
        return value

    def optional(self, key: str) -> str | None:
        return None if key not in self._table else self.text(self._table[key])

    def scanner(self) -> str | None:
        found = self.optional("scan")
        if found is not None and found not in SCANNERS:
            raise UsageError(f"{TABLE} scan = {found!r} is none of {', '.join(SCANNERS)}", where=self._where)
        return found
