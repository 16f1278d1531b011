"""The options that all commands share, and the spool that they name."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import click

from respool.batch.places import Places

F = TypeVar("F", bound=Callable[..., Any])


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, shown in the help in this order."""
    return lambda function: reduce(lambda found, option: option(found), reversed(options), function)


option = click.option

WHERE = together(
    option("--spool", metavar="PATH", help="The spool [RESPOOL_SPOOL; else .respool/ of the project]."),
)
FOR_MACHINES = together(option("--json", "as_json", is_flag=True, help="One JSON object on stdout."))
OF_REHEARSALS = together(option("--rehearsal", is_flag=True, help="Look at the rehearsed runs instead."))


def places_of(spool: str | None, *, rehearsal: bool = False) -> Places:
    """The spool that is meant, without opening or making it."""
    path = spool or os.environ.get("RESPOOL_SPOOL")
    places = Places.at(path) if path else Places.nearest()
    return places.rehearsal() if rehearsal else places
