"""Saving what can be saved of a spool that SQLite calls damaged: row by row, around the bad pages, into a new database.

Nothing is guessed: a row is taken over as it is, or named as lost. What the surviving rows then lack of each other is
mended by repairs.py.
"""

from __future__ import annotations

import contextlib
import heapq
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from respool.batch.model import bad_key
from respool.batch.places import Places
from respool.batch.store.connection import Database
from respool.clock import Clock
from respool.errors import SpoolUnwritable
from respool.phrases import counted

# table → the column over which its rows are walked; fingerprints are made anew from the items
TABLES = {
    "spool": "rowid", "sessions": "id", "jobs": "id", "blocks": "id", "items": "id", "payloads": "item_id",
    "attempts": "item_id", "results": "rowid", "archive": "fingerprint", "events": "seq", "rules": "job_id",
    "requests": "id", "staged_blocks": "request_id", "file_digests": "path",
}  # fmt: skip
_BY_TEXT = frozenset({"archive", "file_digests"})  # no halving of what is no number: both ends are read
_SHARED = frozenset({"attempts", "rules", "staged_blocks"})  # several rows with one value of the column
_MOST_PROBES = 10_000  # per table: a broken inner page may hide very many rows, and each probe takes microseconds
_BLIND_PROBES = 128  # without a single row found: the root itself is bad
_SHORTEST_ROW = 8
_NAMED = 20

Row = tuple[Any, ...]


@dataclass(slots=True)
class Salvaged:
    """What came over: rows by table, one sentence for everything lost, and what else must be done about it."""

    rows: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)  # that lost rows
    results: list[tuple[int, int]] = field(default_factory=list)  # (item, attempt) of results known to be lost
    results_unknown: bool = False  # results were lost, and nothing tells whose


@cache
def _sql() -> dict[str, str]:
    text = package_files("respool.batch.store").joinpath("salvage.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+).*\n", text, flags=re.MULTILINE)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def salvage(damaged: Path, target: Places, clock: Clock) -> Salvaged:
    """Make a new spool at `target` from the rows of the file `damaged` that can be read; `damaged` is not changed.

    `damaged` must be a copy that nobody else uses; its log (-wal beside it) is read with it.
    """
    report = Salvaged()
    Database.open(target, create=True, clock=clock).close()
    with contextlib.closing(sqlite3.connect(target.database, isolation_level=None)) as fresh:
        try:
            source = _open(damaged, target.database)
        except sqlite3.DatabaseError as error:
            report.lost.append(f"everything: not even the list of tables can be read ({error})")
            report.tables.update(TABLES)
            return report
        with contextlib.closing(source):
            fresh.execute("BEGIN")
            for table, column in TABLES.items():
                _copy(source, fresh, table, column, report)
            fresh.execute(_sql()["fingerprints"])
            _name_the_lost(source, fresh, report)
            fresh.execute("COMMIT")
        fresh.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return report


def _open(damaged: Path, fresh: Path) -> sqlite3.Connection:
    """Connect to what is damaged; if its list of tables is, through a copy that has a new spool's in its place."""
    try:
        return _connect(damaged)
    except sqlite3.DatabaseError:
        mended = fresh.with_name(fresh.name + ".mended")
        mended.write_bytes(_with_schema_of(damaged.read_bytes(), fresh.read_bytes()))
        log = damaged.with_name(damaged.name + "-wal")
        if log.exists():
            mended.with_name(mended.name + "-wal").write_bytes(log.read_bytes())
        return _connect(mended)


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file.absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA writable_schema=ON")  # else a file that was cut short is refused as a whole
        connection.execute("PRAGMA cell_size_check=ON")
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        if not connection.execute(_sql()["can_read_schema"]).fetchone()[0]:
            raise sqlite3.DatabaseError("it holds no tables")
    except BaseException:
        connection.close()
        raise
    return connection


