"""Connections to a spool's database: how they are opened, how they write, and what their errors mean.

Every write transaction and every checkpoint, in any process, holds the write gate (an OS lock): SQLite before 3.51.3 has
a race between a checkpoint and another connection that writes, and many machines have 3.40. Only the runner checkpoints.
"""

from __future__ import annotations

import contextlib
import errno
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Literal

from respool.batch.places import Places
from respool.clock import SYSTEM, Clock
from respool.errors import SpoolUnreadable, SpoolUnwritable, UsageError
from respool.files import FileLock, ignore_in_git, network_file_system, private_folder

APPLICATION_ID = 0x52535031  # "RSP1", in the database's header
SCHEMA_VERSION = 1
LOG_BYTES = 4 << 20  # of the write-ahead log that make a checkpoint due: some milliseconds' work

Durability = Literal["normal", "full"]
Told = Callable[[str], None]


class OlderSchema(SpoolUnreadable):
    """The spool is ours, of a schema before SCHEMA_VERSION: migrations.py brings it forward."""


@cache
def queries() -> dict[str, str]:
    """The statements of queries.sql by name."""
    text = package_files("respool.batch.store").joinpath("queries.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+).*\n", text, flags=re.MULTILINE)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


class Database:
    """One connection to a spool.

    `open` makes the spool if `create` is on; `read_only` connections never write. Statements are called by their name
    in queries.sql. Not for use by several threads at once.
    """

    def __init__(self, places: Places, connection: sqlite3.Connection, clock: Clock, *, patience: float, told: Told | None
    ) -> None:  # fmt: skip
        self.places = places
        self.clock = clock
        self.connection = connection
        self._gate = FileLock(places.write_lock)
        self._patience, self._told = patience, told
        self._sql = queries()
        self._file = _number_of(places.database)

    @classmethod
    def open(
        cls, places: Places, *, create: bool = False, read_only: bool = False, durability: Durability = "normal",
        clock: Clock = SYSTEM, patience: float = 10.0, told: Told | None = None, any_schema: bool = False,
    ) -> Database:  # fmt: skip
        """Connect. `patience` is how many seconds a write waits for a foreign writer before SpoolUnwritable; `told` hears
        of a wait that takes a second. `any_schema`: also of an older schema (else OlderSchema), for who only copies it.

        Raises SpoolUnreadable for a file that is no spool, a newer or a damaged one, UsageError for a missing one
        (unless `create`) and for network file systems, SpoolUnwritable for a folder that cannot be written.
        """
        where = str(places.database)
        with _translated(where):
            refuse_network(places)
            fresh = not (places.database.exists() or places.database.is_symlink())
            if fresh and not create:
                raise UsageError(
                    "there is no spool here", where=where,
                    command="respool run SPEC, or name one: --spool PATH (or RESPOOL_SPOOL)",
                )  # fmt: skip
            if fresh:
                _create(places, clock)
            if not places.database.is_file() or application_of(places.database) not in (APPLICATION_ID, None):
                raise _foreign(where)
            mode = "ro" if read_only else "rw"
            connection = _connect(places, mode)
            try:
                _check_is_ours(connection, where, any_schema)
                for pragma in _pragmas(read_only, durability):
                    connection.execute(pragma)
            except BaseException:
                connection.close()
                raise
        return cls(places, connection, clock, patience=patience, told=told)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self.connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def all(self, name: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a named query."""
        with _translated(str(self.places.database), "read"):
            return self.connection.execute(self._sql[name], parameters).fetchall()

    def each(self, name: str, *parameters: Any, batch: int = 1000) -> Iterator[tuple[Any, ...]]:
        """The rows of a named query, a batch at a time; for walks through what does not fit in memory."""
        with _translated(str(self.places.database), "read"):
            cursor = self.connection.execute(self._sql[name], parameters)
            while rows := cursor.fetchmany(batch):
                yield from rows

    def one(self, name: str, *parameters: Any) -> tuple[Any, ...] | None:
        """The first row of a named query, or None."""
        with _translated(str(self.places.database), "read"):
            row: tuple[Any, ...] | None = self.connection.execute(self._sql[name], parameters).fetchone()
        return row

    def run(self, name: str, *parameters: Any) -> int:
        """Execute a named statement inside `write()`; the number of rows that it changed."""
        return self.connection.execute(self._sql[name], parameters).rowcount

    def insert(self, name: str, *parameters: Any) -> int:
        """Execute a named INSERT inside `write()`; the new row's id."""
        return self.connection.execute(self._sql[name], parameters).lastrowid or 0

    def many(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a named statement once for each of `rows`, inside `write()`."""
        self.connection.executemany(self._sql[name], rows)

    @contextlib.contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Within the block, a write waits only so long for a foreign writer: an event loop must not be held up."""
        usual, self._patience = self._patience, seconds
        try:
            yield
        finally:
            self._patience = usual

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        """One write transaction: committed at the end of the block, rolled back if it raises."""
        with _translated(str(self.places.database)):
            self._begin()
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")
                raise
            finally:
                self._gate.release()

    def _begin(self) -> None:
        """Pass the gate, then begin. A foreign writer is waited for outside, so that others lose patience when they do."""
        started, told = self.clock.monotonic(), self._told
        while True:
            try:
                self._gate.acquire(blocking=True)
            except FileNotFoundError:
                self._check_in_place()  # the folder of both is gone
                raise
            try:
                self._check_in_place()
                self.connection.execute("BEGIN IMMEDIATE")
                return
            except BaseException as error:
                self._gate.release()
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                waited = self.clock.monotonic() - started
                if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or waited >= self._patience:
                    raise
            if told is not None and waited >= 1.0:
                told(f"waiting for up to {self._patience:g} s: another program keeps the spool locked")
                told = None
            self.clock.sleep(0.02)

    def _check_in_place(self) -> None:
        """SQLite goes on writing to a file that has no name any more: all of it would be lost, and nobody would know."""
        if _number_of(self.places.database) != self._file:
            raise SpoolUnwritable(
                "the spool cannot be written: its file was removed or replaced while it was in use",
                where=str(self.places.database), why="what is written to the old file would be lost with it",
                command="put the old file back, or run the same command again with what is there now",
            )  # fmt: skip

    def data_version(self) -> int:
        """A number that changes when another connection has committed."""
        with _translated(str(self.places.database), "read"):
            version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    def checkpoint(self, *, wait: bool = False) -> None:
        """Move what was committed from the write-ahead log into the database. Only for the holder of the owner lock."""
        with _translated(str(self.places.database)), self._gate.hold():
            self.connection.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if wait else 'PASSIVE'})").fetchall()

    @contextlib.contextmanager
    def checkpointing(self, size: int = LOG_BYTES) -> Iterator[None]:
        """In this block, a commit that finds `size` bytes in the write-ahead log checkpoints, still under the gate.

        SQLite counts what the log holds; its file tells nothing, for it keeps its length when it is written anew. Only
        for the holder of the owner lock.
        """
        page: int = self.connection.execute("PRAGMA page_size").fetchone()[0]
        before: int = self.connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0]
        self.connection.execute(f"PRAGMA wal_autocheckpoint={size // page}")
        try:
            yield
        finally:
            self.connection.execute(f"PRAGMA wal_autocheckpoint={before}")

    def log_bytes(self) -> int:
        """The size of the write-ahead log."""
        log = self.places.database.with_name(self.places.database.name + "-wal")
        try:
            return log.stat().st_size
        except FileNotFoundError:
            return 0

    def backup(self, target: sqlite3.Connection) -> None:
        """Copy the whole spool, as one consistent state, into another connection."""
        with _translated(str(self.places.database)):
            self.connection.backup(target)


