"""`respool cassettes` through the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Folder

TAPE = """
interactions:
- request: {method: GET, uri: "http://a.example/oslo", body: null, headers: {Accept: ['*/*']}}
  response:
    status: {code: 200, message: OK}
    headers: {Content-Type: [application/json]}
    body: {string: '{"temp": 12}'}
version: 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "tape.yaml").write_text(TAPE)
    return Folder(tmp_path)


def test_from_vcrpy_to_ours_to_har_and_back(folder: Folder) -> None:
    done = folder.run("cassettes", "convert", "tape.yaml", code=0)
    assert done.out == "wrote  tape.json  1 interaction\n"
    ours = json.loads((folder.path / "tape.json").read_text())
    assert ours["interactions"][0]["response"]["body"] == {"json": {"temp": 12}, "style": "spaced"}
    folder.run("cassettes", "convert", "--to", "har", "tape.json", code=0)
    folder.run("cassettes", "convert", "--to", "vcrpy-yaml", "--out", "again", "tape.har", code=0)
    assert "http://a.example/oslo" in (folder.path / "again" / "tape.yaml").read_text()
    assert (folder.path / "tape.yaml").read_text() == TAPE


def test_a_dry_run_writes_nothing(folder: Folder) -> None:
    assert "would write  tape.json" in folder.run("cassettes", "convert", "tape.yaml", "--dry-run", code=0).out
    assert [path.name for path in folder.path.iterdir()] == ["tape.yaml"]


def test_what_is_there_is_written_over_only_when_asked_and_kept(folder: Folder) -> None:
    (folder.path / "tape.json").write_text("{}")
    assert "is there already" in folder.run("cassettes", "convert", "tape.yaml", code=2).err
    assert (folder.path / "tape.json").read_text() == "{}"
    folder.run("cassettes", "convert", "--replace", "tape.yaml", code=0)
    assert next(folder.path.glob(".respool/previous/**/tape.json")).read_text() == "{}"


def test_one_that_cannot_be_read_stops_no_other(folder: Folder) -> None:
    (folder.path / "bad.yaml").write_text("interactions: [")
    done = folder.run("cassettes", "convert", "bad.yaml", "none.yaml", "tape.yaml", "--json", code=1)
    assert [("error" in each) for each in done.data["converted"]] == [True, True, False]
    assert "bad.yaml" in done.err
    assert (folder.path / "tape.json").is_file()


@pytest.fixture
def suite(tmp_path: Path) -> Folder:
    for name in ("test_a", "test_ab"):
        folder = tmp_path / "tests" / "cassettes" / name
        folder.mkdir(parents=True)
        (folder / "test_one.yaml").write_text(TAPE)
    return Folder(tmp_path)


def test_list_finds_the_folders_of_cassettes(suite: Folder) -> None:
    listed = suite.run("cassettes", "list", code=0)
    assert [line.split()[:2] for line in listed.out.splitlines()] == [
        ["CASSETTE", "CALLS"], ["tests/cassettes/test_a/test_one.yaml", "1"], ["tests/cassettes/test_ab/test_one.yaml", "1"],
    ]  # fmt: skip
    suite.write("tests/cassettes/bad.json", "{")
    listed = suite.run("cassettes", "list", "tests/cassettes", "--json", code=1)
    assert [("error" in row) for row in listed.data["cassettes"]] == [True, False, False]
    assert "is no folder" in suite.run("cassettes", "list", "nowhere", code=2).err


def test_show_tells_each_interaction_and_prints_a_body(folder: Folder) -> None:
    shown = folder.run("cassettes", "show", "tape.yaml", code=0)
    assert shown.out == "   1  GET http://a.example/oslo  200 application/json, 12 bytes, 0.00 s\n"
    assert folder.run("cassettes", "show", "tape.yaml", "--body", "1", code=0).out == '{"temp": 12}\n'
    assert "--body 2" in folder.run("cassettes", "show", "tape.yaml", "--body", "2", code=2).err
    (row,) = folder.run("cassettes", "show", "tape.yaml", "--json", code=0).data["interactions"]
    assert (row["number"], row["status"], row["type"]) == (1, 200, "application/json")
    assert "there is no cassette" in folder.run("cassettes", "show", "none.json", code=3).err


def test_delete_says_first_takes_whole_names_and_can_be_undone(suite: Folder) -> None:
    pattern, path = "tests/cassettes/test_a/*", suite.path / "tests/cassettes/test_a/test_one.yaml"
    assert suite.run("cassettes", "delete", pattern, code=0).out == "would delete  tests/cassettes/test_a/test_one.yaml\n"
    assert path.exists()
    suite.run("cassettes", "delete", pattern, "--yes", code=0)
    assert not path.exists()
    assert (suite.path / "tests/cassettes/test_ab/test_one.yaml").exists()
    suite.run("cassettes", "restore", "tests/cassettes/test_a/test_one.yaml", code=0)
    assert path.read_text() == TAPE
    assert "no cassette matches" in suite.run("cassettes", "delete", "tests/cassettes/test", code=3).err
