"""What `[tool.respool.serve]` of the project says: which tasks may be submitted, and how much is taken in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respool.config import load_table, parse_size
from respool.errors import UsageError
from respool.phrases import meant

KEYS = ("tasks", "hosts", "capacity", "max_body")
CAPACITY = 100  # jobs that may be open at once
MAX_BODY = 64 << 20  # bytes of a submission


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """`tasks` are import paths seen from `folder`; `hosts` are further names that a request may address; `capacity` is
    how many jobs may be open before a submission is put off, `max_body` the bytes that one may have."""

    folder: Path
    tasks: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    capacity: int = CAPACITY
    max_body: int = MAX_BODY


def load_settings(start: Path | None = None) -> ServeSettings:
    """The settings of the project that `start` (the working folder) lies in. Raises UsageError for what cannot be."""
    file, table = load_table("serve", start)
    where = str(file)
    for key in table:
        if key not in KEYS:
            close = meant(key, KEYS)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(KEYS)}"
            raise UsageError(f"[tool.respool.serve] has no key {key!r}", where=where, why=hint)
    capacity = table.get("capacity", CAPACITY)
    if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
        raise UsageError(f"capacity in [tool.respool.serve] must be a number of jobs, not {capacity!r}", where=where)
    max_body = parse_size(table.get("max_body", MAX_BODY), what=f"max_body in {where}")
    folder = file.parent if file is not None else (start or Path.cwd())
    return ServeSettings(folder, _texts(table, "tasks", where), _texts(table, "hosts", where), capacity, max_body)


def _texts(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise UsageError(f"{key} in [tool.respool.serve] must be a list of texts, not {value!r}", where=where)
    return tuple(dict.fromkeys(value))