def _pragmas(read_only: bool, durability: Durability) -> list[str]:
    pragmas = ["PRAGMA busy_timeout=0" if not read_only else "PRAGMA busy_timeout=5000", "PRAGMA cache_size=-6000"]
    if not read_only:
        level = "FULL" if durability == "full" else "NORMAL"
        pragmas += [f"PRAGMA synchronous={level}", "PRAGMA foreign_keys=ON", "PRAGMA wal_autocheckpoint=0"]
    return pragmas


def refuse_network(places: Places) -> None:
    """Raise UsageError if the spool lies, or would lie, on a network file system."""
    kind = network_file_system(places.folder)
    if kind is not None:
        raise UsageError(
            f"the spool would lie on a network file system ({kind})", where=str(places.database),
            why="SQLite's shared memory and locks do not work there", command="--spool /a/local/path/spool.db",
        )  # fmt: skip


def application_of(database: Path) -> int | None:
    """The id of the application whose database this file is, by its header; None if it has none that can be read.

    A foreign program's file must stay as it is, and whoever connects to it in the usual way replays its log. (Not by
    opening it ourselves: closing it would drop the locks that SQLite holds on it in this process.)
    """
    address = database.absolute().as_uri() + "?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            return int(connection.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.DatabaseError:
        return None


def _connect(places: Places, mode: str) -> sqlite3.Connection:
    address = places.database.absolute().as_uri() + f"?mode={mode}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, cached_statements=256)


