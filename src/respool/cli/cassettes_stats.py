"""`respool cassettes stats`: a library in numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from respool.cassette.upkeep.stats import Stats, stats_of
from respool.cli.cassettes_look import found_below
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, option
from respool.cli.shown import put_pairs, size_text
from respool.cli.talk import instant, moment, put_json, say
from respool.clock import SYSTEM
from respool.phrases import counted

SHOWN = 8  # hosts and statuses on one line


@click.command("stats")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@option("--top", type=click.IntRange(min=0), default=5, show_default=True, help="How many of the biggest are named.")
@FOR_MACHINES
def stats(folders: tuple[Path, ...], top: int, as_json: bool) -> int:
    """How many cassettes there are, how big and how old they are, and from which hosts.

    FOLDERS are those to look into; without any, every folder of cassettes below this one.
    """
    found = stats_of(found_below(folders), SYSTEM.now(), top)
    if as_json:
        put_json(_data(found))
        return int(Exit.DONE)
    if not found.cassettes:
        say("there are no cassettes here")
        return int(Exit.DONE)
    pairs = [
        ("cassettes", f"{found.cassettes}" + (f", {found.unreadable} unreadable" if found.unreadable else "")),
        ("size", size_text(found.bytes)), ("interactions", str(found.interactions)),
        ("recorded", f"{moment(found.oldest)} to {moment(found.newest)}"), ("ages", _counts(found.ages)),
        ("hosts", _counts(found.hosts)), ("methods", _counts(found.methods)), ("statuses", _counts(found.statuses)),
        ("formats", _counts(found.formats)),
    ]  # fmt: skip
    for number, (path, size, interactions) in enumerate(found.biggest):
        told = f"{path}  {size_text(size)}, {counted(interactions, 'interaction')}"
        pairs.append(("" if number else "biggest", told))
    put_pairs([(name, value) for name, value in pairs if value])
    return int(Exit.DONE)


def _counts(counter: Counter[str]) -> str:
    told = [f"{name} {number}" for name, number in counter.most_common(SHOWN)]
    more = len(counter) - SHOWN
    return ", ".join(told) + (f", and {more} more" if more > 0 else "")


def _data(found: Stats) -> dict[str, object]:
    names = ("cassettes", "unreadable", "bytes", "interactions", "hosts", "methods", "statuses", "formats", "ages")
    biggest = [{"path": str(path), "bytes": size, "interactions": number} for path, size, number in found.biggest]
    return {
        **{name: getattr(found, name) for name in names},
        "oldest": instant(found.oldest), "newest": instant(found.newest), "biggest": biggest,
    }  # fmt: skip
