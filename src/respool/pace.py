"""Limits and cool-downs shared by processes (being written)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    key: str
    rates: tuple[tuple[int, float], ...]

    @classmethod
    def parse(cls, text: str, *, key: str) -> Limit:
        raise NotImplementedError
