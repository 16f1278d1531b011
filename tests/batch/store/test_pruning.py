"""Deleting whole jobs: nothing that is used goes, nothing that is useless stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.batch.spool import Spool
from respool.batch.store import pruning
from respool.batch.store.intake import Wishes
from respool.batch.store.pruning import prunable, prune_spool
from respool.batch.tasks import task
from respool.files import private_folder

FAR = 1 << 60
TABLES = ("jobs", "items", "payloads", "attempts", "results", "blocks", "archive", "rules", "requests", "staged_blocks")


@task(mode="thread")
def big(payload: str) -> str:
    return payload * 40_000


@task(mode="thread")
def after(payload: object) -> None:
    return None


def rows(spool: Spool) -> dict[str, int]:
    connection = spool.database().connection
    return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.db")


def test_nothing_is_left_of_a_job(spool: Spool) -> None:
    with spool:
        spool.submit(big, {"a": "xy", "b": "zz"}, name="one").then(after).run()
        spool.submit(big, {"a": "changed"}, name="one").run()
        assert list(spool.places.results.rglob("*"))
        assert prunable(spool.database(), 0).jobs == []
        assert [job for job, _, _ in prune_spool(spool.database(), FAR).jobs] == [1, 2]
        assert rows(spool) == dict.fromkeys(TABLES, 0)
        assert [path for path in spool.places.results.rglob("*") if path.is_file()] == []
        assert spool.database().connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_file_that_another_job_names_stays(spool: Spool) -> None:
    with spool:
        spool.submit(big, {"a": "xy"}, name="one").run()
        other = spool.submit(big, {"b": "xy"}, name="two")
        other.run(no_cache=True)
        spool.submit(big, {"b": "xy", "c": "new"}, name="two")  # open again: it does not go
        assert [job for job, _, _ in prune_spool(spool.database(), FAR).jobs] == [1]
        assert other.results() == {"b": "xy" * 40_000}


def test_a_child_keeps_its_parent_until_it_has_ended(spool: Spool) -> None:
    with spool:
        job = spool.submit(big, {"a": "xy"}, name="one")
        job.then(after)
        job.run(at_most=1)
        assert prunable(spool.database(), FAR).jobs == []


def test_of_a_job_that_stays_the_superseded_tries_go(spool: Spool) -> None:
    with spool:
        job = spool.submit(big, {"a": "xy", "b": "zz"}, name="one")
        job.run()
        other = spool.submit(big, {"c": "xy", "new": "n"}, name="two")  # takes the result of the first, and stays open
        other.run(only=["c"])
        for wishes in (Wishes(), Wishes(force=("a",)), Wishes(force=("a",))):
            spool.submit(big, {"a": "changed", "new": "n"}, name="one", wishes=wishes).run(only=["a"])
        folders = [spool.places.attempt(1, number) for number in (1, 2, 3, 4)]
        for folder in folders:
            private_folder(folder)
        assert prunable(spool.database(), 0).tries == 0
        found = prunable(spool.database(), FAR)
        assert (found.jobs, found.tries) == ([], 2)
        assert prune_spool(spool.database(), FAR).tries == 2
        assert [folder.exists() for folder in folders] == [True, False, False, True]
        connection = spool.database().connection
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert job.results() == {"a": "changed" * 40_000}
        assert other.results() == {"c": "xy" * 40_000}
        spool.submit(big, {"a": "changed", "new": "n"}, name="one", wishes=Wishes(force=("a",))).run(only=["a"])
        assert connection.execute("SELECT number FROM attempts WHERE item_id = 1").fetchall() == [(1,), (4,), (5,)]


def test_old_sessions_go_with_their_last_try(spool: Spool) -> None:
    with spool:
        for _ in range(4):
            spool.submit(big, {"a": "xy", "new": "n"}, name="one", wishes=Wishes(force=("a",))).run(only=["a"])
        count = spool.database().connection.execute
        assert count("SELECT count(*) FROM sessions").fetchone() == (4,)
        prune_spool(spool.database(), FAR)
        assert count("SELECT count(*) FROM sessions").fetchone() == (1,)


def test_a_kill_in_between_leaves_whole_jobs_and_the_same_call_goes_on(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "GROUP", 4)
    told = []

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 1:
            raise KeyboardInterrupt

    with spool:
        for name in ("one", "two", "three", "four", "five"):
            spool.submit(after, {"a": name, "b": name + "b"}, name=name).run()
        with pytest.raises(KeyboardInterrupt):
            prune_spool(spool.database(), FAR, interrupt)
        assert [(job.name, job.total) for job in spool.jobs()] == [("three", 2), ("four", 2), ("five", 2)]
        assert rows(spool)["items"] == rows(spool)["payloads"] == 6
        prune_spool(spool.database(), FAR, interrupt)
        assert told == [(2, 5), (2, 3), (3, 3)]
        assert rows(spool)["jobs"] == rows(spool)["items"] == 0
