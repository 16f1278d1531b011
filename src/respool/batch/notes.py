"""What running tasks say of themselves (`context.note`), put where other processes can read it.

One small file beside the spool, `notes.json`: {"ITEM-ATTEMPT": text}. The runner replaces it when something was said,
twice a second at most, so that a task may say as much as it likes. It is for people who look, and nothing depends on it:
a note that cannot be written is not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from respool.batch.places import Places
from respool.clock import Clock
from respool.files import write_atomic

EVERY = 0.5  # seconds
LONGEST = 200  # characters of a note
_MOST = 1000  # notes


def _file(places: Places) -> Path:
    return places.files / "notes.json"


def note_of(notes: dict[str, str], item: int, attempt: int) -> str | None:
    """What this try has said last, in what `read_notes` gave."""
    return notes.get(f"{item}-{attempt}")


def read_notes(places: Places) -> dict[str, str]:
    """The notes of the tries that run, or ran when a runner died; see note_of. Empty if there are none."""
    try:
        found = json.loads(_file(places).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


class Notes:
    """The runner's side. `changed` says that a task has said something since the last `write`.

    >>> notes = Notes(places, clock)                                        # doctest: +SKIP
    >>> notes.changed = True; notes.write([(7, 1, "page 3 of 9")])          # doctest: +SKIP
    """

    def __init__(self, places: Places, clock: Clock) -> None:
        self.changed = False
        self._places, self._clock = places, clock
        self._last: float | None = None

    def write(self, running: Iterable[tuple[int, int, str | None]]) -> None:
        """Put down (item, attempt, note) of what runs, if there is something new and it is time."""
        now = self._clock.monotonic()
        if not self.changed or (self._last is not None and now - self._last < EVERY):
            return
        self.changed, self._last = False, now
        said = [(f"{item}-{attempt}", text[:LONGEST]) for item, attempt, text in running if text]
        with contextlib.suppress(OSError):
            self._places.files.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(_file(self._places), json.dumps(dict(said[:_MOST])), durable=False)

    def clear(self) -> None:
        """Nothing runs any more."""
        with contextlib.suppress(OSError):
            _file(self._places).unlink(missing_ok=True)
