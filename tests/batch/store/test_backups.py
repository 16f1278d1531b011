"""Copies of a spool: taken while others read and write, put back in one step, swapped in whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from respool.batch.places import Places
from respool.batch.store.backups import (
    Identity,
    back_up,
    check_copy,
    finish_install,
    identify,
    install,
    keep_files,
    restore,
)
from respool.batch.store.connection import Database
from respool.errors import SpoolUnreadable, SpoolUnwritable
from spool_bench import dump, filled, settled_file, sql


def test_back_up_and_restore_under_the_eyes_of_a_reader(tmp_path: Path) -> None:
    places, copy = filled(tmp_path), tmp_path / "copy.db"
    before = dump(places)
    with Database.open(places) as database, Database.open(places, read_only=True) as reader:
        back_up(database, copy)
        assert [path.name for path in tmp_path.glob("copy*")] == ["copy.db"], "one file, without a log"
        assert copy.stat().st_mode & 0o777 == 0o600
        sql(places, "UPDATE items SET reason = 'later'")
        version = reader.data_version()
        restore(database, copy)
        assert reader.data_version() != version
        assert {row[4] for row in reader.all("items_of_job", 1, None, None, None, -1, False)} != {"later"}
        assert reader.one("any_running") == (0,)
    assert dump(places) == before
    with Database.open(places) as database, database.write():
        database.run("bump_revision", 1, 1)
    assert sql(places, "PRAGMA journal_mode") == [("wal",)]


def test_a_torn_copy_is_not_put_back(tmp_path: Path) -> None:
    places, copy = filled(tmp_path), tmp_path / "copy.db"
    with Database.open(places) as database:
        back_up(database, copy)
        copy.write_bytes(copy.read_bytes()[:-5000])
        before = dump(places)
        with pytest.raises(SpoolUnreadable, match="not whole"):
            restore(database, copy)
    assert dump(places) == before


def test_another_database_is_no_copy(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE a (b)")
    with pytest.raises(SpoolUnreadable):
        check_copy(tmp_path / "other.db")


def test_raw_files_and_their_log(tmp_path: Path) -> None:
    places, folder = filled(tmp_path), tmp_path / "kept"
    folder.mkdir()
    settled_file(places)
    with Database.open(places) as database:
        with database.write():
            database.run("bump_revision", 77, 1)
        assert database.log_bytes() > 0
        copy = keep_files(places, folder)
        expected = dump(places)
        # Another state, with a log of its own, which must not be replayed into what is installed.
        with database.write():
            database.run("bump_revision", 99, 1)
        log = copy.with_name(copy.name + "-wal")
        install(places, copy, log=log)
    assert dump(places) == expected
    assert list(tmp_path.glob(".spool.db*")) == []
    assert copy.exists()


def test_the_old_log_is_not_replayed_into_a_new_file(tmp_path: Path) -> None:
    places, copy = filled(tmp_path), tmp_path / "copy.db"
    copy.write_bytes(settled_file(places))
    expected = dump(places)
    with Database.open(places) as database:
        with database.write():
            database.run("bump_revision", 99, 1)
        assert database.log_bytes() > 0
        install(places, copy)
    assert dump(places) == expected


def test_a_spool_that_is_locked_is_not_called_damaged(tmp_path: Path) -> None:
    places = filled(tmp_path)
    with closing(sqlite3.connect(places.database, isolation_level=None)) as foreign:
        foreign.execute("PRAGMA journal_mode=DELETE")
        foreign.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SpoolUnwritable, match="database is locked"):
            identify(places)


def test_an_install_that_was_killed_is_completed(tmp_path: Path) -> None:
    places = filled(tmp_path)
    content = settled_file(places)
    assert not finish_install(places)
    sql(places, "UPDATE items SET reason = 'later'")
    places.database.with_name(".spool.db.replacement").write_bytes(content)
    assert finish_install(places)
    assert places.database.read_bytes() == content


def test_identity(tmp_path: Path) -> None:
    places = Places.at(tmp_path / "spool.db")
    assert identify(places) is Identity.ABSENT
    content = settled_file(filled(tmp_path))
    assert identify(places) is Identity.SPOOL
    places.database.write_bytes(b"")
    assert identify(places) is Identity.DAMAGED
    places.database.write_bytes(b"no database" * 1000)
    assert identify(places) is Identity.DAMAGED
    places.write_lock.unlink()
    assert identify(places) is Identity.FOREIGN, "nothing says that it was ever ours"
    places.database.write_bytes(content)
    sql(places, "PRAGMA user_version=99")
    assert identify(places) is Identity.NEWER
    sql(places, "PRAGMA application_id=7")
    assert identify(places) is Identity.FOREIGN
