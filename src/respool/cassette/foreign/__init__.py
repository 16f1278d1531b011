"""Cassettes of other tools, played as they are, and written where the other format can hold what is on the tape.

Read: vcrpy (YAML and JSON), Betamax, Ruby's vcr, R's vcr, HAR 1.2; told apart by what they hold. Written: vcrpy and HAR.
Whatever a file says, nothing of it is executed; it ends in a Cassette or in CassetteUnreadable with its place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from respool.cassette.foreign import har, http_interactions, vcrpy
from respool.cassette.foreign.documents import Document, parsed
from respool.cassette.format import unreadable
from respool.cassette.model import Cassette
from respool.cassette.tape import Damage
from respool.errors import CassetteRefused

TARGETS = (vcrpy.YAML, vcrpy.JSON, har.HAR)
"""The foreign formats that `write` knows, by the names that Cassette.origin uses."""


class Converted(NamedTuple):
    """A cassette's file in a foreign format, and in words what of the cassette it does not hold."""

    data: bytes
    lost: tuple[str, ...] = ()


def read(data: bytes, where: str) -> Cassette | None:
    """The cassette of another tool that `data` holds, or None if it is of none (JSON, or nothing that can be told).

    `where` names the file in messages; its suffix tells YAML that is no cassette, and R's vcr looks beside it. Raises
    CassetteUnreadable.
    """
    document = parsed(data, where)
    if document is None:
        return None
    try:
        cassette = _read(document, where)
        if cassette is None and not document.is_json:
            raise Damage((), _described(document.value))
    except Damage as damage:
        raise unreadable(where, document.place(damage.path), str(damage)) from None
    return cassette


def _read(document: Document, where: str) -> Cassette | None:
    if http_interactions.recognised(document.value):  # before vcrpy: its version 1 is a list as well
        return http_interactions.read(document, where)
    if vcrpy.recognised(document.value):
        return vcrpy.read(document)
    if har.recognised(document.value):
        return har.read(document)
    return None


def _described(value: Any) -> str:
    kind = "an object with " + ", ".join(map(repr, list(value)[:5])) if isinstance(value, dict) else type(value).__name__
    return f"it is {kind}: no cassette of vcrpy, of Ruby's or of R's vcr"


def write(cassette: Cassette, target: str, *, where: str = "") -> Converted:
    """`cassette` in one of TARGETS; `where` names it in messages.

    Raises CassetteRefused for what would play differently there, and for a format that is not written.

    >>> write(Cassette(test="test_a"), "har").lost
    ('the test and the matching rule of the cassette, and what else it says of itself',)
    """
    if target == har.HAR:
        data, lost = har.write(cassette)
    elif target in TARGETS:
        data, lost = vcrpy.write(cassette, target, where)
    else:
        raise CassetteRefused(
            f"{where!r} is a cassette of the format {target!r}, which is read and not written", where=where,
            why="what is recorded is kept in respool's own format, or in one of " + ", ".join(TARGETS),
            command=f"respool cassettes convert {where}",
        )  # fmt: skip
    return Converted(data, tuple(lost))
