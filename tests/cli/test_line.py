"""From options to a job: its name, its task's name, and what wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import TASKS

from respool.cli.line import Line, Overrides, wanted
from respool.errors import UsageError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "items.jsonl").write_text('{"key": "a"}\n')
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_of_jobs(here: Path) -> None:
    assert wanted(Line("tasks.py:square", items="items.jsonl")).name == "tasks.py:square items.jsonl"
    assert wanted(Line(each="*.py", command=("wc", "-l", "{}"))).name == "*.py wc -l '{}'"
    assert wanted(Line(items="items.jsonl", command=("wc", "{n}"))).name == "items.jsonl wc '{n}'"
    assert wanted(Line("tasks.py:square", items="items.jsonl", name="mine")).name == "mine"


def test_a_task_has_one_name_from_every_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = wanted(Line("tasks.py:square", items="items.jsonl"))
    monkeypatch.chdir(here / "inner")
    inner = wanted(Line("../tasks.py:square", items="../items.jsonl"))
    assert outer.task.name == inner.task.name == "tasks.py:square"
    assert outer.folder == inner.folder == here


def test_options_win(here: Path) -> None:
    given = Overrides(limits=("x=1/s", "2/s"), retries=0, version="9", memory=None)
    task = wanted(Line("tasks.py:square", items="items.jsonl", overrides=given)).task
    assert (task.version, task.retry.attempts) == ("9", 1)
    assert {limit.key: str(limit) for limit in task.limits} == {"x": "1/s", "tasks.py:square": "2/s"}


def test_a_timeout_that_cannot_be_kept_is_refused(here: Path) -> None:
    with pytest.raises(UsageError, match="threads cannot declare a timeout"):
        wanted(Line("tasks.py:square", items="items.jsonl", overrides=Overrides(timeout="1s")))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (Line(), "say what to run"),
        (Line("tasks.py:square", command=("x",)), "not both"),
        (Line("tasks.py:square"), "on which items"),
        (Line("tasks.py:square", items="a", each="b"), "not both"),
        (Line("what", items="a"), "neither a spec nor a task"),
    ],
)
def test_lines_that_say_too_little_or_too_much(here: Path, line: Line, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        wanted(line)
