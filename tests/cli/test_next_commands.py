"""What is printed as the next command is typed, as it stands: it must mean the spool that was talked of."""

from __future__ import annotations

import re
import shlex

import pytest
from program import Ended, Folder

BATCH = ("run", "tasks.py:square", "--items", "items.jsonl")
SPOOLS = {
    "the usual one": [],
    "a rehearsal": ["--rehearse", "bad.toml"],
    "another one": ["--spool", "my spools/x.db"],
    "a rehearsal of another one": ["--spool", "my spools/x.db", "--rehearse", "bad.toml"],
}


def commands(said: Ended) -> list[list[str]]:
    """Every `respool jobs` and `respool doctor` that is printed, as a shell would read it."""
    found = re.findall(r"respool ((?:jobs|doctor)[^,;\n]*)", said.err)
    return [shlex.split(each) for each in found]


@pytest.fixture
def poor(folder: Folder) -> Folder:
    folder.items(a=1, b=-1)
    folder.write("bad.toml", '[[answer]]\nkey = "b"\nfault = "torn"\n')
    return folder


@pytest.mark.parametrize("spool", SPOOLS)
def test_hints_of_a_run(poor: Folder, spool: str) -> None:
    ended = poor.run(*BATCH, "--retries", "0", *SPOOLS[spool], code=1)
    hints = commands(ended)
    assert [each[1] for each in hints if "list" not in each] == ["items", "retry"]
    listed = poor.run(*hints[-2], "--json", code=0).data["items"]
    assert [item["key"] for item in listed] == ["b"]
    for hint in hints:
        assert "no job" not in poor.run(*hint, code=0).err
    if "--rehearse" in SPOOLS[spool]:
        assert "then rehearse again" in ended.err
    else:
        again = re.search(r"then respool (run.*)", ended.err)
        assert again is not None
        assert "1 failed" in poor.run(*shlex.split(again[1]), code=1).err


@pytest.mark.parametrize("spool", SPOOLS)
def test_hints_of_errors(poor: Folder, spool: str) -> None:
    where = ["--rehearsal" if word == "--rehearse" else word for word in SPOOLS[spool] if word != "bad.toml"]
    poor.run(*BATCH, *SPOOLS[spool], code=1)
    (hint,) = commands(poor.run("jobs", "show", "77", *where, code=3))
    assert "items.jsonl" in poor.run(*hint, code=0).out
    (hint,) = commands(poor.run("jobs", "items", "1", "--key", "nope", *where, code=3))
    assert poor.run(*hint, code=0).out.splitlines()[0].split()[:2] == ["done", "a"]


def test_a_spool_named_in_the_environment_needs_no_option(poor: Folder) -> None:
    env = {"RESPOOL_SPOOL": str(poor.path / "x.db")}
    said = poor.run(*BATCH, env=env, code=1).err
    assert "respool jobs items 1 --state failed\n" in said
