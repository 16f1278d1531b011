"""Backup folders: the last one is put back, and the present kept aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.batch.backup_folder import latest, put_back, take
from respool.clock import SYSTEM, FakeClock
from respool.errors import UsageError
from spool_bench import dump, filled, settled_file, sql


def test_going_back_and_forth(tmp_path: Path) -> None:
    places = filled(tmp_path)
    file = tmp_path / "in the way"
    file.write_text("content")
    first = dump(places)
    backup = take(places, SYSTEM, "fix")
    backup.aside.take(file)
    backup.aside.take(tmp_path / "never there")
    sql(places, "UPDATE items SET reason = 'mended'")
    second = dump(places)
    assert not file.exists()
    for expected, there in ((first, True), (second, False), (first, True)):
        put_back(places, SYSTEM)
        assert dump(places) == expected
        assert file.exists() == there
    assert file.read_text() == "content"


def test_the_last_one_counts_even_within_one_second(tmp_path: Path) -> None:
    places, clock = filled(tmp_path), FakeClock()
    backups = [take(places, clock, "fix") for _ in range(11)]
    assert latest(places).folder == backups[-1].folder
    clock.advance(1)
    assert take(places, clock, "fix").folder == latest(places).folder


def test_a_clock_that_is_set_back_does_not_mix_them_up(tmp_path: Path) -> None:
    places, clock = filled(tmp_path), FakeClock()
    take(places, clock, "fix")
    sql(places, "UPDATE items SET reason = 'mended'")
    mended = dump(places)
    clock.set_back(3600)
    put_back(places, clock)
    assert dump(places) != mended
    put_back(places, clock)
    assert dump(places) == mended


def test_an_incomplete_backup_is_none(tmp_path: Path) -> None:
    places = filled(tmp_path)
    with pytest.raises(UsageError, match="nothing to undo"):
        latest(places)
    backup = take(places, SYSTEM, "fix")
    (backup.folder / "manifest.json").write_text("{torn")
    with pytest.raises(UsageError, match="nothing to undo"):
        put_back(places, SYSTEM)
    assert dump(places)


def test_a_damaged_spool_is_kept_byte_by_byte(tmp_path: Path) -> None:
    places = filled(tmp_path)
    content = settled_file(places)
    content[:4096] = bytes(4096)
    places.database.write_bytes(content)
    backup = take(places, SYSTEM, "fix")
    assert (backup.raw, backup.copy.read_bytes()) == (True, content)
