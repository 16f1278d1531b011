"""`respool cassettes` through the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Folder

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.clock import SYSTEM

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
    assert listed.err == "2 cassettes: 2 orphan\n"
    suite.write("tests/cassettes/bad.json", "{")
    listed = suite.run("cassettes", "list", "tests/cassettes", "--json", code=1)
    assert [row["state"] for row in listed.data["cassettes"]] == ["unreadable", "orphan", "orphan"]
    assert "bad.json, line 1" in suite.run("cassettes", "list", code=1).err
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


def test_list_tells_fresh_stale_orphan_and_missing_apart(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("pyproject.toml", '[tool.respool.cassettes]\nrefresh = "30d"\n')
    folder.write("tests/test_a.py", "".join(
        f"import pytest\n@pytest.mark.cassette\ndef test_{name}(): ...\n" for name in ("new", "old", "none")
    ))  # fmt: skip
    library = Library(tmp_path / "tests/cassettes")
    for name, days in (("test_a/test_new", 1), ("test_a/test_old", 40), ("forgotten", 1)):
        at = SYSTEM.now() - days * 86_400_000_000
        library.save(name, Cassette((Interaction(Request("GET", "http://a.example/"), Response(200), at),)))
    rows = folder.run("cassettes", "list", "--json", code=0).data["cassettes"]
    assert {Path(row["path"]).stem: row["state"] for row in rows} == {
        "test_new": "fresh", "test_old": "stale", "test_none": "missing", "forgotten": "orphan",
    }  # fmt: skip
    assert "40 days old" in next(row["reason"] for row in rows if row["state"] == "stale")
    shown = folder.run("cassettes", "list", "--state", "stale", "--state", "missing", code=0)
    assert [line.split()[2] for line in shown.out.splitlines()[1:]] == ["stale", "missing"]
    assert shown.err == "1 cassette: 1 stale, 1 missing\n"


def test_stats_count_everything(suite: Folder) -> None:
    library = Library(suite.path / "tests/cassettes")
    big = Interaction(Request("POST", "http://b.example/"), Response(500, body=b"x" * 100_000), SYSTEM.now())
    library.save("big", Cassette((big, big)))
    suite.write("tests/cassettes/bad.json", "{")
    told = suite.run("cassettes", "stats", "--json", "--top", "1", code=0).data
    assert (told["cassettes"], told["unreadable"], told["interactions"]) == (4, 1, 4)
    assert told["hosts"] == {"a.example": 2, "b.example": 2}
    assert told["statuses"] == {"200": 2, "500": 2}
    assert told["ages"] == {"unknown": 2, "up to a week": 1}
    assert [(Path(each["path"]).name, each["interactions"]) for each in told["biggest"]] == [("big.json", 2)]
    assert told["bytes"] > 100_000  # the body is a side file
    shown = suite.run("cassettes", "stats", code=0).out.splitlines()
    assert "cassettes     4, 1 unreadable" in shown
    assert next(line for line in shown if line.startswith("biggest")).endswith(" kB, 2 interactions")
    assert "no cassettes here" in suite.run("cassettes", "stats", "tests/cassettes/big.bodies", code=0).err


def test_names_are_deleted_whole_and_inside_one_folder(suite: Folder) -> None:
    suite.write("tests/cassettes/test_a/deep/test_one.yaml", TAPE)
    for pattern in ("test_*", "tests/cassettes/*", "test_a", "*/test_on", "test_a/deep"):
        assert "no cassette matches" in suite.run("cassettes", "delete", pattern, code=3).err
    told = suite.run("cassettes", "delete", "test_a/test_one", "--json", code=0).data
    assert told == {"would_delete": ["tests/cassettes/test_a/test_one.yaml"]}
    told = suite.run("cassettes", "delete", "**/test_one.yaml", "test_a/*", "--json", code=0).data
    assert len(told["would_delete"]) == 3
    assert "exclude each other" in suite.run("cassettes", "delete", "test_a/*", "--yes", "--dry-run", code=2).err
    suite.run("cassettes", "delete", "test_a/*", "--dry-run", code=0)
    suite.run("cassettes", "delete", "test_a/test_one", "test_ab/*", "--yes", code=0)
    assert [path.parent.name for path in suite.path.glob("tests/cassettes/**/*.yaml")] == ["deep"]


def test_restore_takes_several_or_none(suite: Folder) -> None:
    names = ["tests/cassettes/test_a/test_one.yaml", "tests/cassettes/test_ab/test_one.yaml"]
    suite.run("cassettes", "delete", "*/test_one", "--yes", code=0)
    assert "no previous cassette" in suite.run("cassettes", "restore", names[0], "tests/cassettes/no.json", code=3).err
    assert not (suite.path / names[0]).exists()
    assert "would restore" in suite.run("cassettes", "restore", *names, "--dry-run", code=0).out
    assert not (suite.path / names[0]).exists()
    assert suite.run("cassettes", "restore", *names, "--json", code=0).data == {"restored": names}
    assert all((suite.path / name).read_text() == TAPE for name in names)


def test_prune_deletes_what_was_kept_for_long(suite: Folder) -> None:
    library = Library(suite.path / "tests/cassettes")
    big = Interaction(Request("GET", "http://a.example/"), Response(200, body=b"x" * 100_000), SYSTEM.now())
    library.save("big", Cassette((big,)))
    suite.run("cassettes", "delete", "big", "test_a/*", "--yes", code=0)
    suite.run("cassettes", "check", "--fix", code=0)  # the orphan that is left
    assert "nothing has been kept" in suite.run("cassettes", "prune", "--older", "90d", code=0).err
    planned = suite.run("cassettes", "prune", "--older", "0s", code=0)
    assert len(planned.out.splitlines()) == 5
    assert "nothing was deleted; 4 entries" in planned.err
    assert list(suite.path.rglob("*.bodies"))
    assert len(suite.run("cassettes", "prune", "--older", "0s", "--yes", "--json", code=0).data["deleted"]) == 4
    assert not list(suite.path.rglob("*.bodies"))
    assert "no previous cassette" in suite.run("cassettes", "restore", "tests/cassettes/big.json", code=3).err


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_on_a_terminal_there_are_tables_in_colours(suite: Folder, environment: dict[str, str], coloured: bool) -> None:
    import os

    import pexpect
    from program import PROGRAM

    def shown(*arguments: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
        child = pexpect.spawn(PROGRAM, ["cassettes", *arguments], cwd=str(suite.path), encoding="utf-8", timeout=60,
                              dimensions=(40, 160), env={**kept, "TERM": "xterm-256color", **environment})  # fmt: skip
        child.expect(pexpect.EOF)
        child.close()
        return str(child.before)

    for command in (("list",), ("show", "tests/cassettes/test_a/test_one.yaml"), ("check",), ("stats",)):
        text = shown(*command)
        assert "test_one.yaml" in text or "a.example" in text
        assert ("\x1b[" in text) is coloured, (command, text)


def test_what_is_no_cassette_is_one_clear_error(suite: Folder) -> None:
    suite.write("notes.txt", "milk, eggs")
    before = sorted(suite.path.rglob("*"))
    for command in (["show", "tests"], ["show", "--json", "tests"], ["convert", "tests"], ["restore", "tests"]):
        said = suite.run("cassettes", *command, code=2).err
        assert said.startswith("respool: 'tests' is a folder, not a cassette\n  where: "), said
        assert "why:   2 cassettes in it\n  next:  respool cassettes list tests\n" in said
    said = suite.run("cassettes", "check", "notes.txt", code=2).err
    assert "respool: 'notes.txt' is neither a cassette nor a test file\n  where: " in said
    assert "names of cassettes end in .json, .yaml, .yml, .har" in said
    (suite.path / "empty").mkdir()
    assert suite.run("cassettes", "check", "empty", code=0).err == "0 cassettes: there was nothing to look at\n"
    assert sorted(suite.path.rglob("*")) == sorted([*before, suite.path / "empty"])
