"""Bringing a spool's schema forward: always on a copy, which takes the spool's place only when it is proven whole.

A step is a script in a .sql file beside this module's store; STEPS[n - 1] leads from schema n to n + 1. There is one
schema so far, so the ladder is empty. A newer schema is refused, and its file never touched.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from respool.batch import backup_folder
from respool.batch.places import Places
from respool.batch.store.backups import back_up, check_copy, finish_install, install, interrupted_install
from respool.batch.store.connection import SCHEMA_VERSION, Database, Durability, OlderSchema, Told
from respool.clock import SYSTEM, Clock
from respool.errors import SpoolBusy, SpoolUnreadable
from respool.files import FileLock, private_folder, remove_tree

STEPS: tuple[str, ...] = ()


def open_spool(
    places: Places, owner: FileLock, *, create: bool = False, durability: Durability = "normal", clock: Clock = SYSTEM,
    patience: float = 10.0, told: Told | None = None,
) -> Database:  # fmt: skip
    """`Database.open` for who writes: a spool of an older schema is brought forward first, as it was is kept among the
    backups; an exchange of the file that a kill has cut short is completed.

    `owner` is the caller's owner lock, held or not. Raises SpoolBusy if there is something to do and a live runner (an
    older program) holds the spool, and what `Database.open` and `migrate` raise.
    """

    def opened() -> Database:
        return Database.open(
            places, create=create, durability=durability, clock=clock, patience=patience, told=told
        )  # fmt: skip

    if not interrupted_install(places):
        try:
            return opened()
        except OlderSchema:
            pass
    held = owner.held
    if not owner.acquire():
        raise SpoolBusy(
            "this spool has to be brought forward, and a live runner of an older respool holds it",
            where=str(places.database), command="the same command again, when that has ended",
        )  # fmt: skip
    try:
        finish_install(places)
        with contextlib.suppress(OlderSchema):
            return opened()
        kept = backup_folder.take(places, clock, "upgrade")
        migrate(places, kept.folder, clock=clock)
        return opened()
    finally:
        if not held:
            owner.release()


def schema_version(database: Database) -> int:
    """The number of the schema that this spool has."""
    row = database.one("schema_version")
    return int(row[0]) if row is not None else 0


def migrate(
    places: Places, folder: Path, *, clock: Clock = SYSTEM, steps: Sequence[str] | None = None, target: int | None = None
) -> bool:
    """Bring the spool forward to schema `target` by `steps` (this program's), as the holder of the owner lock; whether
    there was anything to do.

    `folder` (existing) is where the work is done. If a step fails, the spool is as it was: SpoolUnreadable says which
    step. A spool newer than the ladder raises SpoolUnreadable and is not touched.
    """
    steps, target = STEPS if steps is None else steps, SCHEMA_VERSION if target is None else target
    place = private_folder(folder / "upgrade")
    draft = place / "spool.db"
    try:
        with Database.open(places, clock=clock, any_schema=True) as database:
            version = schema_version(database)
            if version == target:
                return False
            if not 1 <= version < target or len(steps) < target - 1:
                raise SpoolUnreadable(
                    f"there is no way from schema {version} to {target}", where=str(places.database),
                    why="it is left as it is", command="pip install --upgrade respool",
                )  # fmt: skip
            back_up(database, draft)
        for number in range(version, target):
            _step(draft, number, steps[number - 1])
        check_copy(draft)
        install(places, draft)
    finally:
        remove_tree(place)
    return True


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