def _number_of(file: Path) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None if there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _foreign(where: str) -> SpoolUnreadable:
    return SpoolUnreadable(
        "this file is not a spool", where=where, why="another program's; it is left as it is",
        command="--spool ANOTHER/PATH",
    )  # fmt: skip


def _check_is_ours(connection: sqlite3.Connection, where: str, any_schema: bool) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise _foreign(where)
    if version > SCHEMA_VERSION:
        raise SpoolUnreadable(
            f"this spool has schema {version}, this program knows {SCHEMA_VERSION}", where=where,
            why="a newer respool has written it; it is left as it is", command="pip install --upgrade respool",
        )  # fmt: skip
    if version < SCHEMA_VERSION and not any_schema:
        raise OlderSchema(
            f"this spool has schema {version}, this program works with {SCHEMA_VERSION}", where=where,
            why="an older respool has written it", command="respool run, or respool doctor --fix: both bring it forward",
        )  # fmt: skip


def _create(places: Places, clock: Clock) -> None:
    """Make a new spool. Two at once: the write gate lets one of them do it."""
    import secrets

    private_folder(places.folder)
    if places.folder.name == ".respool":
        ignore_in_git(places.folder)
    elif places.folder.name == "rehearsal" and places.folder.parent.name == ".respool":
        ignore_in_git(places.folder.parent)
    with FileLock(places.write_lock).hold():
        if places.database.exists():
            return
        # Built under another name: a kill in between must not leave an empty file that looks like a broken spool.
        draft = Places(places.database.with_name(f".{places.database.name}.{secrets.token_hex(4)}.new"))
        connection = sqlite3.connect(draft.database, isolation_level=None)
        try:
            draft.database.chmod(0o600)
            connection.execute("PRAGMA journal_mode=WAL")
            schema = package_files("respool.batch.store").joinpath("schema.sql").read_text(encoding="utf-8")
            connection.executescript(
                f"BEGIN; {schema}; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; COMMIT"
            )
            connection.execute(queries()["insert_spool"], (secrets.token_hex(8), clock.now()))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except BaseException:
            connection.close()
            for path in (draft.database, *draft.folder.glob(draft.database.name + "-*")):
                path.unlink(missing_ok=True)
            raise
        connection.close()
        draft.database.rename(places.database)


_AGAIN = "mend that, then run the same command again: what was committed is safe"
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


@contextlib.contextmanager
def _translated(where: str, doing: str = "written") -> Iterator[None]:
    """SQLite's errors as ours; `doing` says what could not be done."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED or (isinstance(error, sqlite3.DatabaseError) and "no such table" in str(error)):
            raise SpoolUnreadable(
                f"the spool cannot be read: {error}", where=where, why="the file is damaged, or no spool",
                command="respool doctor",
            ) from error  # fmt: skip
        if isinstance(error, sqlite3.OperationalError):
            raise SpoolUnwritable(
                f"the spool cannot be {doing}: {error}", where=where, why=_why(code),
                command=_AGAIN,
            ) from error  # fmt: skip
        raise
    except OSError as error:
        raise unwritable(error, where) from error


def unwritable(error: OSError, where: str) -> SpoolUnwritable:
    """The error for a file or folder beside the database that cannot be written."""
    read_only = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    why = "the folder is read-only for this user" if read_only else "the disk, or a limit on it, does not take it"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        why = "no more files may be open (see ulimit -n)"
    return SpoolUnwritable(
        f"the spool cannot be written: {error.strerror or error}", where=str(error.filename or where), why=why,
        command="--spool A/WRITABLE/PATH" if read_only else _AGAIN,
    )  # fmt: skip


def _why(code: int) -> str:
    reasons = {
        sqlite3.SQLITE_FULL: "the disk, or a limit on it, is full",
        sqlite3.SQLITE_IOERR: "the disk does not take it (full, limited or broken)",
        sqlite3.SQLITE_BUSY: "another program keeps the database locked",
        sqlite3.SQLITE_READONLY: "the file or its folder is read-only (SQLite writes beside it even to read)",
        sqlite3.SQLITE_CANTOPEN: "the file cannot be opened (folder missing, not writable, or no file handles left)",
    }
    return reasons.get(code, f"SQLite says code {code}")
