"""The contestants: each module holds those of one program in `CONTESTANTS`.

Imports of a peer stay inside its `run`: a missing one skips itself, and nobody else pays for it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from bench.figures import Contestant

MODULES = ("respool", "bare_sqlite", "joblib_sqlite", "huey_sqlite", "gnu_parallel", "dbos_sqlite")


@cache
def contestants() -> dict[str, Contestant]:
    """All of them by name, respool's own first."""
    found = (one for module in MODULES for one in import_module(f"bench.peers.{module}").CONTESTANTS)
    return {one.name: one for one in found}
