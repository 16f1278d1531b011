"""Which spool is meant."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from program import Folder

from respool.cli.options import keep_apart, places_of
from respool.errors import UsageError


def test_the_option_then_the_environment_then_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert places_of(None).database == tmp_path / ".respool" / "spool.db"
    assert places_of(None, rehearsal=True).database == tmp_path / ".respool" / "rehearsal" / "spool.db"
    monkeypatch.setenv("RESPOOL_SPOOL", "other.db")
    assert places_of(None).database == tmp_path / "inner" / "other.db"
    assert places_of("mine.db").database == tmp_path / "inner" / "mine.db"


RUN = ("run", "tasks.py:square", "--items", "items.jsonl")
SETTINGS = '[tool.respool]\nspool = "state/jobs.db"\nworkers = 3\n'


def test_flags_win_over_the_environment_over_the_spec_over_the_project(folder: Folder) -> None:
    folder.write("pyproject.toml", SETTINGS)
    folder.write("b.toml", 'task = "tasks.py:square"\nworkers = 4\n[items]\nfile = "items.jsonl"\n')
    env = {"RESPOOL_WORKERS": "5"}

    def workers(*arguments: str, env: dict[str, str] | None = None) -> object:
        planned = folder.run("run", *arguments, "--dry-run", "--json", env=env, code=0).data
        return planned["workers"]

    assert workers(*RUN[1:]) == 3
    assert workers("b.toml") == 4
    assert workers("b.toml", env=env) == 5
    assert workers("b.toml", "--workers", "6", env=env) == 6


def test_the_spool_of_the_project(folder: Folder) -> None:
    folder.write("pyproject.toml", SETTINGS)
    (folder.path / "inner").mkdir()
    folder.run(*RUN, code=0)
    assert (folder.path / "state" / "jobs.db").is_file()
    assert not (folder.path / ".respool").exists()
    assert folder.run("jobs", "--json", cwd=folder.path / "inner", code=0).data["jobs"][0]["counts"]["done"] == 3
    data = folder.run("jobs", "show", "1", "--json", code=0).data
    assert data["parallel"] == 3
    other = {"RESPOOL_SPOOL": "other.db"}
    assert "no spool here" in folder.run("jobs", env=other, code=2).err
    assert "no spool here" in folder.run("jobs", "--spool", "third.db", env=other, code=2).err


def test_a_setting_that_is_not_there_is_named_by_every_command_but_the_help(folder: Folder) -> None:
    folder.write("pyproject.toml", "[tool.respool]\nwrokers = 3\n")
    for arguments in (RUN, ("jobs",), ("doctor",), ("next",)):
        told = folder.run(*arguments, code=2).err
        assert "did you mean workers?" in told
        assert "pyproject.toml:2" in told
    folder.run("run", "--help", code=0)
    folder.write("pyproject.toml", "[tool.respool]\nworkers = 0\n")
    told = folder.run(*RUN, code=2).err
    assert "at least 1, not 0" in told
    assert "pyproject.toml:2" in told


@pytest.mark.parametrize("by", ["project", "environment"])
def test_the_grace_of_the_project(
    folder: Folder, until: Callable[[Callable[[], bool]], None], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("pyproject.toml", f'[tool.respool]\ngrace = "{"100ms" if by == "project" else "1h"}"\n')
    if by == "environment":
        monkeypatch.setenv("RESPOOL_GRACE", "100ms")
    folder.items(a=1)
    program = folder.start("run", "tasks.py:slow", "--items", "items.jsonl")
    until(lambda: folder.calls == ["a"])
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=30)  # ends by itself, long before the task would
    assert program.returncode == 130


def test_a_file_is_read_or_written_once(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    keep_apart({"--out": one, "--html": None, "--tsv": None}, [other])
    with pytest.raises(UsageError, match=r"--html cannot be '.*b': it is read"):
        keep_apart({"--out": one, "--html": other}, [other])
    with pytest.raises(UsageError, match=r"--html cannot be '.*a': --out is written there"):
        keep_apart({"--out": one, "--html": tmp_path / "x" / ".." / "a"}, [])