def _with_schema_of(damaged: bytes, fresh: bytes) -> bytes:
    """`damaged` with the pages of a new spool's list of tables: all spools of one schema have the same pages for it."""
    page = int.from_bytes(fresh[16:18], "big")
    pages = [1]
    if fresh[100] == 5:  # an inner page: cells of (child page, key), the last child in the header
        cells = int.from_bytes(fresh[103:105], "big")
        starts = [int.from_bytes(fresh[112 + 2 * n : 114 + 2 * n], "big") for n in range(cells)]
        pages += [int.from_bytes(fresh[at : at + 4], "big") for at in (*starts, 108)]
    count = max(-(-len(damaged) // page), *pages)
    content = bytearray(damaged.ljust(count * page, b"\0"))
    for number in pages:
        content[(number - 1) * page : number * page] = fresh[(number - 1) * page : number * page]
    content[28:32] = count.to_bytes(4, "big")
    content[32:40] = bytes(8)  # no list of free pages: nobody will write here
    content[92:96] = content[24:28]
    return bytes(content)


def _copy(source: sqlite3.Connection, fresh: sqlite3.Connection, table: str, column: str, report: Salvaged) -> None:
    sql = _sql()
    width = fresh.execute(sql["columns"], (table,)).fetchone()[0]
    insert = sql["insert"].format(table=table, values=", ".join("?" * width))
    refused, gaps = 0, list[str]()
    walk = _ends(source, table, column, gaps) if table in _BY_TEXT else _walk(source, table, column, gaps)
    for row in walk:
        try:
            if table == "spool":  # its name: else it keeps the new one
                fresh.execute(sql["empty"].format(table=table))
            fresh.execute(insert, row[1:])
        except sqlite3.IntegrityError as error:
            refused += not str(error).startswith("UNIQUE")  # read from both ends
        except sqlite3.OperationalError as error:  # a full disk must not look like rows that cannot be saved
            raise SpoolUnwritable(f"the salvaged spool cannot be written: {error}", command="make room") from error
        except (sqlite3.Error, ValueError):  # ValueError: text that is no text any more
            refused += 1
    report.rows[table] = fresh.execute(sql["count"].format(table=table)).fetchone()[0]
    if refused:
        gaps.append(f"{refused} rows with impossible content")
    if gaps:
        report.tables.add(table)
        report.lost.append(f"{table}: {', '.join(gaps)}")


def _read(source: sqlite3.Connection, name: str, table: str, column: str, *bounds: int) -> Iterator[Row | None]:
    """The rows of a walk; None at its end if it came upon a page that cannot be read."""
    try:
        yield from source.execute(_sql()[name].format(table=table, column=column), bounds)
    except sqlite3.DatabaseError:
        yield None


def _ends(source: sqlite3.Connection, table: str, column: str, gaps: list[str]) -> Iterator[Row]:
    for name in ("all_up", "all_down"):
        for row in _read(source, name, table, column):
            if row is None:
                gaps[:] = ["the rows on bad pages"]
                break
            yield row
        else:
            return


def _bound(source: sqlite3.Connection, name: str, table: str, column: str) -> int | None:
    try:
        found = source.execute(_sql()[name].format(table=table, column=column)).fetchone()[0]
    except sqlite3.DatabaseError:
        return None
    return found if isinstance(found, int) else 0


def _walk(source: sqlite3.Connection, table: str, column: str, gaps: list[str]) -> Iterator[Row]:
    """Every readable row: from both ends of a range to the bad page in it, then the halves of what is between."""
    low, high = _bound(source, "first", table, column), _bound(source, "last", table, column)
    guessed = high is None
    if high is None:  # the last page is bad: no more rows than the file has room for
        size = source.execute("PRAGMA page_count").fetchone()[0] * source.execute("PRAGMA page_size").fetchone()[0]
        high = size // _SHORTEST_ROW
    ranges = [(0, low if low is not None else 0, high)]
    step = 0 if table in _SHARED else 1
    lost: list[tuple[int, int]] = []
    found = False
    for probe in range(_MOST_PROBES):
        if not ranges or (probe == _BLIND_PROBES and not found):
            break
        _, start, end = heapq.heappop(ranges)  # the widest first
        first, last, broken = start - 1, end + 1, False
        for row in _read(source, "up", table, column, start, end):
            if row is None:
                broken = True
                break
            first, found = row[0], True
            yield row
        if not broken:
            continue
        for row in _read(source, "down", table, column, max(start, first + step), end):
            if row is None:
                break
            last, found = row[0], True
            yield row
        start, end = first + 1, last - 1
        if start >= end:
            lost.append((min(start, end), max(start, end)))
            continue
        middle = (start + end) // 2
        for part in ((start, middle), (middle + 1, end)):
            heapq.heappush(ranges, (part[0] - part[1], *part))
    lost += [(start, end) for _, start, end in ranges]
    gaps += _merged(lost, column, high if guessed else None)


def _merged(lost: list[tuple[int, int]], column: str, open_end: int | None) -> list[str]:
    """Neighbouring ranges as one, in words."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(lost):
        if merged and start <= merged[-1][1] + 2:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    texts = []
    for start, end in merged:
        tail = "" if start == end else " and what came after it" if end == open_end else f" to {end}"
        texts.append(f"{column} {start}{tail}")
    return texts


def _name_the_lost(source: sqlite3.Connection, fresh: sqlite3.Connection, report: Salvaged) -> None:
    """Indexes lie on pages of their own, and may still know the names of rows that cannot be read."""
    sql = _sql()
    if "items" in report.tables:
        with contextlib.suppress(sqlite3.DatabaseError):
            names = [row for row in source.execute(sql["item_names"]) if bad_key(str(row[1])) is None]
            lost = [row for row in names if not fresh.execute(sql["has_item"], row).fetchone()]
            keys = ", ".join(f"{key!r} of job {job}" for job, key in lost[:_NAMED])
            report.lost.append(f"{counted(len(lost), 'item')} by name: {keys}{', ...' if len(lost) > _NAMED else ''}")
    if "results" in report.tables:
        try:
            names = source.execute(sql["result_names"]).fetchall()
        except sqlite3.DatabaseError:
            report.results_unknown = True
            return
        report.results = [row for row in names if not fresh.execute(sql["has_result"], row).fetchone()]
