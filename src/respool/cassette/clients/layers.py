"""Clients stand on each other (requests on urllib3, httpx on httpcore): a call is recorded once, by the outermost.

An adapter asks `open_deck()` on each call, and makes the real request inside `recorded_above()`: whatever client lies
below then finds no deck. The mark is a ContextVar, so that tasks started by the lower client carry it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from respool.cassette.deck import Deck
from respool.cassette.open_decks import current

inside: ContextVar[bool] = ContextVar("respool_inside", default=False)

mocks_below_httpx: list[Any] = []
"""The active routers of respx, which mocks httpcore (hosts/respx.py puts its own list here)."""


def open_deck() -> Deck | None:
    """The deck that a call made here is to be taken through, or None: send it as if we were not there.

    Raises CassetteError where nobody can know which of several open decks is meant.
    """
    return None if inside.get() else current()


@contextmanager
def recorded_above() -> Iterator[None]:
    """For the time of a real request: clients below the calling one leave it alone."""
    token = inside.set(True)
    try:
        yield
    finally:
        inside.reset(token)
