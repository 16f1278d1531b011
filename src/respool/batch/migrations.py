"""Bringing a spool's schema forward: always on a copy, which takes the spool's place only when it is proven whole.

A step is a script in a .sql file beside this module's store; STEPS[n - 1] leads from schema n to n + 1. There is one
schema so far, so the ladder is empty. A newer schema is refused, and its file never touched.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from respool.batch.places import Places
from respool.batch.store.backups import back_up, check_copy, install
from respool.batch.store.connection import SCHEMA_VERSION, Database
from respool.clock import SYSTEM, Clock
from respool.errors import SpoolUnreadable

STEPS: tuple[str, ...] = ()


def schema_version(database: Database) -> int:
    """The number of the schema that this spool has."""
    row = database.one("schema_version")
    return int(row[0]) if row is not None else 0


def migrate(
    places: Places, folder: Path, *, clock: Clock = SYSTEM, steps: Sequence[str] = STEPS, target: int = SCHEMA_VERSION
) -> Path | None:
    """Bring the spool forward to schema `target`, as the holder of the owner lock; the copy of what it was, or None.

    `folder` (existing) receives that copy. If a step fails, the spool is as it was: SpoolUnreadable says which step. A
    spool newer than the ladder raises SpoolUnreadable and is not touched.
    """
    with Database.open(places, clock=clock) as database:
        version = schema_version(database)
        if version == target:
            return None
        if not 1 <= version < target or len(steps) < target - 1:
            raise SpoolUnreadable(
                f"there is no way from schema {version} to {target}", where=str(places.database),
                why="it is left as it is", command="pip install --upgrade respool",
            )  # fmt: skip
        kept, draft = folder / f"schema-{version}.db", folder / f"schema-{target}.db"
        back_up(database, kept)
        back_up(database, draft)
    for number in range(version, target):
        _step(draft, number, steps[number - 1])
    check_copy(draft)
    install(places, draft)
    draft.unlink()
    return kept


def _step(draft: Path, number: int, script: str) -> None:
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        try:
            connection.executescript(f"BEGIN; {script}; PRAGMA user_version={number + 1}; COMMIT")
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise SpoolUnreadable(
                f"the spool cannot be brought from schema {number} to {number + 1}: {error}", where=str(draft),
                why="the step failed on a copy; the spool itself is as it was", command="respool doctor",
            ) from error  # fmt: skip
