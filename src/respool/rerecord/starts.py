"""Turns to start: a pytest computes before it waits for anything, and eight that begin at once are all late.

As many turns as processors are for starts that somebody waits for; half as many for those that are made ahead, so that
these keep nobody waiting. A turn is an OS lock on a file: no death of whoever has it keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from respool.files import FileLock, private_folder


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def turn(folder: Path, *, ahead: bool = False) -> Iterator[None]:
    """Hold a turn for the length of a `with` block, waiting for it. `folder` is where the locks are, of all who share them.

    >>> import tempfile
    >>> with turn(Path(tempfile.mkdtemp())):
    ...     pass  # start something
    """
    kind, turns = ("ahead", max(1, processors() // 2)) if ahead else ("start", processors())
    locks = [FileLock(private_folder(folder) / f"{kind}-{number}.lock") for number in range(turns)]
    mine = next((lock for lock in locks if lock.acquire()), None)
    if mine is None:  # all are taken: stand in line for one of them; turns are short, so it hardly matters for which
        mine = locks[os.getpid() % turns]
        mine.acquire(blocking=True)
    try:
        yield
    finally:
        mine.release()
