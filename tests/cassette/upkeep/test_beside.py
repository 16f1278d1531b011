"""Notes about what a cassette was recorded from, kept beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.cassette.upkeep.beside import FOLDER, KEPT, note, noted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.yaml"


def test_a_note_is_about_one_content_of_one_cassette(tmp_path: Path, file: Path) -> None:
    file.write_text("one")
    note(tmp_path, "a.yaml", file, {"inputs": "1"})
    assert noted(tmp_path, "a.yaml", file) == {"inputs": "1"}
    assert noted(tmp_path, "b.yaml", file) == {}, "another cassette may depend on other files"
    file.write_text("edited")
    assert noted(tmp_path, "a.yaml", file) == {}
    note(tmp_path, "a.yaml", file, {"inputs": "2", "upstream": "7"})
    assert noted(tmp_path, "a.yaml", file) == {"inputs": "2", "upstream": "7"}
    file.write_text("one")
    assert noted(tmp_path, "a.yaml", file) == {"inputs": "1"}, "restored, it has its note again"


def test_there_is_one_small_file_for_a_cassette_however_often_it_is_recorded(tmp_path: Path, file: Path) -> None:
    for number in range(KEPT + 2):
        file.write_text(str(number))
        note(tmp_path, "a.yaml", file, {"inputs": str(number)})
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
    known = []
    for number in range(KEPT + 2):
        file.write_text(str(number))
        known.append(noted(tmp_path, "a.yaml", file).get("inputs"))
    assert known == [None, None, "2", "3", "4", "5"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"v": 2, "contents": []}', '{"v": 1, "contents": [1]}'])
def test_what_is_lost_or_damaged_says_nothing(tmp_path: Path, file: Path, damage: str) -> None:
    assert noted(tmp_path, "a.yaml", file) == {}
    file.write_text("one")
    note(tmp_path, "a.yaml", file, {"inputs": "1"})
    (kept,) = (tmp_path / FOLDER).iterdir()
    kept.write_text(damage)
    assert noted(tmp_path, "a.yaml", file) == {}
    note(tmp_path, "a.yaml", file, {"inputs": "1"})
    file.unlink()
    assert noted(tmp_path, "a.yaml", file) == {}
