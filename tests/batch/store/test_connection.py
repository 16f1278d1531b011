"""A connection by itself: how it opens and writes, its checkpoints, and what the schema refuses."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from respool.batch.places import Places
from respool.batch.store.connection import APPLICATION_ID, SCHEMA_VERSION, Database, Durability, queries
from respool.clock import FakeClock
from respool.errors import SpoolUnreadable, SpoolUnwritable, UsageError
from respool.files import FileLock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(Places.at(tmp_path / "spool.db"), create=True) as database:
        yield database


def job(database: Database) -> int:
    with database.write():
        return database.insert("insert_job", "one", "a:b", "1", "{}", "{}", None, 0, 0)


def write_much(database: Database, times: int) -> None:
    for _ in range(times):
        with database.write():
            database.run("insert_event", 1, None, None, None, "noise", '"' + "x" * 100_000 + '"')


def test_the_log_stays_short_while_it_is_checkpointed(database: Database) -> None:
    with database.checkpointing(1 << 20):
        write_much(database, 40)
        assert database.log_bytes() < 2 << 20
        with database.checkpointing(1 << 20):
            write_much(database, 1)
        write_much(database, 40)
        assert database.log_bytes() < 2 << 20, "an inner block gives back what it found"
    write_much(database, 40)
    assert database.log_bytes() > 4 << 20, "outside of the block nothing is checkpointed"


def test_a_log_that_was_long_once_is_not_checkpointed_at_every_commit(database: Database) -> None:
    sizes = set()
    with database.checkpointing(1 << 20):
        for _ in range(44):
            write_much(database, 1)
            sizes.add(database.places.database.stat().st_size)
    assert 3 <= len(sizes) <= 6


STATES = ("pending", "running", "done", "cached", "skipped", "failed", "cancelled")
OUTCOMES = ("running", "done", "skipped", "failed", "later", "interrupted")


@pytest.mark.parametrize("state", [*STATES, "finished", "DONE", ""])
def test_an_item_has_one_of_its_states(database: Database, state: str) -> None:
    number = job(database)
    with database.write():
        database.run("insert_item", 1, number, "key", "f", None, 0, None, 1)
        change = "UPDATE items SET state = ?, kind = 'raised', result_item = ?, result_attempt = ?"
        result = 1 if state in ("done", "cached") else None
        if state in STATES:
            database.connection.execute(change, (state, result, result))
        else:
            with pytest.raises(sqlite3.IntegrityError):
                database.connection.execute(change, (state, result, result))


@pytest.mark.parametrize("outcome", [*OUTCOMES, "fine", "Done", ""])
def test_an_attempt_has_one_of_its_outcomes(database: Database, outcome: str) -> None:
    number = job(database)
    with database.write():
        session = database.insert("insert_session", "nonce", 1, "host", "1", 0)
        database.run("insert_item", 1, number, "key", "f", None, 0, None, 1)
        database.run("start_attempt", 1, 1, session, 0)
        ended = None if outcome == "running" else 1
        if outcome in OUTCOMES:
            database.run("close_attempt", ended, outcome, None, None, None, 1, 1)
        else:
            with pytest.raises(sqlite3.IntegrityError):
                database.run("close_attempt", ended, outcome, None, None, None, 1, 1)


def test_an_error_says_whether_it_was_met_in_reading_or_in_writing(tmp_path: Path) -> None:
    with Database.open(Places.at(tmp_path / "spool.db"), create=True) as database:
        database.connection.set_progress_handler(lambda: 1, 1)  # SQLite gives up at its first step
        with pytest.raises(SpoolUnwritable, match="the spool cannot be read: interrupted"):
            database.all("jobs")
        with pytest.raises(SpoolUnwritable, match="the spool cannot be written: interrupted"), database.write():
            database.run("prune_events", 1)


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def pragma(database: Database, name: str) -> object:
    return database.connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize(("durability", "level"), [("normal", 1), ("full", 2)])
def test_a_writer_has_the_settings_that_the_promises_rest_on(tmp_path: Path, durability: Durability, level: int) -> None:
    with Database.open(Places.at(tmp_path / "spool.db"), create=True, durability=durability) as database:
        wanted = {"journal_mode": "wal", "synchronous": level, "foreign_keys": 1, "wal_autocheckpoint": 0}
        assert {name: pragma(database, name) for name in wanted} == wanted
        assert (pragma(database, "application_id"), pragma(database, "user_version")) == (APPLICATION_ID, SCHEMA_VERSION)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}, "private"


def test_a_reader_cannot_write_and_sees_what_is_committed(database: Database) -> None:
    with Database.open(database.places, read_only=True) as reader:
        version = reader.data_version()
        assert reader.all("jobs") == []
        job(database)
        assert reader.data_version() != version
        assert len(reader.all("jobs")) == len(list(reader.each("jobs", batch=1))) == 1
        with pytest.raises(SpoolUnwritable, match="readonly"), reader.write():
            reader.run("end_job", 1, 1, 1)
    with Database.open(database.places) as writer:
        version = writer.data_version()
        assert writer.data_version() == version, "nobody else has committed"


def test_asking_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no spool here"):
        Database.open(Places.at(tmp_path / "none" / "spool.db"))
    assert list(tmp_path.iterdir()) == []


def foreign(path: Path, script: str) -> bytes:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize(("content", "says"), [
    (b"", "not a spool"), (b"no database, but long enough to have a header " * 20, "cannot be read|not a spool"),
    ("CREATE TABLE theirs (a); PRAGMA application_id=7", "not a spool"), ("CREATE TABLE theirs (a)", "not a spool"),
    (f"CREATE TABLE jobs (a); PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION + 1}", "knows"),
], ids=["empty", "text", "another program's", "a plain database", "newer"])  # fmt: skip
def test_what_is_not_ours_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes | str, says: str) -> None:
    path = tmp_path / "spool.db"
    if isinstance(content, str):
        content = foreign(path, content)
    path.write_bytes(content)
    for options in ({}, {"create": True}, {"read_only": True}):
        with pytest.raises(SpoolUnreadable, match=says):
            Database.open(Places.at(path), **options)  # type: ignore[arg-type]
        assert path.read_bytes() == content


def test_two_who_make_a_spool_at_once_make_one(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from respool.batch.places import Places
from respool.batch.store import reading
from respool.batch.store.connection import Database
with Database.open(Places.at(Path(sys.argv[1])), create=True) as database:
    print(reading.spool_id(database))
"""
    makers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "spool.db")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    names = {maker.communicate(timeout=60)[0] for maker in makers}
    assert len(names) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"spool.db", "spool.db.write.lock"}


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_write_is_whole_or_nothing_and_holds_the_gate(database: Database) -> None:
    gate = FileLock(database.places.write_lock)

    def write_and_fail() -> None:
        with database.write():
            assert not gate.is_free()
            database.insert("insert_job", "one", "a:b", "1", "{}", "{}", None, 0, 0)
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert gate.is_free()
    assert database.all("jobs") == []
    assert job(database) == 1


