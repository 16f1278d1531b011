"""Little room for a program: a limit on the size of its files, or a real file system that is small."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from program import PROGRAM

FOREVER = resource.RLIM_INFINITY


class Room(Protocol):
    """Where the spool in `folder`/.respool has little room until more is made; `spool` is its path for others."""

    spool: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the program there."""

    def make(self) -> None:
        """Make room, for what runs and what will run."""


class LimitedFiles:
    """No file of the program may grow beyond so many bytes (RLIMIT_FSIZE)."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self.spool = folder / ".respool" / "spool.db"
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        limit = self.size  # as it is now: the child reads it after the fork
        process = subprocess.Popen(
            ["prlimit", f"--fsize={limit if limit != FOREVER else 'unlimited'}:unlimited", PROGRAM, *arguments],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def make(self) -> None:
        self.size = FOREVER
        for process in self.started:
            if process.poll() is None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FOREVER, FOREVER))


class SmallFileSystem:
    """`.respool` is a tmpfs of so many bytes, in a mount namespace of its own."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        place = folder / ".respool"
        place.mkdir(exist_ok=True)
        script = f"mount -t tmpfs -o size={size},mode=700 none {place} && echo mounted && exec cat"
        self._keeper = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._keeper.stdout is not None
        self.there = self._keeper.stdout.readline() == "mounted\n"
        self.spool = Path(f"/proc/{self._keeper.pid}/root{place}/spool.db")

    def _inside(self, *arguments: str) -> list[str]:
        pid = str(self._keeper.pid)
        return ["nsenter", "--target", pid, "--user", "--mount", "--preserve-credentials", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._inside(f"--wd={self.folder}", PROGRAM, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def make(self) -> None:
        subprocess.run(self._inside("mount", "-o", "remount,size=100m", str(self.folder / ".respool")), check=True)

    def close(self) -> None:
        self._keeper.communicate()


@contextmanager
def small_file_system(folder: Path, size: int) -> Iterator[Room]:
    """A small file system. Where none may be mounted, a limit on files stands in for it."""
    made = SmallFileSystem(folder, size)
    try:
        yield made if made.there else LimitedFiles(folder, size)
    finally:
        made.close()
