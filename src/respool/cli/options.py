"""The options that all commands share, and the spool that they name."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from respool.batch.places import Places
from respool.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, shown in the help in this order."""
    return lambda function: reduce(lambda found, option: option(found), reversed(options), function)


option = click.option

WHERE = together(
    option("--spool", metavar="PATH", help="The spool [RESPOOL_SPOOL; .respool/ of the project]."),
)
FOR_MACHINES = together(option("--json", "as_json", is_flag=True, help="One JSON object on stdout."))
OF_REHEARSALS = together(option("--rehearsal", is_flag=True, help="Look at the rehearsed runs instead."))


class OutputFile(click.Path):
    """A file that is to be written, as a Path: what cannot become one is refused before the work, not after it.

    Devices and pipes are refused too: a file is replaced in one step, and the step would put it in their place.
    """

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Fails for a folder that is not there, and for what is no regular file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"there is no folder {str(path.parent)!r}.", param, ctx)
        if not path.name or (path.exists() and not path.is_file()):
            self.fail(f"{str(value)!r} is no regular file.", param, ctx)
        if not os.access(path.parent, os.W_OK):  # the file is made there under another name, and renamed
            self.fail(f"nothing can be written in the folder {str(path.parent)!r}.", param, ctx)
        return path


OUTPUT = OutputFile()


def keep_apart(outputs: Mapping[str, Path | None], inputs: Iterable[str | Path]) -> None:
    """Raise UsageError if one file is to be read and written, or written twice. `outputs` are paths by their options."""
    known = {os.path.realpath(path): "it is read" for path in inputs}
    for name, path in outputs.items():
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in known:
            raise UsageError(f"{name} cannot be {str(path)!r}: {known[place]}", where=place, command="another name for it")
        known[place] = f"{name} is written there"


def places_of(spool: str | None, *, rehearsal: bool = False) -> Places:
    """The spool that is meant, without opening or making it."""
    places = Places.chosen(spool or None)
    return places.rehearsal() if rehearsal else places


def same_spool(places: Places) -> str:
    """What has to be typed after a command so that it means this spool too: " --rehearsal", say, or nothing.

    A next command that is printed without it would look into another spool than the one that was talked of.
    """
    usual, words = Places.chosen(), []
    if places.folder.name == "rehearsal":
        places, words = Places(places.folder.parent / places.database.name), ["--rehearsal"]
    if os.path.realpath(places.database) != os.path.realpath(usual.database):  # (Path.resolve raises for a loop)
        here, there = Path.cwd(), places.database
        near = there.relative_to(here) if there.is_relative_to(here) else there
        words = ["--spool", shlex.quote(str(near)), *words]
    return "".join(f" {word}" for word in words)


def addressed(text: str, arguments: Sequence[str]) -> str:
    """A next command such as "respool jobs list", made to mean the spool that the command line `arguments` mean."""
    given = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    spool = None
    for at, word in enumerate(given):
        if word == "--spool" and at + 1 < len(given):
            spool = given[at + 1]
        elif word.startswith("--spool="):
            spool = word.partition("=")[2]
    rehearsal = any(word.partition("=")[0] in ("--rehearsal", "--mock-agent", "--rehearse") for word in given)
    words = same_spool(places_of(spool, rehearsal=rehearsal))
    return re.sub(r"\brespool (doctor|jobs [a-z]+)\b(?! --spool)", lambda found: found[0] + words, text) if words else text
