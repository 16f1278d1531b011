"""`respool cassettes`: the files that tests play from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from respool.cassette import foreign, placing
from respool.cassette import format as own
from respool.cassette.library import Library
from respool.cassette.model import Cassette
from respool.cli.cassettes_check import check_command
from respool.cli.cassettes_diff import diff
from respool.cli.cassettes_look import list_command, of_a_file, show
from respool.cli.cassettes_remove import delete, prune, restore
from respool.cli.cassettes_stats import stats
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, option
from respool.cli.talk import put, put_json, say
from respool.errors import CassetteError, UsageError
from respool.phrases import counted

SUFFIXES = {"respool": ".json", "vcrpy-yaml": ".yaml", "vcrpy-json": ".json", "har": ".har"}


@click.group("cassettes")
def cassettes() -> None:
    """Look after the cassettes that tests play from."""


for command in (list_command, show, stats, check_command, diff, delete, restore, prune):
    cassettes.add_command(command)


@cassettes.command("convert")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--to", "target", type=click.Choice(sorted(SUFFIXES)), default="respool", show_default=True, help="The format.")
@option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder for what is written [beside each file].")
@option("--replace", "overwrite", is_flag=True, help="Write over what is there; the old file is kept in .respool/previous/.")
@option("--dry-run", "dry_run", is_flag=True, help="Say what would be written, and write nothing.")
@FOR_MACHINES
def convert(paths: tuple[Path, ...], target: str, out: Path | None, overwrite: bool, dry_run: bool, as_json: bool) -> int:
    """Rewrite cassettes in another format; the originals stay.

    Read: respool, vcrpy (YAML, JSON), Betamax, Ruby's and R's vcr, HAR. What the target cannot hold is told; a cassette
    that would play differently there is refused, the others are converted all the same. Ends with 1 if any was.

      respool cassettes convert tests/cassettes/*.yaml
      respool cassettes convert --to har login.json
    """
    done: list[dict[str, Any]] = []
    for path in [of_a_file(each) for each in paths]:
        try:
            done.append(_converted(path, target, out, overwrite=overwrite, dry_run=dry_run))
        except CassetteError as error:
            done.append({"source": str(path), "error": str(error)})
            say(f"NOT converted  {path}\n{error}")
            continue
        if not as_json:
            verb, number = "would write" if dry_run else "wrote", counted(done[-1]["interactions"], "interaction")
            put(f"{verb}  {done[-1]['target']}  {number}")
        for lost in done[-1]["lost"]:
            say(f"  not held by {target}: {lost}")
    if as_json:
        put_json({"converted": done, "dry_run": dry_run})
    return int(Exit.FAILED if any("error" in each for each in done) else Exit.DONE)


def _converted(path: Path, target: str, out: Path | None, *, overwrite: bool, dry_run: bool) -> dict[str, Any]:
    library = Library(path.parent)
    cassette = library.load(path)
    written = (out or path.parent) / path.with_suffix(SUFFIXES[target]).name
    made, lost = _written(cassette, target, written)
    if written.exists() and not overwrite:
        raise UsageError(
            f"{str(written)!r} is there already", why="nothing was written over",
            command=f"respool cassettes convert --replace --to {target} {path}",
        )  # fmt: skip
    if not dry_run:
        there = Library(written.parent)
        with there.lock(written):
            if written.exists():
                there.keep_previous(written)
            placing.put(written, made)
    return {"source": str(path), "target": str(written), "interactions": len(cassette.interactions), "lost": list(lost)}


def _written(cassette: Cassette, target: str, where: Path) -> tuple[own.Written, tuple[str, ...]]:
    if target == "respool":
        return own.write(replace(cassette, origin="respool")), ()
    converted = foreign.write(cassette, target, where=str(where))
    return own.Written(converted.data, {}), converted.lost
