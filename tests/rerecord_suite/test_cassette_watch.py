"""The watch of the torture goes red for whatever should never be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rerecord_torture import HERE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch hears of files through inotify")


def tape(test: str, numbers: list[int], of: int, status: int = 200) -> str:
    calls = [{"request": {"url": f"http://a/x?test={test}&number={number}&of={of}"}, "response": {"status": status}}
             for number in numbers]  # fmt: skip
    return json.dumps({"interactions": calls})


def replace(path: Path, text: str) -> None:
    """As the library does."""
    part = path.with_name(f".{path.name}.tmp")
    part.write_text(text)
    os.replace(part, path)


def deleted_and_made_again(path: Path) -> None:
    text = path.read_text()
    path.unlink()
    replace(path, text)


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "written in its place": (lambda path: path.write_text(tape("a", [0, 1], 2)), "written in its place"),
    "cut off": (lambda path: replace(path, tape("a", [0, 1], 2)[:-9]), "cannot be read"),
    "not whole": (lambda path: replace(path, tape("a", [0], 2)), "has the requests [0] of 2"),
    "another order": (lambda path: replace(path, tape("a", [1, 0], 2)), "has the requests [1, 0] of 2"),
    "of another test": (lambda path: replace(path, tape("b", [0, 1], 2)), "it has requests of ['b']"),
    "a throttled answer": (lambda path: replace(path, tape("a", [0, 1], 2, 429)), "an answer with 429 is on it"),
    "gone for a moment": (deleted_and_made_again, "deleted"),
    "gone": (lambda path: path.unlink(), "vanished"),
}


@pytest.mark.parametrize("harm", [*HARM, "none"])
def test_each_harm_is_seen_and_nothing_else(tmp_path: Path, harm: str) -> None:
    cassettes = tmp_path / "tests" / "cassettes"
    path = cassettes / "test_a" / "test_it.json"
    path.parent.mkdir(parents=True)
    path.write_text(tape("a", [0], 1))
    (tmp_path / "plan").write_text(json.dumps({"tests/cassettes/test_a/test_it.json": ["a"]}))
    with subprocess.Popen(
        [sys.executable, str(HERE / "cassette_watch.py"), str(cassettes), str(tmp_path / "plan"), str(tmp_path / "report")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as watch:  # fmt: skip
        assert watch.stdout is not None
        assert watch.stdout.readline() == "watching\n"
        act, expected = HARM.get(harm, (lambda path: replace(path, tape("a", [0, 1], 2)), ""))
        act(path)
        watch.communicate("", timeout=60)
    told = json.loads((tmp_path / "report").read_text())
    if harm == "none":
        assert (told["wrong"], told["new"]) == ([], 1)
    else:
        assert any(expected in each for each in told["wrong"]), told
