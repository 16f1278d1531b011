"""Notes for other processes: written seldom, read without trust. Through the command line: cli/test_follow.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.batch.notes import LONGEST, Notes, note_of, read_notes
from respool.batch.places import Places
from respool.clock import FakeClock


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.at(tmp_path / "spool.db")


def test_notes_are_written_at_most_twice_a_second(places: Places) -> None:
    clock = FakeClock()
    notes = Notes(places, clock)
    notes.write([(7, 1, "nobody has said anything")])
    assert read_notes(places) == {}
    assert not places.files.exists()
    for number in range(10):
        notes.changed = True
        notes.write([(7, 1, f"page {number}"), (8, 2, None)])
    assert read_notes(places) == {"7-1": "page 0"}
    clock.advance(0.6)
    notes.write([(7, 1, "page 9"), (9, 1, "x" * 5000)])
    found = read_notes(places)
    assert (note_of(found, 7, 1), note_of(found, 7, 2), note_of(found, 9, 1)) == ("page 9", None, "x" * LONGEST)
    notes.clear()
    assert read_notes(places) == {}


@pytest.mark.parametrize("content", [b"", b"{torn", b"[1]", b"\xff"])
def test_what_cannot_be_read_is_no_note(places: Places, content: bytes) -> None:
    places.files.mkdir()
    (places.files / "notes.json").write_bytes(content)
    assert read_notes(places) == {}


def test_a_note_that_cannot_be_written_harms_nothing(places: Places) -> None:
    places.files.write_text("a file where the folder should be")
    notes = Notes(places, FakeClock())
    notes.changed = True
    notes.write([(1, 1, "hello")])
    notes.clear()
    assert read_notes(places) == {}
