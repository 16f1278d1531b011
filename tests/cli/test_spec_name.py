"""The name of a spec's job."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.cli.spec_name import job_name


def test_the_path_as_seen_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project / "sub")
    assert job_name(Path("b.toml")) == job_name(project / "sub" / "b.toml") == "sub/b.toml"
    assert job_name(Path("../b.toml")) == "b.toml"
    assert job_name(tmp_path / "b.toml") == (tmp_path / "b.toml").as_posix()
