"""What the runner may rely on of anything that runs attempts. One conformance suite tests every implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from respool.batch.declaration import Task
from respool.batch.model import Attempt, Outcome

Report = Callable[[Attempt, Outcome], None]
"""Called on the runner's event loop, exactly once for every attempt that was put, whatever becomes of it."""

Note = Callable[[Attempt, str], None]
"""Called on the runner's event loop with what a running task says of its progress (`context.note`)."""


class Workers(Protocol):
    """A place where attempts run. All methods are called on the runner's event loop and return at once, but `close`.

    What an attempt sets in context variables no other attempt sees.
    """

    def put(self, attempt: Attempt, task: Task) -> None:
        """Run this attempt as soon as a place is free, in the order of the calls. Its outcome arrives through the report
        callback; after `close` that is Interrupted."""

    def interrupt(self, attempt: Attempt, reason: str) -> None:
        """End this attempt now; it reports Interrupted(reason), or its own outcome if it had just finished.

        An attempt that was never put, or has reported, is no error.
        """

    async def close(self) -> None:
        """End everything that still runs (it reports Interrupted) and free all processes and threads. A second call does
        nothing."""

    def pids(self) -> dict[int, int]:
        """Process groups now in use, as pid → start time: a remains.ProcessId each. May be empty."""
