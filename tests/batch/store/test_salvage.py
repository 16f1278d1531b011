"""What can be saved of a damaged file: all that lies on good pages, and nothing that was not there."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from respool.batch.places import Places
from respool.batch.store.backups import check_copy
from respool.batch.store.salvage import TABLES, Salvaged, salvage
from respool.clock import SYSTEM
from spool_bench import dump, filled, page_of, settled_file, sql

PAGE = 4096
ITEMS = {f"key-{number}": {"n": number, "text": "y" * 100} for number in range(500)}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Places:
    return filled(tmp_path_factory.mktemp("healthy"), ITEMS)


def save(content: bytes, folder: Path) -> tuple[Salvaged, Places]:
    damaged, target = folder / "damaged.db", Places(folder / "new" / "spool.db")
    damaged.write_bytes(content)
    saved = salvage(damaged, target, SYSTEM)
    assert damaged.read_bytes() == content, "the damaged file is not changed"
    return saved, target


def test_all_tables_are_known(healthy: Places) -> None:
    assert {*TABLES, "fingerprints"} == set(dump(healthy))


def test_a_healthy_file_comes_over_whole(healthy: Places, tmp_path: Path) -> None:
    saved, target = save(settled_file(healthy), tmp_path)
    assert (saved.lost, saved.tables) == ([], set())
    assert dump(target) == dump(healthy)
    assert saved.rows == {table: len(rows) for table, rows in dump(healthy).items() if table != "fingerprints"}
    check_copy(target.database)


@pytest.mark.parametrize("table", ["items", "payloads", "attempts", "results", "events"])
def test_islands_between_bad_pages_are_saved(healthy: Places, tmp_path: Path, table: str) -> None:
    content, pages = settled_file(healthy), page_of(healthy, table)
    assert len(pages) >= 4
    for page in (pages[0], pages[2]):
        content[(page - 1) * PAGE : page * PAGE] = b"\xa5" * PAGE
    saved, target = save(content, tmp_path)
    before, after = dump(healthy), dump(target)
    lost = set(before[table]) - set(after[table])
    assert saved.tables == {table}
    assert 0 < len(lost) <= len(before[table]) * 2.2 / (len(pages) - 1) + 4, "no more than two pages' rows"
    assert all(set(after[name]) <= set(before[name]) for name in TABLES)
    assert after.pop("fingerprints") == sorted((row[3], row[0]) for row in after["items"]), "made anew"
    assert {name: rows for name, rows in after.items() if name != table} == {
        name: rows for name, rows in before.items() if name not in (table, "fingerprints")
    }
    assert sum(text.startswith(f"{table}: ") for text in saved.lost) == 1
    if table == "items":
        keys = [row[2] for row in sorted(lost)]
        assert f"{len(lost)} items by name: {keys[0]!r} of job 1" in saved.lost[1]
    if table == "results":
        assert set(saved.results) == {(row[0], row[1]) for row in lost}


def test_results_whose_owners_nobody_knows(healthy: Places, tmp_path: Path) -> None:
    content = settled_file(healthy)
    for page in page_of(healthy, "results")[:1] + page_of(healthy, "sqlite_autoindex_results_1"):
        content[(page - 1) * PAGE : page * PAGE] = b"\xa5" * PAGE
    saved, _ = save(content, tmp_path)
    assert saved.results_unknown
    assert saved.results == []


def test_the_list_of_tables_is_made_anew(healthy: Places, tmp_path: Path) -> None:
    content = settled_file(healthy)
    for page in page_of(healthy, "sqlite_schema") or [1]:
        content[(page - 1) * PAGE : page * PAGE] = b"\0" * PAGE
    content[:PAGE] = b"\0" * PAGE
    saved, target = save(content, tmp_path)
    assert saved.lost == []
    assert dump(target) == dump(healthy)


def test_what_is_only_in_the_log_is_saved(tmp_path: Path) -> None:
    places = filled(tmp_path)
    settled_file(places)
    with_log = sqlite3.connect(places.database, isolation_level=None)
    with_log.execute("PRAGMA wal_autocheckpoint=0")
    with_log.execute("UPDATE items SET reason = 'in the log'")
    log = places.database.with_name("spool.db-wal")
    (tmp_path / "damaged.db-wal").write_bytes(log.read_bytes())
    content = bytearray(places.database.read_bytes())
    with_log.close()
    content[:PAGE] = bytes(PAGE)
    _, target = save(content, tmp_path)
    assert sql(target, "SELECT DISTINCT reason FROM items") == [("in the log",)]


@pytest.mark.parametrize("seed", range(12))
def test_noise_invents_nothing(healthy: Places, tmp_path: Path, seed: int) -> None:
    """Flipped bytes anywhere: it ends, the new spool is whole, and keys are never made up."""
    chance, content = random.Random(seed), settled_file(healthy)
    for _ in range(chance.choice([1, 20, 400])):
        at = chance.randrange(len(content))
        content[at : at + 8] = chance.randbytes(len(content[at : at + 8]))
    saved, target = save(content, tmp_path)
    check_copy(target.database)
    assert len(sql(target, "SELECT id FROM spool")) == 1
    if not saved.lost:
        assert len(sql(target, "SELECT id FROM items")) == len(ITEMS)


def test_a_file_of_nothing(tmp_path: Path) -> None:
    for content in (b"", b"\0" * 100, b"\xff" * 10_000):
        folder = tmp_path / str(len(content))
        folder.mkdir()
        saved, target = save(content, folder)
        assert saved.lost
        assert len(sql(target, "SELECT id FROM spool")) == 1
