"""The examples show what they say: what is killed goes on, and running it once more repeats nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pages import copy_project

# What makes a standard library of this size: fewer would mean that the demo shows next to nothing.
MODULES = 400


def run(folder: Path, *argv: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESPOOL_")}
    environment = {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def attempts(folder: Path) -> tuple[int, int]:
    """How many items were tried, and how many tries that took."""
    shown = run(folder, "respool", "jobs", "items", "1", "--json")
    return len(re.findall(r'"attempts": [1-9]', shown)), sum(map(int, re.findall(r'"attempts": (\d+)', shown)))


def test_the_demo(tmp_path: Path) -> None:
    copy_project(tmp_path / "clone")
    stdlib = tmp_path / "clone" / "examples" / "stdlib"
    shown = run(stdlib, "./demo.sh")
    assert "kill -9" in shown
    assert re.search(r"^ +1  interrupted  examples/stdlib/stdlib\.toml  .*pending", shown, re.MULTILINE), shown
    ends = re.findall(r"^examples/stdlib/stdlib\.toml #1: (\d+) done in", shown, re.MULTILINE)
    assert len(ends) == 2
    assert ends[0] == ends[1]
    assert int(ends[0]) > MODULES
    assert shown.count("; nothing had to run") == 1
    assert re.search(r"^done +__future__  \{", shown, re.MULTILINE)


def test_running_it_again_makes_no_attempt(tmp_path: Path) -> None:
    copy_project(tmp_path / "clone")
    stdlib = tmp_path / "clone" / "examples" / "stdlib"
    run(stdlib, "respool", "run", "stdlib.toml")
    tried, tries = attempts(stdlib)
    assert tried > MODULES
    run(stdlib, "respool", "run", "stdlib.toml")
    assert attempts(stdlib) == (tried, tries)


@pytest.mark.timeout(600)  # six seconds of work, on a machine that may be busy
def test_the_demo_of_clusters_and_their_summaries(tmp_path: Path) -> None:
    """From committed data and a committed cassette: killed, gone on with, everything that went wrong shown and mended."""
    copy_project(tmp_path / "clone")
    demo = tmp_path / "clone" / "examples" / "demo"
    shown = run(demo, "./demo.sh")
    assert "kill -9" in shown
    assert "not_recorded" not in shown, "the clusters or the questions have changed: run examples/demo/record.sh"
    (ended,) = re.findall(r"^Done: (\d+) succeeded, 0 failed, 0 cached$", shown, re.MULTILINE)
    assert int(ended) > 50
    for told in ("too many requests", "the answer was cut", "the answer is no JSON", "overloaded",
                 "'BRCA3': it is no member that is shown"):  # fmt: skip
        assert told in shown
    assert f"Done: 0 succeeded, 0 failed, {ended} cached" in shown
    assert "by a program, not by a language model" in (demo / "report.html").read_text()
    # What the small model wrote is told apart from that, and what it invented was caught.
    small = shown.partition(f"Done: 0 succeeded, 0 failed, {ended} cached")[2]
    assert re.search(r"^cluster \d+: invalid, again .*: no such term is in the evidence", small, re.MULTILINE), small
    assert re.search(r"^cluster \d+: truncated, again .*: the answer was cut at 600 tokens", small, re.MULTILINE)
    assert re.search(r"^Done: \d succeeded, \d failed, 0 cached$", small, re.MULTILINE)
    assert re.search(r"^\d+ +1 .* failed \(invalid\) +\d+\+\d+ tokens ", small, re.MULTILINE)
    page = (demo / "small-model.html").read_text()
    assert "asked: SmolLM2-135M-Instruct at http://127.0.0.1:8095/v1" in page
    assert "not by a language model" not in page
