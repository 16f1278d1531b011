"""vcrpy's cassettes in a process that re-records (see cassette/staging.py)."""

from __future__ import annotations

from pathlib import Path

from respool.cassette.deck import Throttle
from respool.cassette.model import Mode
from respool.cassette.staging import here
from respool.compat.vcr.record_mode import RecordMode


def staged(path: str) -> tuple[str, RecordMode, Throttle | None]:
    """Where, how, and with what waits the cassette at `path` is used here."""
    # A vcr mark has no word for the errors that its test wants: what is on the tape now was wanted.
    used = here().instead(Path(path), Mode.FILL, here().errors_on(Path(path)))
    return str(used.path), RecordMode.NONE if used.mode is Mode.REPLAY else RecordMode.NEW_EPISODES, used.throttle
