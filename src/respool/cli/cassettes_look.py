"""`respool cassettes list | show`: what is there, what is on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Failure, Interaction, header
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, option
from respool.cli.talk import columns, instant, moment, put, put_json, say
from respool.errors import CassetteError, UsageError
from respool.phrases import counted

FOLDER = "cassettes"


def found_below(folders: tuple[Path, ...]) -> Iterator[Path]:
    """The cassettes in these folders; without any, in every folder of the usual name below the working one."""
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{str(folder)!r} is no folder", command="respool cassettes list tests")
    if not folders:
        below = (path for path in Path().rglob(FOLDER) if path.is_dir() and not _hidden(path))
        folders = tuple(path for path in below if FOLDER not in path.parts[:-1])
    for folder in sorted(folders):
        library = Library(folder)
        yield from (library.path(name) for name in library.list())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.parts)


@click.command("list")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@FOR_MACHINES
def list_command(folders: tuple[Path, ...], as_json: bool) -> int:
    """The cassettes in FOLDERS (without any: in every folder named "cassettes" below this one).

    Ends with 1 if one of them cannot be read.
    """
    rows: list[dict[str, Any]] = []
    for path in found_below(folders):
        try:
            rows.append(_row(path, Library(path.parent).load(path)))
        except CassetteError as error:
            rows.append({"path": str(path), "error": error.what, "where": error.where, "why": error.why})
    if as_json:
        put_json({"cassettes": rows})
    else:
        good = [row for row in rows if "error" not in row]
        table = [(row["path"], str(row["interactions"]), moment(row["at"]), row["format"], row["test"]) for row in good]
        for line in columns([("CASSETTE", "CALLS", "RECORDED", "FORMAT", "TEST"), *table]) if table else ():
            put(line)
        for row in rows:
            if "error" in row:
                put(f"UNREADABLE  {row['path']}  {row['where']}: {row['why']}")
        say(counted(len(rows), "cassette"))
    return int(Exit.FAILED if any("error" in row for row in rows) else Exit.DONE)


def _row(path: Path, cassette: Cassette) -> dict[str, Any]:
    oldest = min((each.at for each in cassette.interactions if each.at), default=cassette.at)
    return {
        "path": str(path), "interactions": len(cassette.interactions), "at": oldest or None, "format": cassette.origin,
        "test": cassette.test, "bytes": path.stat().st_size,
    }  # fmt: skip


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@option("--body", "number", type=click.IntRange(min=1), help="Print the body of the answer of interaction N, as it is.")
@FOR_MACHINES
def show(path: Path, number: int | None, as_json: bool) -> int:
    """What is on a cassette, one line for each interaction."""
    cassette = Library(path.parent).load(path)
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
        put_json({"path": str(path), "format": cassette.origin, "test": cassette.test, "interactions": rows})
        return int(Exit.DONE)
    for place, each in enumerate(interactions, 1):
        told = _told(each)
        answered = f"{told['status']} {told['type'] or ''}".rstrip() if told["status"] else f"failed: {told['failed']}"
        size = counted(told["bytes"], "byte")
        put(f"{place:4}  {told['method']} {told['url']}  {answered}, {size}, {told['seconds']:.2f} s")
    return int(Exit.DONE)


def _told(interaction: Interaction) -> dict[str, Any]:
    request, answer = interaction.request, interaction.response
    told: dict[str, Any] = {"method": request.method, "url": request.url}
    if isinstance(answer, Failure):
        told |= {"status": None, "failed": answer.kind, "type": None, "bytes": 0}
    else:
        kind = (header(answer.headers, "content-type") or "").partition(";")[0]
        told |= {"status": answer.status, "failed": None, "type": kind, "bytes": len(answer.body)}
    return told | {"seconds": interaction.seconds, "at": instant(interaction.at or None)}
