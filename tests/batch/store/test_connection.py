"""A connection by itself: its checkpoints, and what the schema refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from respool.batch.places import Places
from respool.batch.store.connection import Database
from respool.errors import SpoolUnwritable


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
