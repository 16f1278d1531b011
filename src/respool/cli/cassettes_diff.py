"""`respool cassettes diff`: what changed between two recordings, for review."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from respool.cassette.drift import Drift, drift
from respool.cassette.drift.report import as_data, lines, proposal_line
from respool.cassette.library import Library
from respool.cassette.model import Cassette
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, option
from respool.cli.talk import keep, put, put_json, say
from respool.errors import CassetteError, CassetteMissing, UsageError
from respool.phrases import counted, printable
from respool.rerecord.settings import load_settings


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", required=False, type=click.Path(path_type=Path))
@option("--ignore", "ignored", multiple=True, metavar="PATH", help='A path in answers that always changes: "$.date".')
@option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as one HTML page, too.")
@FOR_MACHINES
def diff(old: Path, new: Path | None, ignored: tuple[str, ...], page: Path | None, as_json: bool) -> int:
    """What changed from OLD to NEW, two cassettes or two folders of them; of one path, what changed since the version that
    was kept when it was recorded last.

    Told are calls that came (+), went (-), moved (^) or changed (~): status, headers that matter, JSON by its paths, text by
    its lines. `volatile = ["$.generated_at"]` in [tool.respool.rerecord] names paths whose values always change; what looks
    like one is proposed. Ends with 1 if anything changed, as diff(1) does.

      respool cassettes diff tests/cassettes
      respool cassettes diff old.json new.json --html drift.html
    """
    volatile = [*load_settings(old if old.is_dir() else old.parent).volatile, *ignored]
    compared: dict[str, Drift] = {}
    errors: dict[str, CassetteError] = {}
    for name, was, now in _pairs(old, new):
        try:
            compared[name] = drift(_loaded(was), _loaded(now), volatile)
        except CassetteError as error:
            if name == "":
                raise
            errors[name] = error
    if page is not None:
        keep(page, _page(old, new, compared, errors))
    if as_json:
        put_json({
            "cassettes": [{"name": name or str(new or old), **as_data(each)} for name, each in compared.items()],
            "errors": [{"name": name, "error": str(error)} for name, error in errors.items()],
            "volatile": volatile,
        })  # fmt: skip
    else:
        _tell(compared, errors)
    return int(Exit.FAILED if errors or any(compared.values()) else Exit.DONE)


def _pairs(old: Path, new: Path | None) -> Iterator[tuple[str, Path | None, Path | None]]:
    """(name, old file, new file) of what is compared; the name is "" where two files were given."""
    for path in (old, new):
        if path is not None and not path.exists():
            raise CassetteMissing(f"there is no cassette {str(path)!r}", command="respool cassettes list")
    if new is None:
        yield from _with_previous(old)
    elif old.is_dir() and new.is_dir():
        was, now = ({name: folder / name for name in Library(folder).list()} for folder in (old, new))
        for name in sorted({*was, *now}):
            yield name, was.get(name), now.get(name)
    elif old.is_dir() or new.is_dir():
        raise UsageError(f"{str(old)!r} and {str(new)!r} are a folder and a file", why="two of a kind are compared")
    else:
        yield "", old, new


def _with_previous(path: Path) -> Iterator[tuple[str, Path | None, Path | None]]:
    library = Library(path if path.is_dir() else path.parent)
    names = library.list() if path.is_dir() else [path.name]
    kept = [name for name in names if library.previous(name).is_file()]
    if not kept:
        raise CassetteMissing(
            f"no previous version of {str(path)!r} is kept", why="one is when a cassette is recorded anew",
            command=f"respool cassettes diff OLD {path}   (to compare it with another)",
        )  # fmt: skip
    if len(kept) < len(names):
        say(f"{counted(len(names) - len(kept), 'cassette has', 'cassettes have')} no previous version")
    for name in kept:
        yield name, library.previous(name), library.path(name)


def _loaded(path: Path | None) -> Cassette | None:
    return None if path is None else Library(path.parent).load(path)


def _tell(compared: dict[str, Drift], errors: dict[str, CassetteError]) -> None:
    for name, found in compared.items():
        if found and name:
            put(printable(f"{name}: {found.summary()}"))
        for line in lines(found):
            put(printable(f"  {line}" if name else line))
    for name, error in errors.items():
        say(f"NOT compared  {name}\n{error}")
    same = sum(1 for each in compared.values() if not each)
    if len(compared) > 1:
        say(f"{counted(len(compared), 'cassette')}: {len(compared) - same} changed, {same} without a change")
    if proposed := proposal_line(compared.values()):
        say(f"always changed, and could count for nothing in [tool.respool.rerecord]:\n  {proposed}")


def _page(old: Path, new: Path | None, compared: dict[str, Drift], errors: dict[str, CassetteError]) -> str:
    from respool.cassette.drift.page import Entry, page

    entries = [Entry(name or str(new or old), each) for name, each in compared.items()]
    entries += [Entry(name, None, error.what) for name, error in errors.items()]
    return page(f"What changed in {old}" if new is None else f"What changed from {old} to {new}", entries)
