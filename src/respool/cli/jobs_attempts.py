"""`respool jobs attempts`: every try of a job's items, with what it left: of a call to a model question and answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from respool.batch.places import FILES, OUTPUT
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.reading import Tried
from respool.cli import options
from respool.cli.exits import Exit
from respool.cli.options import option
from respool.cli.reader import A_JOB, find, reader
from respool.cli.talk import columns, instant, put, put_json, seconds_text, short
from respool.clock import MICROSECONDS

LARGEST = 1 << 20  # bytes of a file that is shown
LAST = 8192  # bytes of a command's output that are shown


@click.command("attempts")
@A_JOB
@option("--key", help="Only of this item; its files are shown whole, and the end of its output.")
@option("--limit", type=click.IntRange(min=1), metavar="N", help="At most those of so many items.")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def attempts(
    name: str, key: str | None, limit: int | None, spool: str | None, rehearsal: bool, as_json: bool
) -> int:  # fmt: skip
    """Every try of a job's items: when, how long, how it ended, and the JSON files that it left in its folder.

    With --key also the end of what a command said.
    For summaries: the question, the answer, tokens, cost and findings of each call (--key, or --json).
    """
    with reader(spool, rehearsal) as database:
        job = find(database, name)
        found = list(_tries(database, job.id, key, -1 if limit is None else limit))
    if as_json:
        put_json({"job": job.id, "name": job.name, "attempts": [_data(*each) for each in found]})
        return int(Exit.DONE)
    if key is None:
        rows: list[tuple[str, ...]] = [("ITEM", "TRY", "TIME", "OUTCOME", "")]
        rows += [_row(one, tried, files) for one, tried, files, _ in found]
        for line in columns(rows, right=frozenset({1, 2})) if found else ["no attempts"]:
            put(line)
        return int(Exit.DONE)
    for one, tried, files, output in found:
        put("  ".join(_row(one, tried, files)).rstrip())
        for file, content in files.items():
            put(f"── {file}")
            for line in _shown(content):
                put(line)
        if output:
            put(f"── the end of {OUTPUT}")
            for line in output.splitlines():
                put(short(line, 4000))
    return int(Exit.DONE)


def _tries(
    database: Database, job: int, key: str | None, limit: int
) -> Iterator[tuple[str, Tried, dict[str, Any], str | None]]:  # fmt: skip
    for item in reading.items(database, job, key=key, limit=limit):
        for tried in reading.attempts(database, item.id):
            folder = database.places.attempt(item.id, tried.number)
            yield item.key, tried, files_of(folder / FILES), None if key is None else end_of(folder / OUTPUT)


def files_of(folder: Path) -> dict[str, Any]:
    """The JSON files in an attempt's folder, by name; what is too large or no JSON is left out."""
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            if file.stat().st_size <= LARGEST:
                found[file.name] = json.loads(file.read_bytes())
        except (OSError, ValueError):
            continue
    return found


def end_of(output: Path) -> str:
    """The last lines of what a command said, at most LAST bytes; "" if there is no such file, or it cannot be read."""
    try:
        with output.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LAST, 0))
            end = file.read()
    except OSError:
        return ""
    whole = end if size <= LAST else end.partition(b"\n")[2] or end  # a line that was cut says nothing
    return whole.decode("utf-8", "replace")


def _data(key: str, tried: Tried, files: dict[str, Any], output: str | None) -> dict[str, Any]:
    return {
        "key": key, "number": tried.number, "started_at": instant(tried.started_at), "ended_at": instant(tried.ended_at),
        "seconds": _seconds(tried), "outcome": tried.outcome, "kind": tried.kind, "message": tried.message, "files": files,
        **({} if output is None else {"output": output}),
    }  # fmt: skip


def _row(key: str, tried: Tried, files: dict[str, Any]) -> tuple[str, ...]:
    seconds = _seconds(tried)
    outcome = f"{tried.outcome} ({tried.kind})" if tried.kind else tried.outcome
    call = files.get("exchange.json", {})
    usage, told = call.get("usage"), tried.message or ""
    if tried.outcome == "interrupted" and call:  # the answer was there, its commit was not
        told = "; ".join([told, f"the call had ended: {call['outcome']}", *call["findings"][:1]])
    tokens = f"{usage['input']}+{usage['output']} tokens  " if usage and any(usage.values()) else ""
    time = "-" if seconds is None else seconds_text(seconds)
    return key, str(tried.number), time, outcome, short(tokens + told, 160)


def _seconds(tried: Tried) -> float | None:
    return None if tried.ended_at is None else round((tried.ended_at - tried.started_at) / MICROSECONDS, 3)


def _shown(content: Any) -> Iterator[str]:
    """A file for people: its fields, long texts as they are, on lines of their own."""
    if not isinstance(content, dict):
        yield json.dumps(content, ensure_ascii=False, indent=2)
        return
    for name, value in content.items():
        if isinstance(value, str) and ("\n" in value or len(value) > 80):
            yield f"{name}:"
            yield from ("  " + short(line, 4000) for line in value.splitlines())
        else:
            yield f"{name}: {short(json.dumps(value, ensure_ascii=False), 4000)}"
