"""`respool cassettes diff` through the real command line."""

from __future__ import annotations

import json

import pytest
from program import Folder

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response


def tape(temperature: int, at: str = "2026-01-01", status: int = 200) -> Cassette:
    body = json.dumps({"temp": temperature, "at": at}).encode()
    response = Response(status, headers=(("Content-Type", "application/json"),), body=body)
    return Cassette((Interaction(Request("GET", "http://a.example/oslo"), response),))


@pytest.fixture
def folder(tmp_path: object) -> Folder:
    made = Folder(tmp_path)  # type: ignore[arg-type]
    made.write("pyproject.toml", "[project]\nname = 'suite'\nversion = '0'\n")
    library = Library(made.path / "tests" / "cassettes")
    library.save("oslo", tape(12))
    library.save("oslo", tape(13, "2026-02-01", status=201))
    library.save("lima", tape(20))
    return made


def test_of_one_path_what_changed_since_the_version_that_was_kept(folder: Folder) -> None:
    changed = folder.run("cassettes", "diff", "tests/cassettes/oslo.json", code=1)
    assert changed.out.splitlines() == [
        "oslo.json: 1 call changed", "  ~ GET http://a.example/oslo", "      status: 200 → 201", "      $.temp: 12 → 13",
        '      $.at: "2026-01-01" → "2026-02-01"',
    ]  # fmt: skip
    assert 'volatile = ["$.at"]  # date in 1 place' in changed.err
    whole = folder.run("cassettes", "diff", "tests/cassettes", code=1)
    assert whole.out == changed.out
    assert "1 cassette has no previous version" in whole.err
    assert "no previous version" in folder.run("cassettes", "diff", "tests/cassettes/lima.json", code=3).err


def test_two_files_and_two_folders(folder: Folder) -> None:
    library = Library(folder.path / "new")
    library.save("oslo", tape(13, "2026-02-01", status=201))
    library.save("rome", tape(1))
    same = folder.run("cassettes", "diff", "tests/cassettes/oslo.json", "new/oslo.json", code=0)
    assert (same.out, same.err) == ("", "")
    assert folder.run("cassettes", "diff", "tests/cassettes/lima.json", "new/rome.json", code=1).out.startswith("~ GET")
    told = folder.run("cassettes", "diff", "tests/cassettes", "new", code=1)
    assert told.out.splitlines() == [
        "lima.json: gone, 1 call", "  - GET http://a.example/oslo", "rome.json: new, 1 call", "  + GET http://a.example/oslo",
    ]  # fmt: skip
    assert "3 cassettes: 2 changed, 1 without a change" in told.err
    assert "are a folder and a file" in folder.run("cassettes", "diff", "tests/cassettes", "new/oslo.json", code=2).err
    assert "there is no cassette" in folder.run("cassettes", "diff", "tests/cassettes", "newer", code=3).err


def test_volatile_paths_are_declared_in_the_settings(folder: Folder) -> None:
    library = Library(folder.path / "tests" / "cassettes")
    library.save("lima", tape(20, "2026-03-01"))
    folder.run("cassettes", "diff", "tests/cassettes/lima.json", code=1)
    folder.run("cassettes", "diff", "tests/cassettes/lima.json", "--ignore", "$.at", code=0)
    folder.write("pyproject.toml", '[tool.respool.rerecord]\nvolatile = ["$.at"]\n')
    folder.run("cassettes", "diff", "tests/cassettes/lima.json", code=0)
    folder.write("pyproject.toml", '[tool.respool.rerecord]\nvolatile = "$.at"\n')
    assert "must be a list" in folder.run("cassettes", "diff", "tests/cassettes", code=2).err
    folder.write("pyproject.toml", '[tool.respool.rerecord]\nvolatile = ["at"]\n')
    assert "'at' is no JSON path" in folder.run("cassettes", "diff", "tests/cassettes", code=2).err


def test_for_machines_and_as_a_page(folder: Folder) -> None:
    told = folder.run("cassettes", "diff", "tests/cassettes", "--json", "--html", "drift.html", code=1)
    (row,) = told.data["cassettes"]
    assert (row["name"], row["old"], row["new"], row["summary"]) == ("oslo.json", 1, 1, "1 call changed")
    assert row["changed"][0]["fields"] == [{"name": "status", "old": "200", "new": "201"}]
    assert [each["path"] for each in row["changed"][0]["paths"]] == ["$.temp", "$.at"]
    assert row["proposals"] == [{"path": "$.at", "shape": "date", "places": 1}]
    assert "oslo.json" in (folder.path / "drift.html").read_text()
    assert "cannot be written" in folder.run("cassettes", "diff", "tests/cassettes", "--html", "no/where.html", code=2).err


def test_one_that_cannot_be_read_hides_no_other(folder: Folder) -> None:
    folder.write("new/oslo.json", "{")
    folder.write("new/lima.json", (folder.path / "tests/cassettes/lima.json").read_text())
    told = folder.run("cassettes", "diff", "tests/cassettes", "new", "--json", code=1)
    assert [each["name"] for each in told.data["errors"]] == ["oslo.json"]
    assert [each["name"] for each in told.data["cassettes"]] == ["lima.json"]
