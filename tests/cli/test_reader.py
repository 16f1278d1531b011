"""Opening a spool to look at it never makes or changes one."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import Folder

from respool.cli.reader import reader
from respool.errors import UsageError


def test_looking_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no spool here"), reader(None, False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_looking_changes_nothing(folder: Folder) -> None:
    folder.run("run", "tasks.py:square", "--items", "items.jsonl", code=0)
    database = folder.path / ".respool" / "spool.db"
    before = database.read_bytes()
    for command in (["list"], ["show", "1"], ["items", "1"], ["events"], ["prune", "--older", "0s", "--dry-run"]):
        folder.run("jobs", *command, code=0)
    assert database.read_bytes() == before
