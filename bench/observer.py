"""The second process: counts what is durably recorded while the contestant records it.

    python -m bench.observer '{"kind": "sqlite", "path": …, "growth": …, "target": 1000, "every": 0.005}'

Prints one line when it watches, and one line of JSON when the target is reached or its input is closed. It holds no
statement open between two looks, and reads only.
"""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import json
import select
import sqlite3
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

Look = Callable[[], int]


def main(arguments: list[str]) -> None:
    order = json.loads(arguments[0])
    path, target, every = Path(order["path"]), order["target"], order["every"]
    look = _database(path, order["growth"]) if order["kind"] == "sqlite" else _lines(path)
    print("watching", flush=True)
    count, looks, growths = 0, 0, []
    while count < target:
        added = look()
        looks += 1
        if added:
            count += added
            growths.append((time.perf_counter(), count))
            if count >= target:
                break
        if select.select([sys.stdin], [], [], every)[0]:
            break
    gaps = sorted(b[0] - a[0] for a, b in pairwise(growths))
    print(json.dumps({
        "count": count, "looks": looks, "growths": len(growths),
        "first": growths[0][0] if growths else None, "last": growths[-1][0] if growths else None,
        "gap_median_ms": gaps[len(gaps) // 2] * 1000 if gaps else None,
        "gap_p99_ms": gaps[int(len(gaps) * 0.99)] * 1000 if gaps else None,
        "gap_max_ms": gaps[-1] * 1000 if gaps else None,
    }))  # fmt: skip


def _database(path: Path, growth: str) -> Look:
    """Rows added since the last look. Until the database and its tables exist, nothing has been added."""
    connection: sqlite3.Connection | None = None
    version = since = 0

    def look() -> int:
        nonlocal connection, version, since
        try:
            if connection is None:
                if not path.exists():
                    return 0
                connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1, isolation_level=None)
            now = connection.execute("PRAGMA data_version").fetchone()[0]
            if now == version:
                return 0
            cursor, added = connection.execute(growth, {"since": since}).fetchone()
        except sqlite3.OperationalError:
            return 0  # not made yet, or being made
        version, since = now, cursor if cursor is not None else since
        return int(added)

    return look


def _lines(path: Path) -> Look:
    """Lines added to a log since the last look (its first line is a header)."""
    place, header = 0, 1

    def look() -> int:
        nonlocal place, header
        if not path.exists():
            return 0
        with path.open("rb") as file:
            file.seek(place)
            added = file.read()
        place += len(added)
        count = added.count(b"\n")
        if count and header:
            count, header = count - 1, 0
        return count

    return look


if __name__ == "__main__":
    main(sys.argv[1:])
