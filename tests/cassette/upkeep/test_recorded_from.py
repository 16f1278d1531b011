"""What a recording depends on. (Through the command line: tests/rerecord/test_stale_runs.py.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.cassette.upkeep.age import INPUTS
from respool.cassette.upkeep.beside import noted
from respool.cassette.upkeep.recorded_from import dependencies, noted_beside


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.respool.cassettes]\ninputs = ["schema.json"]\n')
    (tmp_path / "schema.json").write_text("{}")
    return tmp_path / "a.yaml"


def known(tape: Path) -> str | None:
    return noted(tape.parent / ".respool", tape.name, tape).get(INPUTS)


def test_what_is_added_to_a_cassette_leaves_it_with_what_its_first_part_depends_on(tape: Path) -> None:
    with noted_beside(tape, afresh=True):
        tape.write_text("one")
    first = dependencies(tape)[INPUTS]
    assert known(tape) == first
    (tape.parent / "schema.json").write_text("[]")
    with noted_beside(tape, afresh=False):
        tape.write_text("one, two")
    assert known(tape) == first != dependencies(tape)[INPUTS]
    tape.write_text("edited")
    with noted_beside(tape, afresh=False):
        tape.write_text("edited, three")
    assert known(tape) is None, "nobody knows what the first part depends on"


def test_where_nothing_is_declared_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    tape = tmp_path / "a.yaml"
    with noted_beside(tape, afresh=True):
        tape.write_text("one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "pyproject.toml"]
