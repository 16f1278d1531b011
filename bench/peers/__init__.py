"""The contestants: each module holds those of one program in `CONTESTANTS`.

Imports of a peer stay inside its `run`: a missing one skips itself, and nobody else pays for it.
"""

from __future__ import annotations

from importlib import import_module

from bench.figures import Contestant

# name → module; respool's own first
MODULES = {
    "respool_async": "respool", "respool_thread": "respool", "respool_process": "respool", "respool_command": "respool",
    "bare_sqlite": "bare_sqlite", "bare_sqlite_event": "bare_sqlite", "joblib_sqlite": "joblib_sqlite",
    "huey_sqlite": "huey_sqlite", "gnu_parallel": "gnu_parallel", "dbos_steps": "dbos_sqlite", "dbos_queue": "dbos_sqlite",
}  # fmt: skip


def contestant(name: str) -> Contestant:
    """One of them; loads no other's module, whose memory would be measured with it."""
    found: tuple[Contestant, ...] = import_module(f"bench.peers.{MODULES[name]}").CONTESTANTS
    return next(one for one in found if one.name == name)
