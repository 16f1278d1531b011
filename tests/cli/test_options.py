"""Which spool is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.cli.options import places_of


def test_the_option_then_the_environment_then_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert places_of(None).database == tmp_path / ".respool" / "spool.db"
    assert places_of(None, rehearsal=True).database == tmp_path / ".respool" / "rehearsal" / "spool.db"
    monkeypatch.setenv("RESPOOL_SPOOL", "other.db")
    assert places_of(None).database == tmp_path / "inner" / "other.db"
    assert places_of("mine.db").database == tmp_path / "inner" / "mine.db"
