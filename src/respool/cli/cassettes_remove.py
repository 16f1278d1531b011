"""`respool cassettes delete | restore | prune`: what goes, what comes back, and what is kept no longer."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import click

from respool.cassette.library import Library
from respool.cassette.upkeep.pruning import Kept, kept, remove
from respool.cassette.upkeep.settings import load_upkeep
from respool.cli.cassettes_look import found_below, of_a_file
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, option, together
from respool.cli.shown import put_table, size_text
from respool.cli.talk import instant, moment, put, put_json, say
from respool.clock import MICROSECONDS, SYSTEM
from respool.config import parse_duration
from respool.errors import CassetteMissing, UsageError
from respool.phrases import counted

YES = together(
    option("--yes", is_flag=True, help="Delete; without it, only say what would go."),
    option("--dry-run", is_flag=True, help="Only say what would go, as without --yes."),
)


@click.command("delete")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@YES
@FOR_MACHINES
def delete(patterns: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool) -> int:
    """Delete the cassettes whose path from here, or name in its folder of cassettes, matches a glob PATTERN.

    Whole names only: test_a is not test_ab, and * stays inside one folder. Each is kept in .respool/previous/, from where
    `respool cassettes restore PATH` brings it back.

      respool cassettes delete 'tests/cassettes/test_search/*.json' --yes
      respool cassettes delete 'test_search/test_one*'
    """
    _one_of(yes, dry_run)
    chosen: list[Path] = []
    for pattern in patterns:
        found = [path for path in found_below(()) if any(_matches(name, pattern) for name in _names(path))]
        if not found:
            raise CassetteMissing(f"no cassette matches {pattern!r}", command="respool cassettes list")
        chosen += [path for path in found if path not in chosen]
    for path in chosen:
        if yes:
            Library(path.parent).delete(path)
        if not as_json:
            put(f"{'deleted' if yes else 'would delete'}  {path}")
    if as_json:
        put_json({"deleted" if yes else "would_delete": [str(path) for path in chosen]})
    elif not yes:
        say(f"nothing was deleted; {counted(len(chosen), 'cassette')} would be, with --yes")
    return int(Exit.DONE)


def _one_of(yes: bool, dry_run: bool) -> None:
    if yes and dry_run:
        raise UsageError("--yes and --dry-run exclude each other")


def _names(path: Path) -> Iterator[str]:
    """Its path from here, and its name in its folder of cassettes, with and without the suffix."""
    whole = path.as_posix()
    yield whole
    folder = Path(load_upkeep().folder).name
    if folder in path.parts[:-1]:
        within = Path(*path.parts[path.parts.index(folder) + 1 :])
        yield from (within.as_posix(), within.with_suffix("").as_posix())


def _matches(name: str, pattern: str) -> bool:
    parts, globs = name.split("/"), pattern.removeprefix("./").split("/")
    return _fits(parts, globs)


def _fits(parts: list[str], globs: list[str]) -> bool:
    if not globs:
        return not parts
    if globs[0] == "**":
        return any(_fits(parts[skip:], globs[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], globs[0]) and _fits(parts[1:], globs[1:])


@click.command("restore")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--dry-run", is_flag=True, help="Say whether there is a previous one, and change nothing.")
@FOR_MACHINES
def restore(paths: tuple[Path, ...], dry_run: bool, as_json: bool) -> int:
    """Put the previous version of each cassette back; the present one, if there is one, becomes the previous.

    So the same command again takes it back. PATH is that of the cassette, also of one that was deleted.

      respool cassettes restore tests/cassettes/test_search.json
    """
    for path in paths:  # all or none: a slip in the third name leaves the first two alone
        previous = Library(path.parent).previous(of_a_file(path))
        if not previous.is_file():
            raise CassetteMissing(
                f"no previous cassette of {str(path)!r} was kept", where=str(previous),
                why="one is when a cassette is recorded anew, converted over or deleted", command="respool cassettes list",
            )  # fmt: skip
        if dry_run and not as_json:
            put(f"would restore  {path}  kept {moment(previous.stat().st_mtime_ns // 1000)}")
    for path in () if dry_run else paths:
        Library(path.parent).restore(path)
        if not as_json:
            put(f"restored  {path}")
    if as_json:
        put_json({"would_restore" if dry_run else "restored": [str(path) for path in paths]})
    return int(Exit.DONE)


@click.command("prune")
@option("--older", required=True, metavar="DUR", help='What has been kept for longer than this, such as "90d".')
@YES
@FOR_MACHINES
def prune(older: str, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Delete what was kept of replaced cassettes: previous versions, and the backups of `cassettes check --fix`.

    The cassettes themselves stay. What is deleted here cannot be brought back.

      respool cassettes prune --older 90d --yes
    """
    _one_of(yes, dry_run)
    settings = load_upkeep()
    before = SYSTEM.now() - round(parse_duration(older, what="--older") * MICROSECONDS)
    found = kept(settings.root / ".respool", before)
    if as_json:
        rows = [{**each._asdict(), "path": str(each.path), "at": instant(each.at)} for each in found]
        put_json({"deleted" if yes else "would_delete": rows})
    elif found:
        rows_shown = [_row(each, settings.root) for each in found]
        put_table([("KEPT SINCE", "SIZE", "WHAT", "PATH"), *rows_shown], right=frozenset({1}))
    if yes:
        for each in found:
            remove(each)
    total = size_text(sum(each.bytes for each in found))
    if not found:
        say(f"nothing has been kept for longer than {older}")
    elif yes:
        say(f"deleted {counted(len(found), 'entry', 'entries')}, {total}")
    else:
        say(f"nothing was deleted; {counted(len(found), 'entry', 'entries')}, {total}, would be, with --yes")
    return int(Exit.DONE)


def _row(each: Kept, root: Path) -> tuple[str, ...]:
    return moment(each.at), size_text(each.bytes), each.kind, each.path.relative_to(root).as_posix()
