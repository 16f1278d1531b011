"""The ladder of schemas. There is one schema so far, so the tests bring steps of their own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from respool.batch import migrations
from respool.batch.migrations import STEPS, migrate
from respool.batch.places import Places
from respool.batch.spool import Spool
from respool.batch.store import backups, connection
from respool.batch.store.connection import SCHEMA_VERSION, Database
from respool.doctor import diagnose, fix, undo
from respool.errors import SpoolBusy, SpoolUnreadable
from respool.files import FileLock
from spool_bench import HERE, dump, filled, settled_file, sql

UP = ("ALTER TABLE jobs ADD COLUMN note TEXT; UPDATE jobs SET note = 'new'", "CREATE TABLE more (id INTEGER)")


def test_the_ladder_reaches_this_programs_schema() -> None:
    assert len(STEPS) == SCHEMA_VERSION - 1


def test_nothing_to_do(tmp_path: Path) -> None:
    places = filled(tmp_path)
    content = settled_file(places)
    assert not migrate(places, tmp_path)
    assert places.database.read_bytes() == content


def test_forward_on_a_copy(tmp_path: Path) -> None:
    places = filled(tmp_path)
    before = dump(places)
    assert migrate(places, tmp_path, steps=UP, target=3)
    assert sql(places, "PRAGMA user_version") == [(3,)]
    assert sql(places, "SELECT note FROM jobs") == [("new",)]
    assert sql(places, "SELECT key, state FROM items") == [row[2:3] + row[6:7] for row in before["items"]]
    assert sql(places, "PRAGMA journal_mode") == [("wal",)]
    assert not list(tmp_path.glob("upgrade*"))


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


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Places]:
    """A spool with one item done and one to do, before a program that is two schemas ahead."""
    places = filled(tmp_path, {"a": 1, "b": 2, "c": 3})
    spool = Spool(places.database)
    spool.submit("spool_bench:echo", {"a": 1, "b": 2, "c": 3, "d": 4}, name="demo", folder=HERE)
    spool.close()
    with pytest.MonkeyPatch.context() as patch:
        for module in (connection, backups, migrations):
            patch.setattr(module, "SCHEMA_VERSION", 3)
        patch.setattr(migrations, "STEPS", UP)
        yield places


def test_whoever_writes_brings_it_forward(older: Places) -> None:
    before = dump(older)
    with Spool(older.database) as spool:
        spool.run()
    assert sql(older, "PRAGMA user_version") == [(3,)]
    assert sql(older, "SELECT note FROM jobs") == [("new",)]
    assert sql(older, "SELECT state, count(*) FROM items GROUP BY state") == [("done", 4)]
    with Spool(older.database) as spool:
        spool.jobs()
    (kept,) = older.backups.iterdir()  # the second time there was nothing to do
    assert {path.name for path in kept.iterdir()} - {"spool.db-wal"} == {"manifest.json", "spool.db"}
    copy = Places(kept / "spool.db")
    assert sql(copy, "PRAGMA user_version") == [(1,)]
    assert dump(copy) == before


def test_who_only_reads_refuses_it_and_says_what_to_do(older: Places) -> None:
    before = dump(older)
    with pytest.raises(SpoolUnreadable, match="has schema 1, this program works with 3") as caught:
        Database.open(older, read_only=True)
    assert "respool doctor --fix" in (caught.value.command or "")
    assert dump(older) == before


def test_the_doctor_brings_it_forward_and_back(older: Places) -> None:
    before = dump(older)
    (finding,) = diagnose(older).findings
    assert (finding.code, finding.fixable) == ("OLDER_SCHEMA", True)
    assert fix(older).healthy
    assert sql(older, "PRAGMA user_version") == [(3,)]
    undo(older)
    assert sql(older, "PRAGMA user_version") == [(1,)]
    assert dump(older) == before


def test_a_failing_step_stops_whoever_opens_it(older: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dump(older)
    monkeypatch.setattr(migrations, "STEPS", (UP[0], "DELETE FROM nowhere"))
    for _ in range(2):
        with pytest.raises(SpoolUnreadable, match="cannot be brought from schema 2 to 3"):
            Spool(older.database).run()
        assert dump(older) == before
        assert sql(older, "PRAGMA user_version") == [(1,)]
    assert FileLock(older.owner_lock).is_free()


def test_not_under_a_live_runner_of_an_older_program(older: Places) -> None:
    before = dump(older)
    with FileLock(older.owner_lock).hold(), pytest.raises(SpoolBusy, match="older respool holds it"):
        Spool(older.database).jobs()
    assert dump(older) == before


IN_THE_LOG = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA wal_autocheckpoint=0")
connection.execute("UPDATE jobs SET name = 'in the log'")
print("there", flush=True)
sys.stdin.read()
"""
KILLED = """
import os, signal, sys
from respool.batch import migrations
from respool.batch.spool import Spool
from respool.batch.store import backups, connection

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

for module in (connection, backups, migrations):
    module.SCHEMA_VERSION = 3
migrations.STEPS = ("CREATE TABLE one (id INTEGER)", "CREATE TABLE two (id INTEGER)")
match sys.argv[2]:
    case "at a step":
        migrations.check_copy = die
    case "before the exchange":
        backups.finish_install = die
    case "in the exchange":
        real = backups.finish_install

        def finish(places):
            backups.Path.replace = die
            real(places)

        backups.finish_install = finish
Spool(sys.argv[1]).jobs()
"""


@pytest.mark.parametrize("when", ["at a step", "before the exchange", "in the exchange"])
def test_a_kill_half_way(older: Places, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dump(older)
    # A commit that is in the log only: it goes with the log if an exchange that was begun is not completed.
    before["jobs"] = [(*row[:1], "in the log", *row[2:]) for row in before["jobs"]]
    other = subprocess.Popen([sys.executable, "-c", IN_THE_LOG, str(older.database)], stdin=PIPE, stdout=PIPE, text=True)
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        done = subprocess.run([sys.executable, "-c", KILLED, str(older.database), when], check=False)
        other.kill()
    assert done.returncode == -signal.SIGKILL
    monkeypatch.setattr(migrations, "STEPS", ("CREATE TABLE one (id INTEGER)", "CREATE TABLE two (id INTEGER)"))
    with Spool(older.database) as spool:
        assert sum(job.total for job in spool.jobs()) == 4
    after = dump(older)
    assert (after.pop("one"), after.pop("two")) == ([], [])
    assert after == before


def test_an_exchange_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    places = filled(tmp_path)
    settled_file(places)
    copy = shutil.copy(places.database, tmp_path / ".spool.db.replacement")
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as replacement:
        replacement.execute("UPDATE jobs SET name = 'new'")
    with Spool(places.database) as spool:
        assert [job.name for job in spool.jobs()] == ["new"]
    assert not Path(copy).exists()
