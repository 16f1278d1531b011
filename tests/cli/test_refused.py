"""Spools that cannot be used: read-only, on a network file system, or not ours. One clear error each, and nothing on the
disk is changed."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from program import PROGRAM, Ended, Folder

RUN = ("run", "tasks.py:square", "--items", "items.jsonl", "--no-tui")
# Root may write anywhere. As nobody, who may still read the interpreter wherever it lies, it may not.
NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
)  # fmt: skip


def tree(folder: Path) -> dict[str, str]:
    """Every file below, with its digest; folders and what is neither with their kind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if "__pycache__" not in name:
            found[name] = sha256(path.read_bytes()).hexdigest() if path.is_file() else oct(path.lstat().st_mode)
    return found


def call(folder: Folder, *command: str) -> Ended:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=folder.path, capture_output=True, text=True, timeout=60, check=False, env=environment
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def one_error(ended: Ended, code: int, *parts: str) -> None:
    assert ended.code == code, ended.err
    assert ended.err.count("respool: ") == 1, ended.err
    for part in ("  where: ", "  next:  ", *parts):
        assert part in ended.err, ended.err


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a link to itself"])
def test_what_is_no_file_is_no_spool(folder: Folder, kind: str) -> None:
    path = folder.path / "x.db"
    os.mkfifo(path) if kind == "a FIFO" else path.symlink_to("/dev/null" if kind == "a device" else "x.db")
    before = path.lstat()
    for command in (("jobs",), ("run",), RUN, ("doctor",), ("doctor", "--fix"), ("jobs", "prune", "--older", "1d")):
        ended = call(folder, PROGRAM, *command, "--spool", "x.db")
        assert ended.code in (1, 2, 5)
        assert (ended.code == 1) == (command[0] == "doctor" and kind != "a link to itself")
        assert (ended.out + ended.err).count("--spool") <= 1
        assert path.lstat().st_ino == before.st_ino
        assert "no spool" in ended.out + ended.err or "not a spool" in ended.err


def as_nobody(*arguments: str) -> tuple[str, ...]:
    return (*(NOBODY if os.geteuid() == 0 else ()), PROGRAM, *arguments)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Whoever calls the program may read everything there and write nothing."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_no_spool_yet_in_a_read_only_folder(folder: Folder) -> None:
    with read_only(folder.path):
        before = tree(folder.path)
        one_error(
            call(folder, *as_nobody(*RUN)), 5, "cannot be written", "read-only for this user", "--spool A/WRITABLE/PATH"
        )  # fmt: skip
        assert tree(folder.path) == before


LOOKING = [("jobs", "list"), ("doctor",), (*RUN, "--dry-run")]
ACTING = [RUN, ("run",), ("jobs", "retry", "1"), ("doctor", "--fix")]


@pytest.mark.parametrize("command", LOOKING + ACTING, ids=" ".join)
def test_a_spool_in_a_read_only_folder(folder: Folder, command: tuple[str, ...]) -> None:
    folder.run(*RUN, "--only", "a", code=0)
    with read_only(folder.path):
        before = tree(folder.path)
        one_error(call(folder, *as_nobody(*command)), 5, ".respool/spool.db", "read-only")
        assert tree(folder.path) == before


def sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ours (text TEXT)")
        connection.commit()


def sqlite_with_a_log(path: Path) -> None:
    """As its program left it when it was killed: what it committed last is in the log only."""
    code = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
    code += "c.execute('PRAGMA journal_mode=WAL'); c.execute('CREATE TABLE ours (text)'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert path.with_name(path.name + "-wal").stat().st_size


FOREIGN: dict[str, Callable[[Path], object]] = {
    "an SQLite database": sqlite,
    "an SQLite database with a log": sqlite_with_a_log,
    "random bytes": lambda path: path.write_bytes(random.Random(1).randbytes(10_000)),
    "text": lambda path: path.write_text("notes\n"),
    "an empty file": lambda path: path.write_text(""),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("command", [RUN, ("jobs", "list"), ("doctor", "--fix")], ids=" ".join)
@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_not_ours(folder: Folder, what: str, command: tuple[str, ...]) -> None:
    place = folder.path / "data" / "spool.db"
    place.parent.mkdir()
    FOREIGN[what](place)
    before = tree(folder.path)
    ended = call(folder, PROGRAM, *command, "--spool", "data")
    if command[0] == "doctor":
        assert ended.code == 1
        assert ended.out.count("NOT_A_SPOOL") == 1
        assert str(place) in ended.out
    else:
        one_error(ended, 5, str(place))
    assert tree(folder.path) == before


FILE_SYSTEM = """
mount -t tmpfs none /proc && mkdir /proc/self && echo "server:/home $1 nfs4 rw,relatime 0 0" >/proc/self/mounts || exit 99
shift; exec "$@"
"""


@pytest.mark.parametrize("command", [RUN, ("jobs", "list"), ("doctor", "--fix")], ids=" ".join)
def test_a_network_file_system(folder: Folder, command: tuple[str, ...]) -> None:
    """The program itself under a table of mounts that says so. (What it makes of a table: test_files.py.)"""
    place = folder.path / "far"
    folder.run(*RUN, "--only", "a", "--spool", "far/jobs.db", code=0)
    before = tree(folder.path)
    inside = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FILE_SYSTEM, "sh", str(place))
    ended = call(folder, *inside, PROGRAM, *command, "--spool", "far/jobs.db")
    if ended.code == 99 or ended.err.startswith("unshare"):
        pytest.skip("no mount namespace may be made here")
    one_error(ended, 2, "network file system (nfs4)", "/a/local/path")
    assert tree(folder.path) == before
