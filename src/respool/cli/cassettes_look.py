"""`respool cassettes list | show`: what is there, what is on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import click

from respool.cassette.library import Library
from respool.cassette.mapping.scan import TestMap, cassettes_below
from respool.cassette.model import Cassette, Failure, Interaction, header
from respool.cassette.upkeep.age import reason_of, recorded_at
from respool.cassette.upkeep.checks import mapped
from respool.cassette.upkeep.settings import UpkeepSettings, load_upkeep
from respool.cassette.upkeep.stats import size_of
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, option
from respool.cli.shown import in_colours, put_pairs, put_table, size_text
from respool.cli.talk import instant, moment, put, put_json, say
from respool.clock import SYSTEM
from respool.errors import CassetteError, UsageError
from respool.phrases import counted

STATES = ("fresh", "stale", "orphan", "missing", "unreadable")


def found_below(folders: tuple[Path, ...]) -> Iterator[Path]:
    """The cassettes in these folders; without any, in every folder of cassettes below the working one."""
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{str(folder)!r} is no folder", command="respool cassettes list tests")
        library = Library(folder)
        yield from (library.path(name) for name in library.list())
    if not folders:
        here = Path.cwd()
        yield from (path.relative_to(here) for path in cassettes_below(here, load_upkeep().folder))


def of_a_file(path: Path) -> Path:
    """`path`, which is to be that of one cassette. Raises UsageError for a folder."""
    if path.is_dir():
        held = counted(len(Library(path).list()), "cassette")
        raise UsageError(
            f"{str(path)!r} is a folder, not a cassette", where=str(path.absolute()), why=f"{held} in it",
            command=f"respool cassettes list {quote(str(path))}",
        )  # fmt: skip
    return path


@click.command("list")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only those in this state; may be repeated.")
@FOR_MACHINES
def list_command(folders: tuple[Path, ...], states: tuple[str, ...], as_json: bool) -> int:
    """The cassettes in FOLDERS (without any: in every folder of cassettes below this one), and how they stand.

    \b
    fresh       nothing is known against it
    stale       older than `refresh`, or what it depends on has changed
    orphan      no test names it
    missing     a test names it, and it is not there
    unreadable  it is no cassette, or damaged

    Ends with 1 if one of them cannot be read. `respool cassettes check` tells more.
    """
    settings = load_upkeep()
    tests = mapped(settings)
    rows = [_row(path, tests, settings) for path in found_below(folders)]
    inside = [folder.absolute() for folder in folders or (Path.cwd(),)]
    for gap in tests.missing:
        path = tests.root / gap.cassette
        if any(path.is_relative_to(folder) for folder in inside):
            rows.append({"path": os.path.relpath(path), "state": "missing", "test": gap.test})
    rows = [row for row in rows if not states or row["state"] in states]
    if as_json:
        put_json({"cassettes": rows})
    elif rows:
        head = ("CASSETTE", "CALLS", "STATE", "RECORDED", "FORMAT", "TEST")
        put_table([head, *(_cells(row) for row in rows)], right=frozenset({1}), coloured=2)
        for row in rows:
            if row["state"] == "unreadable":
                say(f"{row['path']}: {row['where']}: {row['why']}")
    counts = Counter(str(row["state"]) for row in rows)
    if not as_json:
        told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        there = len(rows) - counts["missing"]
        say(f"{counted(there, 'cassette')}" + (f": {told}" if told else ""))
    return int(Exit.FAILED if counts["unreadable"] else Exit.DONE)


def _row(path: Path, tests: TestMap, settings: UpkeepSettings) -> dict[str, Any]:
    whole = path.absolute()
    owners = tests.tests_of(whole)
    row: dict[str, Any] = {"path": str(path), "state": "fresh", "reason": None, "tests": list(owners)}
    try:
        cassette = Library(path.parent).load(path)
    except CassetteError as error:
        return {**row, "state": "unreadable", "error": error.what, "where": error.where, "why": error.why, "test": ""}
    row |= {
        "interactions": len(cassette.interactions), "at": recorded_at(cassette), "format": cassette.origin,
        "test": cassette.test or (owners[0] if owners else ""), "bytes": size_of(path),
    }  # fmt: skip
    reason = reason_of(whole, cassette, SYSTEM.now(), settings)
    if whole in tests.orphans:
        row |= {"state": "orphan", "reason": "no test names it"}
    elif reason is not None:
        row |= {"state": "stale", "reason": reason}
    return row


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    calls = str(row["interactions"]) if "interactions" in row else "-"
    return row["path"], calls, row["state"], moment(row.get("at")), row.get("format", "-"), row["test"]


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@option("--body", "number", type=click.IntRange(min=1), help="Print the body of the answer of interaction N, as it is.")
@FOR_MACHINES
def show(path: Path, number: int | None, as_json: bool) -> int:
    """What is on a cassette, one line for each interaction."""
    cassette = Library(path.parent).load(of_a_file(path))
    interactions = list(cassette.interactions)
    if number is not None:
        if number > len(interactions):
            raise UsageError(f"--body {number}: {path} has {counted(len(interactions), 'interaction')}")
        answer = interactions[number - 1].response
        if isinstance(answer, Failure):
            raise UsageError(f"--body {number}: that request failed ({answer.kind}), so it has no body")
        put(answer.body.decode("utf-8", "replace"))
        return int(Exit.DONE)
    if as_json:
        rows = [{"number": place, **_told(each)} for place, each in enumerate(interactions, 1)]
        put_json({
            "path": str(path), "format": cassette.origin, "test": cassette.test, "writer": cassette.writer,
            "at": instant(recorded_at(cassette)), "matching": dict(cassette.matching), "extra": dict(cassette.extra),
            "bytes": size_of(path), "interactions": rows,
        })  # fmt: skip
        return int(Exit.DONE)
    if in_colours():
        _draw(path, cassette)
        return int(Exit.DONE)
    for place, each in enumerate(interactions, 1):
        told = _told(each)
        answered = f"{told['status']} {told['type'] or ''}".rstrip() if told["status"] else f"failed: {told['failed']}"
        size = counted(told["bytes"], "byte")
        put(f"{place:4}  {told['method']} {told['url']}  {answered}, {size}, {told['seconds']:.2f} s")
    return int(Exit.DONE)


def _draw(path: Path, cassette: Cassette) -> None:
    """For a terminal: what the cassette says of itself, and its interactions as a table."""
    pairs = [
        ("cassette", str(path)), ("test", cassette.test), ("recorded", moment(recorded_at(cassette))),
        ("written by", cassette.writer or cassette.origin), ("size", size_text(size_of(path))),
        ("matching", ", ".join(f"{name} {value}" for name, value in cassette.matching.items())),
        *((name, str(value)) for name, value in cassette.extra.items()),
    ]  # fmt: skip
    put_pairs([(name, value) for name, value in pairs if value])
    put("")
    rows = []
    for place, each in enumerate(cassette.interactions, 1):
        told = _told(each)
        status = str(told["status"] or f"failed: {told['failed']}")
        size = size_text(told["bytes"])
        rows.append((str(place), told["method"], told["url"], status, told["type"] or "", size, f"{told['seconds']:.2f} s"))
    put_table([("#", "METHOD", "URL", "STATUS", "TYPE", "SIZE", "TOOK"), *rows], right=frozenset({0, 5, 6}), coloured=3)


def _told(interaction: Interaction) -> dict[str, Any]:
    request, answer = interaction.request, interaction.response
    told: dict[str, Any] = {"method": request.method, "url": request.url}
    if isinstance(answer, Failure):
        told |= {"status": None, "failed": answer.kind, "type": None, "bytes": 0}
    else:
        kind = (header(answer.headers, "content-type") or "").partition(";")[0]
        told |= {"status": answer.status, "failed": None, "type": kind, "bytes": len(answer.body)}
    return told | {"seconds": interaction.seconds, "at": instant(interaction.at or None)}
