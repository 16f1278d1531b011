"""Where a spool keeps what: one file per noun, all of it derived from the database's path.

    .respool/                     0700, ignores itself in git
      spool.db                    the database (and SQLite's -wal and -shm)
      spool.db.lock               held by the runner for as long as it lives
      spool.db.write.lock         held by whoever writes, for one transaction
      spool.db.files/
        attempts/0012/12345-2/    of item 12345, attempt 2: claim and receipt while it runs; output.log and files/ stay
        results/ab/abcd...        results above 64 KB, named by their content
        sessions/NONCE/           one file per worker process of a runner's session
        backups/                  made by the doctor before it repairs
        notes.json                what running tasks have said last (batch/notes.py)
        reserve                   room for what a run still has to write when the disk is full
      pace/                       rate limits and cool-downs, shared by every spool in this folder
      rehearsal/                  the same again, for rehearsed runs, so that they never mix with real ones
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from respool.config import load_project, project_file

DATABASE = "spool.db"
OUTPUT = "output.log"  # in an attempt's folder: what a command said
VERDICT = "verdict.json"  # in an attempt's folder: how a command says that it ended (workers/verdict.py)
FILES = "files"  # in an attempt's folder: context.folder


@dataclass(frozen=True, slots=True)
class Places:
    """All paths of one spool. Nothing is created by asking."""

    database: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Places:
        """The places of the spool at `path`: a database file, or a folder that holds (or will hold) one."""
        given = Path(path).absolute()
        is_folder = given.is_dir() or str(path).endswith(os.sep)
        return cls(_followed(given / DATABASE if is_folder else given))

    @classmethod
    def nearest(cls, start: Path | None = None) -> Places:
        """`.respool/` beside the nearest pyproject.toml at or above `start`, else in `start` (the working folder)."""
        file = project_file(start)
        folder = (start or Path.cwd()).absolute() if file is None else file.parent
        return cls(_followed(folder / ".respool" / DATABASE))

    @classmethod
    def chosen(cls, path: str | os.PathLike[str] | None = None) -> Places:
        """The spool that is meant: `path`, else RESPOOL_SPOOL, else `spool` of [tool.respool], else the nearest."""
        given = path if path is not None else os.environ.get("RESPOOL_SPOOL") or load_project().spool
        return cls.nearest() if given is None else cls.at(given)

    @property
    def folder(self) -> Path:
        return self.database.parent

    @property
    def owner_lock(self) -> Path:
        return self.database.with_name(self.database.name + ".lock")

    @property
    def write_lock(self) -> Path:
        return self.database.with_name(self.database.name + ".write.lock")

    @property
    def files(self) -> Path:
        return self.database.with_name(self.database.name + ".files")

    @property
    def pace(self) -> Path:
        return self.folder / "pace"

    @property
    def backups(self) -> Path:
        return self.files / "backups"

    @property
    def reserve(self) -> Path:
        return self.files / "reserve"

    @property
    def attempts(self) -> Path:
        return self.files / "attempts"

    @property
    def sessions(self) -> Path:
        return self.files / "sessions"

    @property
    def results(self) -> Path:
        return self.files / "results"

    def attempt(self, item: int, number: int) -> Path:
        """The folder of one attempt: `started`, `result.json`, OUTPUT, FILES; only these last two outlive its commit."""
        return self.attempts / f"{item // 1000:04d}" / f"{item}-{number}"

    def result(self, digest: str) -> Path:
        """The file of a large result, named by the digest of its content."""
        return self.results / digest[:2] / digest

    def session(self, nonce: str) -> Path:
        """The folder of one runner's session."""
        return self.sessions / nonce

    def rehearsal(self) -> Places:
        """The spool of rehearsed runs beside this one."""
        return Places(self.folder / "rehearsal" / self.database.name)


def _followed(database: Path) -> Path:
    """The file that a link leads to: SQLite follows it too, and two names with a lock each would let two runners in."""
    return Path(os.path.realpath(database)) if database.is_symlink() else database
