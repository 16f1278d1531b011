"""Tells whoever waits that something in the spool has changed, whichever process changed it."""

from __future__ import annotations

import asyncio

from respool.batch.store.connection import Database
from respool.errors import RespoolError

EVERY = 0.2  # seconds between two looks


class Pulse:
    """One look at the spool for all who wait for a change. `beat` runs until it is cancelled; `end` wakes everybody for
    good."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = asyncio.Event()
        self.ended = False

    async def beat(self) -> None:
        """Look, several times a second."""
        seen = None
        while True:
            try:
                version = self._database.data_version()
            except RespoolError:
                version = -1  # whoever reads hears of it
            if version != seen:
                seen = version
                self._wake()
            await asyncio.sleep(EVERY)

    async def change(self, patience: float) -> bool:
        """Wait for the next change, `patience` seconds at most; whether there was one."""
        changed = self._changed
        try:
            await asyncio.wait_for(changed.wait(), patience)
        except TimeoutError:
            return False
        return True

    def end(self) -> None:
        """Nothing more will be told."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
