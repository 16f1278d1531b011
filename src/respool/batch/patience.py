"""How long a spool that takes no writes is waited for, and what is said meanwhile.

A full disk or a foreign program's lock is no reason to throw away work that is under way: the runner holds what it has,
starts nothing, and tries again. Somebody may make room; if nobody does, the run ends with the error that it met, and
what it could not write is left as receipts, as far as there is room for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from respool.batch.model import Attempt, Interrupted, Outcome
from respool.batch.places import Places
from respool.batch.workers.receipt import write_receipt
from respool.clock import Clock
from respool.errors import SpoolUnwritable

PAUSE = 0.25  # seconds between two tries

T = TypeVar("T")


class Patience:
    """`seconds` of it, from the first failed write on; a successful one restores it.

    `trouble` is what a view shows while there is some, else None.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.trouble: str | None = None
        self._seconds, self._clock = seconds, clock
        self._since: float | None = None

    def lost(self, error: SpoolUnwritable) -> None:
        """A write failed. Raises `error` itself if that has gone on for too long."""
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since >= self._seconds:
            raise error
        why = f" ({error.why})" if error.why else ""
        self.trouble = f"waiting for up to {self._seconds:g} s, nothing is started meanwhile: {error.what}{why}"

    def restored(self) -> None:
        """A write succeeded."""
        self.trouble = self._since = None

    def end(self) -> None:
        """Wait no longer: the next failed write is the last one."""
        self._seconds = 0.0

    async def write(self, act: Callable[[], T]) -> T:
        """What `act` gives, tried again until it succeeds. Raises SpoolUnwritable when patience is at its end."""
        while True:
            try:
                done = act()
            except SpoolUnwritable as error:
                self.lost(error)
                await asyncio.sleep(PAUSE)
            else:
                self.restored()
                return done


def leave_receipts(places: Places, spool_id: str, ended: Iterable[tuple[Attempt, Outcome]]) -> tuple[int, int]:
    """Write what a runner must leave behind beside the spool; (how many the next run finds, how many are lost)."""
    kept = lost = 0
    for attempt, outcome in ended:
        if isinstance(outcome, Interrupted):
            continue
        try:
            write_receipt(places.attempt(attempt.item, attempt.number), spool_id, attempt, outcome, durable=False)
            kept += 1
        except OSError:
            lost += 1
    return kept, lost


def unrecorded(error: SpoolUnwritable, kept: int, lost: int) -> SpoolUnwritable:
    """`error`, and what it means for `kept` + `lost` attempts that had ended and were not written.

    >>> print(unrecorded(SpoolUnwritable("the spool cannot be written: disk full"), 2, 1))
    the spool cannot be written: disk full; 3 items ended meanwhile: 2 are taken over by the next run, 1 runs again
    """
    if not kept + lost:
        return error
    parts = [f"{kept} {'is' if kept == 1 else 'are'} taken over by the next run"] if kept else []
    parts += [f"{lost} {'runs' if lost == 1 else 'run'} again"] if lost else []
    many = f"{kept + lost} item{'' if kept + lost == 1 else 's'} ended meanwhile"
    return SpoolUnwritable(
        f"{error.what}; {many}: {', '.join(parts)}", where=error.where, why=error.why, command=error.command
    )
