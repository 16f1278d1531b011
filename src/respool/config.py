"""Values as people write them in settings, options and code (durations and sizes), and the project's settings.

Both parsers take a number as it is, and text with units; both refuse everything else with a UsageError that quotes it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from respool.errors import UsageError
from respool.phrases import meant

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def parse_duration(value: float | str, *, what: str = "duration") -> float:
    """Seconds, from a number of seconds or from text: "90", "90s", "1.5h", "1h30m", "500ms", "2d", "1w".

    Raises UsageError for anything else (negative, infinite, another unit); `what` names the setting in its message.

    >>> parse_duration("1h30m"), parse_duration(2)
    (5400.0, 2.0)
    """
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _finite(float(text), value, what)
        parts, end = [], 0
        while match := _DURATION.match(text, end):
            parts.append((match[1], match[2]))
            end = match.end()
        units = [unit for _, unit in parts]
        if text and end == len(text) and len(set(units)) == len(units):
            return _finite(sum(float(number) * _SECONDS[unit] for number, unit in parts), value, what)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return _finite(value, value, what)
    raise _refused(what, value, 'seconds, or text such as "90s", "5m", "1h30m" (units: ms, s, m, h, d, w)')


def parse_size(value: int | str, *, what: str = "size") -> int:
    """Bytes, from a whole number of bytes or from text: "200MB" (10^6), "1.5 GiB" (2^30), "512".

    Raises UsageError for anything else; `what` names the setting in its message.

    >>> parse_size("200MB"), parse_size("1 KiB")
    (200000000, 1024)
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match and (match[2] or "." not in match[1]):
            unit = _BYTES[(match[2] or "b").lower()]
            return int(Fraction(match[1]) * unit)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _refused(what, value, 'bytes, or text such as "200MB" or "1.5GiB" (units: B, kB, MB, GB, TB, KiB, MiB ...)')


def _finite(seconds: float, given: object, what: str) -> float:
    # Past 10^11 seconds (3,000 years) a duration added to an instant overflows what we store.
    try:
        number = float(seconds)
    except OverflowError:
        number = math.inf
    if not number <= 1e11:
        raise UsageError(f"{what} is too large: {given!r}")
    return number


def _refused(what: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{what} cannot be read: {value!r}", why=f"expected {expected}")


@dataclass(frozen=True, slots=True)
class Project:
    """What `[tool.respool]` of the nearest pyproject.toml says of runs; None where it says nothing.

    `spool` is a path seen from that file's folder, `grace` and `patience` are seconds, `lines` tells where each key
    stands. Options and the environment (RESPOOL_WORKERS ...) win over these.
    """

    file: Path | None = None
    spool: str | None = None
    workers: int | str | None = None
    grace: float | None = None
    patience: float | None = None
    durability: Literal["normal", "full"] | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    def where(self, key: str) -> str:
        """FILE:LINE of a key, as far as it can be told from the text."""
        return f"{self.file}:{self.lines[key]}" if key in self.lines else str(self.file)


KEYS = ("spool", "workers", "grace", "patience", "durability")
OTHERS = ("cassettes", "llm", "rerecord", "serve")  # tables that others read


def project_file(start: Path | None = None) -> Path | None:
    """The pyproject.toml at or above `start` (the working folder), the nearest one, or None."""
    here = (start or Path.cwd()).absolute()
    return next((file for folder in (here, *here.parents) if (file := folder / "pyproject.toml").is_file()), None)


def load_project(start: Path | None = None) -> Project:
    """The settings of the project that `start` (the working folder) lies in.

    Raises UsageError, with file and line, for a key that is not there (and names the closest) and for a value that
    cannot be.
    """
    file, text, table = _parsed(start)
    if file is None:
        return Project()
    project = Project(file, lines=_lines(text))
    for key in table:
        if key not in KEYS + OTHERS:
            close = meant(key, KEYS)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(KEYS)}"
            raise UsageError(f"[tool.respool] has no key {key!r}", where=project.where(key), why=hint)
    return replace(project, **{key: _checked(project, key, table[key]) for key in KEYS if key in table})


def load_table(name: str, start: Path | None = None) -> tuple[Path | None, dict[str, Any]]:
    """The project's file and what its table `[tool.respool.NAME]` holds, as it stands there; empty if there is none.

    Raises UsageError if the file cannot be read, or if what has the name is no table.
    """
    file, _, table = _parsed(start)
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"tool.respool.{name} must be a table, not {found!r}", where=str(file))
    return file, found


def _parsed(start: Path | None) -> tuple[Path | None, str, dict[str, Any]]:
    """The nearest pyproject.toml, its text and its [tool.respool]; None if that file says nothing of us."""
    file = project_file(start)
    try:
        content = b"" if file is None else file.read_bytes()
    except OSError:
        content = b""
    if file is None or b"respool" not in content:
        return None, "", {}  # most projects: nothing is parsed, and what is wrong with their file is no matter of ours
    import tomllib

    try:
        text = content.decode("utf-8")
        table = tomllib.loads(text).get("tool", {}).get("respool", {})
    except (ValueError, AttributeError) as error:
        raise UsageError(f"pyproject.toml cannot be read: {error}", where=str(file)) from None
    if not isinstance(table, dict):
        raise UsageError(f"tool.respool must be a table, not {table!r}", where=str(file))
    return file, text, table


def _checked(project: Project, key: str, value: Any) -> Any:
    if key in ("grace", "patience"):
        return parse_duration(value, what=f"{key} in {project.where(key)}")
    expected = {
        "spool": (isinstance(value, str) and value != "", "a path"),
        "workers": (isinstance(value, int | str) and not isinstance(value, bool), "a number, or the address of a cluster"),
        "durability": (value in ("normal", "full"), '"normal" or "full"'),
    }
    right, words = expected[key]
    if not right:
        raise UsageError(f"{key} in [tool.respool] must be {words}, not {value!r}", where=project.where(key))
    if key == "spool" and project.file is not None:
        return os.path.join(project.file.parent, value)  # keeps a / at the end, which says that it is a folder
    return value


def _lines(text: str) -> dict[str, int]:
    """Key → line, of the table [tool.respool]."""
    found: dict[str, int] = {}
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\]]*)\]", line):
            inside = re.sub(r"[\s\"']", "", header[1]) == "tool.respool"
        elif inside and (key := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", line)):
            found.setdefault(key[1], number)
    return found
