"""The bench says in words why a contestant could not be measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="a source distribution comes without the bench")
def test_a_contestants_error_is_told_by_its_own_line() -> None:
    """With a package's picture of the place below it (the last line of the last traceback is then a piece of YAML)."""
    shown = (
        "Traceback (most recent call last):\n  File 'a.py', line 1, in <module>\nValueError: line 3: too many nodes\n  |\n"
        "3 | headers:\n\nThe above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n  File 'b.py', line 2, in load\n    raise LoadError\n"
        "tape.LoadError: could not parse tape.yaml: too many nodes\n      --> <input>:3\n  |\n"
        "3 | headers:\n4 | - max-age=60\n  |\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", "import sys; from bench.replay.rounds import reason; print(reason(sys.stdin.read()))"],
        input=shown, capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert told.stdout == "tape.LoadError: could not parse tape.yaml: too many nodes\n", told.stderr
