"""A program that may open few files: no item is to blame for it."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess

import pytest
from program import PROGRAM, Folder

TASKS = """
from respool import task

@task(mode="process")
def step(payload):
    return 1
"""


def limited(folder: Folder, files: int, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["prlimit", f"--nofile={files}", PROGRAM, *arguments], cwd=folder.path, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("run", [
    ("work.py:step", "--items", "items.jsonl"), ("--each", "inputs/*", "--", "true", "{}"),
], ids=["process", "command"])  # fmt: skip
def test_too_few_for_so_many_workers(folder: Folder, run: tuple[str, ...]) -> None:
    folder.write("work.py", TASKS)
    folder.write("items.jsonl", "".join(f'{{"key": "k{n}", "n": {n}}}\n' for n in range(20)))
    for n in range(20):
        folder.write(f"inputs/{n}", str(n))
    code, said = limited(folder, 14, "run", "--no-tui", "--workers", "20", "--job-timeout", "1.5s", *run)
    assert code in (0, 6), said  # all is done, or the job's time is used up with waiting
    with contextlib.closing(sqlite3.connect(folder.path / ".respool" / "spool.db")) as connection:
        blamed = "SELECT count(*) FROM items WHERE failures + crashes > 0 OR state NOT IN ('done', 'pending')"
        assert connection.execute(blamed).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM attempts WHERE outcome = 'later'").fetchone() != (0,)
    folder.run("run", "--no-tui", "--workers", "20", *run, code=0)


def test_too_few_for_the_spool(folder: Folder) -> None:
    code, said = limited(folder, 10, "run", "tasks.py:square", "--items", "items.jsonl", "--no-tui", "--patience", "0s")
    assert code == 5, said
    assert said.count("respool: ") == 1
    assert "no more files may be open (see ulimit -n)" in said or "no file handles left" in said, said
    folder.run("run", "tasks.py:square", "--items", "items.jsonl", code=0)
