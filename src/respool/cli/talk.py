"""How the command line speaks: data on stdout, talk on stderr, and the sentences that several commands say."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from respool.batch.documents import instant as instant  # said here for whoever prints
from respool.batch.documents import state_text
from respool.batch.model import ItemState
from respool.clock import local_time
from respool.errors import RespoolError, UsageError


class ReaderGone(Exception):
    """Whoever read the data has closed it. (Not an OSError: click would take a broken pipe for itself.)"""


def say(text: str) -> None:
    """One line, or several, for people. If nobody can hear it any more (a closed terminal), the work goes on."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def put(text: str) -> None:
    """One line of data. Raises ReaderGone, or UsageError if it cannot be written."""
    try:
        click.echo(text)
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise UsageError(f"the output cannot be written: {error.strerror}", where="stdout") from None


def put_json(data: Any) -> None:
    """One JSON document, on one line."""
    put(json.dumps(data, ensure_ascii=False))


def keep(path: Path, text: str) -> None:
    """Write a file that was asked for, and say so. Raises UsageError if it cannot be written."""
    from respool.files import write_atomic

    try:
        write_atomic(path, text, mode=0o644)
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be written: {error.strerror}", command="the same again: what is done is kept"
        ) from None
    say(f"written: {path}")


def talks_to_a_terminal() -> bool:
    """Whether something that moves may be drawn on stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def error_data(error: RespoolError) -> dict[str, str | None]:
    """An error for machines."""
    return {"what": error.what, "where": error.where, "why": error.why, "next": error.command}


def moment(at: int | None) -> str:
    """An instant for people, "-" for none."""
    return "-" if at is None else local_time(at)


def seconds_text(seconds: float) -> str:
    """A duration for people.

    >>> seconds_text(3.21), seconds_text(75), seconds_text(7322)
    ('3.2 s', '1 min 15 s', '2 h 02 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


_ORDER = (
    ItemState.DONE, ItemState.CACHED, ItemState.SKIPPED, ItemState.FAILED, ItemState.CANCELLED, ItemState.RUNNING,
    ItemState.PENDING,
)  # fmt: skip


def counts_text(
    counts: Mapping[ItemState, int], kinds: Mapping[str, int] | None = None, *, alive: bool = True
) -> str:
    """The counts of a job's items as a phrase; `kinds` are those of the failed ones, `alive` says if a runner is.

    >>> counts_text({ItemState.DONE: 97, ItemState.FAILED: 1}, {"raised": 1})
    '97 done, 1 failed (raised 1)'
    """
    why = ", ".join(f"{kind} {many}" for kind, many in (kinds or {}).items())
    parts = []
    for state in _ORDER:
        if number := counts.get(state, 0):
            kind = f" ({why})" if why and state is ItemState.FAILED else ""
            parts.append(f"{number} {state_text(state, alive=alive)}{kind}")
    return ", ".join(parts) or "no items"


def columns(rows: Iterable[tuple[str, ...]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Rows of text as aligned lines; `right` are the columns that are set flush right."""
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))] if table else []
    lines = []
    for row in table:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def short(text: str, width: int = 100) -> str:
    """Text on one line, cut to a width; what would steer a terminal is shown as U+FFFD.

    >>> short("one\\ntwo three", 9)
    'one two …'
    """
    line = "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"
