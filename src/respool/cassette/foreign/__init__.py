"""Cassettes of other tools."""

from __future__ import annotations

from typing import NamedTuple

from respool.cassette.model import Cassette


class Converted(NamedTuple):
    data: bytes
    lost: tuple[str, ...] = ()


def read(data: bytes, where: str) -> Cassette | None:
    return None


def write(cassette: Cassette, origin: str, *, where: str = "") -> Converted:
    raise NotImplementedError
