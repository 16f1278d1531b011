"""Where a spool keeps what: beside the nearest project, apart for each spool, and nothing made by asking."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.batch.places import Places


def test_a_folder_holds_a_spool_and_a_file_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Places.at(tmp_path).database == tmp_path / "spool.db"
    assert Places.at("jobs.db").database == tmp_path / "jobs.db"
    assert Places.at("new/").database == tmp_path / "new" / "spool.db", "a folder that is still to be made"
    assert Places.at("new").database == tmp_path / "new"


def test_the_nearest_project_above_holds_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, below = tmp_path / "project", tmp_path / "project" / "a" / "b"
    below.mkdir(parents=True)
    assert Places.nearest(below).folder == below / ".respool", "no project anywhere: here"
    (project / "pyproject.toml").touch()
    assert Places.nearest(below).folder == project / ".respool"
    (below / "pyproject.toml").mkdir()
    assert Places.nearest(below).folder == project / ".respool", "a folder of that name is no project"
    (below.parent / "pyproject.toml").touch()
    monkeypatch.chdir(below)
    assert Places.nearest() == Places(below.parent / ".respool" / "spool.db")


def test_a_link_and_what_it_leads_to_are_one_spool(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("real.db")
    assert Places.at(tmp_path / "link.db") == Places.at(tmp_path / "real.db"), "also while it is still to be made"
    (tmp_path / ".respool").mkdir()
    (tmp_path / ".respool" / "spool.db").symlink_to("../real.db")
    assert Places.nearest(tmp_path) == Places.at(tmp_path / "real.db")


def paths(places: Places) -> set[Path]:
    return {
        places.database, places.owner_lock, places.write_lock, places.files, places.backups, places.attempts,
        places.sessions, places.results, places.attempt(1, 1), places.result("ab" * 16), places.session("n"),
    }  # fmt: skip


def test_two_spools_in_one_folder_share_nothing_but_the_pace(tmp_path: Path) -> None:
    one, other = Places.at(tmp_path / "one.db"), Places.at(tmp_path / "other.db")
    assert len(paths(one)) == 11
    assert paths(one).isdisjoint(paths(other))
    assert one.pace == other.pace
    rehearsed = one.rehearsal()
    assert paths(one).isdisjoint(paths(rehearsed))
    assert rehearsed.pace != one.pace, "a rehearsal uses up no real limit"
    assert rehearsed.database.name == one.database.name
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 99)), unique=True, max_size=20))
def test_every_attempt_has_a_folder_of_its_own(tries: list[tuple[int, int]]) -> None:
    places = Places(Path("/x/spool.db"))
    folders = [places.attempt(item, number) for item, number in tries]
    assert len(set(folders)) == len(tries)
    assert all(folder.parent.parent == places.attempts for folder in folders), "no folder below another's"


def test_a_folder_of_attempts_or_results_stays_small() -> None:
    places = Places(Path("/x/spool.db"))
    assert len({places.attempt(item, 1).parent for item in range(10_000)}) == 10
    assert places.result("abcd").parent == places.results / "ab"
