"""`respool cassettes convert` through the real command line."""

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
