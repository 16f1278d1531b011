"""Real spools for the tests of the doctor: filled and run through the façade, then damaged by hand."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from respool.batch.places import Places
from respool.batch.spool import Spool
from respool.batch.tasks import task

HERE = Path(__file__).parent
LARGE = "x" * 70_000
SECONDS = 1_000_000


@task(mode="thread")
def echo(payload: Any) -> Any:
    return payload


@task(mode="thread")
def grumble(payload: Any) -> Any:
    raise ValueError(payload)


@task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def filled(folder: Path, items: dict[str, Any] | None = None, *, run: bool = True, name: str = "demo") -> Places:
    """A spool with one job of `echo`; its items are done if it was run."""
    places = Places.at(folder / "spool.db")
    spool = Spool(places.database)
    spool.submit("spool_bench:echo", items or {"a": 1, "b": 2, "c": 3}, name=name, folder=HERE)
    if run:
        spool.run(workers=2)
    spool.close()
    return places


def sql(places: Places, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Do what no program of ours would do to a spool."""
    with closing(sqlite3.connect(places.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        return connection.execute(statement, parameters).fetchall()


def dump(places: Places) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    tables = [row[0] for row in sql(places, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {table: sql(places, f"SELECT * FROM {table}") for table in tables}


def settled_file(places: Places) -> bytearray:
    """The database as one file without a log, ready to be damaged."""
    sql(places, "PRAGMA wal_checkpoint(TRUNCATE)")
    return bytearray(places.database.read_bytes())


def page_of(places: Places, table: str) -> list[int]:
    """The leaf pages that hold a table's rows."""
    return [
        row[0]
        for row in sql(places, "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", table)
    ]


def program(folder: Path, code: str, *, until: Callable[[], bool]) -> subprocess.Popen[bytes]:
    """A Python program that runs until it is killed, in a process of its own."""
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=folder)
    deadline = time.monotonic() + 30
    while not until():
        assert child.poll() is None, "the program ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return child


def killed_run(folder: Path) -> Places:
    """A spool whose runner was killed: `quick` is done, `slow` was running in a worker process."""
    places = Places.at(folder / "spool.db")
    child = live_run(folder)
    child.kill()
    child.wait()
    return places


def live_run(folder: Path, *, command: bool = False) -> subprocess.Popen[bytes]:
    """A runner whose item `quick` is done and whose item `slow` runs: in a worker process, or as a command."""
    places = Places.at(folder / "spool.db")
    sleep = 'Task("command:sleep", Mode.COMMAND, command=Command(("sleep", "{seconds}")))'
    kind, items = (sleep, '{"quick": {"seconds": 0}, "slow": {"seconds": 60}}') if command else (
        '"spool_bench:nap"', '{"quick": 0, "slow": 60}'
    )  # fmt: skip
    code = f"""
        import sys; from pathlib import Path
        sys.path.insert(0, {str(HERE)!r})
        from respool.batch.declaration import Command, Mode, Task
        from respool.batch.spool import Spool
        spool = Spool({str(places.database)!r})
        spool.submit({kind}, {items}, name="naps", folder=Path({str(HERE)!r}))
        spool.run(workers=2)
    """

    def running() -> bool:
        if not places.database.exists():
            return False
        states = dict(sql(places, "SELECT key, state FROM items"))
        return states == {"quick": "done", "slow": "running"}

    return program(folder, code, until=running)


def respool(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The real command line."""
    return subprocess.run(
        [sys.executable, "-c", "from respool.cli import main; main()", *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd=cwd,
    )  # fmt: skip


def doctor(places: Places, *options: str) -> tuple[int, dict[str, Any]]:
    """(exit code, the JSON answer) of `respool doctor --json`."""
    done = respool("doctor", "--json", "--spool", str(places.database), *options)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def codes(answer: dict[str, Any]) -> list[str]:
    return [one["code"] for one in answer["diagnostics"]]
