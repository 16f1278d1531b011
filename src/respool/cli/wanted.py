"""What a command line asks to be submitted: a task, where its items come from, and the name that the job is known by.

    respool run SPEC.toml                              the spec's path
    respool run module:task --items FILE               the task and the file
    respool run --each 'GLOB' -- COMMAND {}            the pattern and the command

Here are the pieces that a spec (spec.py) and a command line (line.py) are both read into.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from respool.batch.declaration import Command, Mode, Task
from respool.batch.sources import Source, from_file, from_pipe
from respool.batch.tasks import resolve
from respool.canonical import digest
from respool.errors import UsageError
from respool.pace import Limit

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One job to submit. `open_source` opens the items (close them); `job_timeout` is in seconds; `folder` is where
    the names of its tasks are seen from."""

    name: str
    task: Task
    open_source: Callable[[], Source]
    folder: Path
    then: tuple[tuple[Task, str], ...] = ()
    job_timeout: float | None = None
    workers: int | str | None = None


def open_items(file: str, folder: Path, key: str | None) -> Source:
    """The items of a .jsonl or .csv file seen from `folder`, or of standard input for "-"."""
    if file == STDIN:
        return from_pipe(sys.stdin.buffer, key)
    return from_file(folder / file, key)


def command_task(argv: Sequence[str], *, cwd: str | None, version: str = "1") -> Task:
    """The task that runs a program for each item."""
    return Task(
        name=f"command:{shlex.join(argv)}", mode=Mode.COMMAND, version=version, command=Command(tuple(argv), cwd=cwd)
    )


def full_task(path: str, folder: Path) -> Task:
    """The task that `path` names as seen from `folder`, a file's under its file's full name. Raises TaskNotFound."""
    task = resolve(path, folder=folder)
    place, _, function = path.rpartition(":")
    if not place.endswith(".py") or task.name != path:
        return task
    return renamed(task, f"{Path(os.path.normpath(folder.absolute() / place)).as_posix()}:{function}")


def renamed(task: Task, name: str) -> Task:
    """The same task under another name; the limit that is its own is named after it."""
    limits = tuple(Limit(name, limit.rates) if limit.key == task.name else limit for limit in task.limits)
    return replace(task, name=name, limits=limits)


def placed(folder: str, base: Path) -> str:
    """A folder as seen from `base`, as an absolute path (templates in it are left as they are)."""
    return str(base / folder)


def split_limit(text: str) -> tuple[str | None, str]:
    """A limit as it is written on the command line: (key or None, rate).

    >>> split_limit("openai=30/min"), split_limit("30/min")
    (('openai', '30/min'), (None, '30/min'))
    """
    key, equals, rate = text.rpartition("=")
    return (key, rate) if equals else (None, rate)


def limits_of(pairs: Iterable[tuple[str | None, str]], task: str) -> tuple[Limit, ...]:
    """Limits from (key, rate); those without a key are the task's own. Several rates for one key hold at once."""
    own = task if len(task) <= 200 and task.isprintable() else digest(task)
    rates: dict[str, list[str]] = {}
    for key, rate in pairs:
        rates.setdefault(own if key is None else key, []).append(rate)
    return tuple(Limit(key, *texts) for key, texts in rates.items())


def check_workers(value: int | str, *, where: str | None = None) -> int | str:
    """A number of workers, at least 1, or the address of a cluster such as dask://HOST:PORT. Raises UsageError.

    >>> check_workers("8"), check_workers("dask://10.0.0.7:8786")
    (8, 'dask://10.0.0.7:8786')
    """
    if isinstance(value, str) and value.startswith("dask://") and len(value) > len("dask://"):
        return value
    try:
        if isinstance(value, bool):
            raise ValueError
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(
            f"the number of workers must be a whole number of at least 1, not {value!r}", where=where,
            why="or the address of a cluster: dask://HOST:PORT", command="--workers 4",
        )  # fmt: skip
    return number
