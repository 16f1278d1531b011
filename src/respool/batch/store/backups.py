"""Whole copies of a spool: made before a repair, put back by an undo, and swapped in for a file that cannot be read.

A readable spool is copied, and restored, through SQLite's backup API: one transaction, which other connections see as a
commit. A damaged one is kept as the files that it is. All of this is for the holder of the owner lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from respool.batch.places import Places
from respool.batch.store.connection import APPLICATION_ID, SCHEMA_VERSION, Database, application_of, refuse_network
from respool.errors import SpoolUnreadable, SpoolUnwritable
from respool.files import FileLock, sync_folder

LOG = "-wal"


class Identity(StrEnum):
    """What the file at a spool's place is, as far as it can be told without believing its content."""

    ABSENT = "absent"
    SPOOL = "spool"
    OLDER = "older"  # an earlier program's: it is to be brought forward
    NEWER = "newer"  # a later program's
    FOREIGN = "foreign"  # a healthy file of somebody else: never touched
    DAMAGED = "damaged"


def identify(places: Places) -> Identity:
    """Look at the file through SQLite only: a process that opens it by itself would drop SQLite's locks on it.

    A file that is no database at all counts as a damaged spool only if a spool's write gate lies beside it. Raises
    SpoolUnwritable if it cannot be opened at all now: that says nothing of what it is; UsageError for a network file
    system.
    """
    refuse_network(places)
    if not places.database.exists():
        return Identity.ABSENT
    if not places.database.is_file():
        return Identity.FOREIGN  # a FIFO would be waited for
    if application_of(places.database) not in (APPLICATION_ID, None) and not places.write_lock.exists():
        return Identity.FOREIGN
    connection = None
    try:
        connection = _read_only(places.database)
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("PRAGMA table_list").fetchall()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT):
            raise SpoolUnwritable(
                f"the spool cannot be looked at now: {error}", where=str(places.database),
                why="locked by another program, or its folder is read-only (SQLite writes there even to read)",
                command="mend that, then run respool doctor again",
            ) from error  # fmt: skip
        return Identity.DAMAGED if places.write_lock.exists() else Identity.FOREIGN
    finally:
        if connection is not None:
            connection.close()
    if application == APPLICATION_ID:
        if version == SCHEMA_VERSION:
            return Identity.SPOOL
        return Identity.NEWER if version > SCHEMA_VERSION else Identity.OLDER
    empty = application == 0 and not [row for row in tables if not row[1].startswith("sqlite_")]
    return Identity.DAMAGED if empty and places.write_lock.exists() else Identity.FOREIGN


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file.absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None)


def back_up(database: Database, file: Path) -> None:
    """Write the spool's present state into `file` (new, 0600): one file, whole or not there."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with _writing(file), contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as target:
        draft.chmod(0o600)
        database.backup(target)
        target.execute("PRAGMA journal_mode=DELETE").fetchone()
    draft.rename(file)
    sync_folder(file.parent)


def restore(database: Database, file: Path) -> None:
    """Make the spool what `file` holds, in one transaction. Raises SpoolUnreadable if the copy is not whole."""
    check_copy(file)
    gate, target = FileLock(database.places.write_lock), database.places.database
    with contextlib.closing(_read_only(file)) as source, gate.hold(), _writing(target):
        source.backup(database.connection)


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise SpoolUnwritable(f"the copy cannot be written: {error}", where=str(file), command="make room") from error


def check_copy(file: Path) -> None:
    """Raise SpoolUnreadable unless `file` is a whole spool that this program knows."""
    try:
        with contextlib.closing(_read_only(file)) as copy:
            answer = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            ours = copy.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    except sqlite3.DatabaseError as error:
        answer, ours = str(error), True
    if answer != "ok" or not ours:
        raise SpoolUnreadable("this copy of the spool is not whole", where=str(file), why=str(answer))


def keep_files(places: Places, folder: Path) -> Path:
    """Copy the database as the bytes that it is, with its log, into `folder`; returns the copy."""
    copy = folder / places.database.name
    with FileLock(places.write_lock).hold():
        for suffix in ("", LOG):
            source = places.database.with_name(places.database.name + suffix)
            if source.exists():
                shutil.copy2(source, copy.with_name(copy.name + suffix))
    sync_folder(folder)
    return copy


def install(places: Places, file: Path, *, log: Path | None = None) -> None:
    """Put `file` in the place of a database, whatever is there now (keep that first). `file` itself stays.

    Killed half-way, `finish_install` completes it: the replacement has its final name before anything is taken away.
    """
    draft = places.database.with_name(f".{places.database.name}.draft")
    if log is not None and log.exists():
        shutil.copy2(log, _replacement(places, LOG))
    shutil.copy2(file, draft)
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(_replacement(places))
    sync_folder(places.folder)
    finish_install(places)


def interrupted_install(places: Places) -> bool:
    """Whether an `install` was killed and is to be completed."""
    return _replacement(places).exists()


def finish_install(places: Places) -> bool:
    """Complete an `install` that was killed; whether there was one."""
    replacement = _replacement(places)
    if not replacement.exists():
        return False
    with FileLock(places.write_lock).hold():
        name = places.database.name
        # The old log goes first: SQLite would replay it into the new file.
        for suffix in (LOG, "-shm", "-journal"):
            places.database.with_name(name + suffix).unlink(missing_ok=True)
        log = _replacement(places, LOG)
        if log.exists():
            shutil.copy2(log, places.database.with_name(name + LOG))
        replacement.replace(places.database)
        log.unlink(missing_ok=True)
    sync_folder(places.folder)
    return True


def _replacement(places: Places, suffix: str = "") -> Path:
    return places.database.with_name(f".{places.database.name}.replacement{suffix}")
