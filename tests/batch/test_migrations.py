"""The ladder of schemas. There is one schema so far, so the tests bring steps of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.batch.migrations import STEPS, migrate
from respool.batch.store.connection import SCHEMA_VERSION, Database
from respool.errors import SpoolUnreadable
from spool_bench import dump, filled, settled_file, sql

UP = ("ALTER TABLE jobs ADD COLUMN note TEXT; UPDATE jobs SET note = 'new'", "CREATE TABLE more (id INTEGER)")


def test_the_ladder_reaches_this_programs_schema() -> None:
    assert len(STEPS) == SCHEMA_VERSION - 1


def test_nothing_to_do(tmp_path: Path) -> None:
    places = filled(tmp_path)
    content = settled_file(places)
    assert migrate(places, tmp_path) is None
    assert places.database.read_bytes() == content


def test_forward_on_a_copy(tmp_path: Path) -> None:
    places = filled(tmp_path)
    before, kept = dump(places), migrate(places, tmp_path, steps=UP, target=3)
    assert sql(places, "PRAGMA user_version") == [(3,)]
    assert sql(places, "SELECT note FROM jobs") == [("new",)]
    assert sql(places, "SELECT key, state FROM items") == [row[2:3] + row[6:7] for row in before["items"]]
    assert sql(places, "PRAGMA journal_mode") == [("wal",)]
    assert kept is not None
    places.database.write_bytes(kept.read_bytes())
    assert dump(places) == before


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    places = filled(tmp_path)
    before = dump(places)
    with pytest.raises(SpoolUnreadable, match="from schema 2 to 3"):
        migrate(places, tmp_path, steps=(UP[0], "DELETE FROM items; DELETE FROM nowhere"), target=3)
    assert dump(places) == before
    assert sql(places, "PRAGMA user_version") == [(1,)]


def test_a_newer_or_unknown_schema_is_refused(tmp_path: Path) -> None:
    places = filled(tmp_path)
    with pytest.raises(SpoolUnreadable, match="no way from schema 1 to 2"):
        migrate(places, tmp_path, target=2)
    sql(places, "PRAGMA user_version=2")
    content = settled_file(places)
    with pytest.raises(SpoolUnreadable, match="schema 2, this program knows 1"):
        migrate(places, tmp_path)
    with pytest.raises(SpoolUnreadable):
        Database.open(places)
    assert places.database.read_bytes() == content
