"""`make demo` shows what it says: a batch that is killed goes on, and running it once more repeats nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pages import copy_project

# What makes a standard library of this size: fewer would mean that the demo shows next to nothing.
MODULES = 400


def run(folder: Path, *argv: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESPOOL_")}
    environment = {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def attempts(folder: Path) -> tuple[int, int]:
    """How many items were tried, and how many tries that took."""
    shown = run(folder, "respool", "jobs", "items", "1", "--json")
    return len(re.findall(r'"attempts": [1-9]', shown)), sum(map(int, re.findall(r'"attempts": (\d+)', shown)))


def test_the_demo(tmp_path: Path) -> None:
    copy_project(tmp_path / "clone")
    examples = tmp_path / "clone" / "examples"
    shown = run(examples, "./demo.sh")
    assert "kill -9" in shown
    assert re.search(r"^ +1  interrupted  examples/stdlib\.toml  .*pending", shown, re.MULTILINE), shown
    ends = re.findall(r"^examples/stdlib\.toml #1: (\d+) done in", shown, re.MULTILINE)
    assert len(ends) == 2
    assert ends[0] == ends[1]
    assert int(ends[0]) > MODULES
    assert shown.count("; nothing had to run") == 1
    assert re.search(r"^done +__future__  \{", shown, re.MULTILINE)


def test_running_it_again_makes_no_attempt(tmp_path: Path) -> None:
    copy_project(tmp_path / "clone")
    examples = tmp_path / "clone" / "examples"
    run(examples, "respool", "run", "stdlib.toml")
    tried, tries = attempts(examples)
    assert tried > MODULES
    run(examples, "respool", "run", "stdlib.toml")
    assert attempts(examples) == (tried, tries)
