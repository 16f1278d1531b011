"""The dry run at the terminal: reasons, totals, the forecast."""

from __future__ import annotations

import pytest
from program import Folder

RUN = ("run", "tasks.py:square", "--items", "items.jsonl")


def test_reasons_of_every_kind(folder: Folder) -> None:
    folder.items(a=1, b=-1, c=3)
    folder.run(*RUN, code=1)
    folder.items(a=1, b=-1, c=4, d=1)
    plan = folder.run(*RUN, "--dry-run", code=0)
    rows = {line.split()[1]: line for line in plan.out.splitlines()}
    assert rows["a"].startswith("keep")
    assert "--retry-failed" in rows["b"]
    assert "input changed" in rows["c"]
    assert rows["d"].endswith("new")
    assert "2 to run, 2 kept; nothing was written" in plan.err
    assert "with 1 at once, judged by earlier attempts" in plan.err


@pytest.mark.parametrize("flag", ["--no-resume", "--retry-failed", "--force"])
def test_the_plan_is_what_the_run_does(folder: Folder, flag: str) -> None:
    folder.items(a=1, b=-1)
    folder.run(*RUN, code=1)
    planned = folder.run(*RUN, flag, "--dry-run", "--json", code=0).data["totals"]["run"]
    before = len(folder.calls)
    folder.run(*RUN, flag, code=1)
    assert len(folder.calls) - before == planned


def test_only_and_bad_input(folder: Folder) -> None:
    assert "1 to run" in folder.run(*RUN, "--dry-run", "--only", "b", code=0).err
    folder.run(*RUN, "--dry-run", "--only", "nope", code=3)
    folder.write("items.jsonl", "nonsense\n")
    folder.run(*RUN, "--dry-run", code=2)
    assert not (folder.path / ".respool").exists()


def test_it_may_be_asked_while_a_run_goes_on(folder: Folder) -> None:
    folder.run(*RUN, "--only", "a", code=0)
    assert "2 to run, 1 kept" in folder.run(*RUN, "--dry-run", code=0).err