def test_a_reference_to_what_is_not_there_is_refused(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"), database.write():
        database.insert("insert_block", 99, "digest", 0)


def test_a_foreign_writer_is_waited_for_and_then_named(database: Database) -> None:
    """Another program in BEGIN EXCLUSIVE, which knows nothing of our gate."""
    clock = FakeClock()
    with contextlib.closing(sqlite3.connect(database.places.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with Database.open(database.places, clock=clock, patience=5) as waiting:
            started = clock.monotonic()
            with pytest.raises(SpoolUnwritable, match="locked") as busy, waiting.write():
                pytest.fail("it is locked")
            assert 5 <= clock.monotonic() - started < 6
            assert "another program" in (busy.value.why or "")
            other.execute("ROLLBACK")
            assert job(waiting) == 1


def test_every_statement_is_one_that_sqlite_understands(database: Database) -> None:
    understood = 0
    for text in queries().values():
        with contextlib.suppress(sqlite3.ProgrammingError):  # of the parameters, which are looked at last
            database.connection.execute(f"EXPLAIN {text}")
        understood += 1
    assert understood == len(queries()) > 50


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_not_there_any_more_is_not_written_to(tmp_path: Path, how: str) -> None:
    path = tmp_path / "spool.db"
    with Database.open(Places.at(path), create=True) as database:
        path.rename(tmp_path / "old.db")
        if how == "replaced":
            shutil.copy(tmp_path / "old.db", path)
        with pytest.raises(SpoolUnwritable, match="removed or replaced"), database.write():
            pytest.fail("it is written to")
        (tmp_path / "old.db").replace(path)
        with database.write():
            assert database.run("delete_rules", 1, 0) == 0, "it is back"
