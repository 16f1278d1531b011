"""What a running task may know of its own try."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from respool import canonical
from respool.batch.model import Attempt
from respool.batch.places import FILES
from respool.files import private_folder


class Context:
    """What a task that takes a parameter named `context` may know and say about its own try."""

    __slots__ = ("_attempt", "_folder", "_note", "_spool_id")

    def __init__(self, attempt: Attempt, spool_id: str, folder: Path, note: Callable[[str], None]) -> None:
        self._attempt, self._spool_id, self._folder, self._note = attempt, spool_id, folder, note

    @property
    def key(self) -> str:
        """The item's key."""
        return self._attempt.key

    @property
    def attempt(self) -> int:
        """The number of this try: 1, 2, 3 ..."""
        return self._attempt.number

    @property
    def job(self) -> int:
        """The number of the job."""
        return self._attempt.job

    @property
    def payload(self) -> Any:
        """The item's payload, parsed anew at each call."""
        return canonical.decode(self._attempt.payload)

    @property
    def idempotency_key(self) -> str:
        """The same text for every try of this item with this payload, for services that refuse to do a thing twice."""
        return f"{self._spool_id}:{self._attempt.item}:{self._attempt.fingerprint[:12]}"

    @property
    def earlier(self) -> list[Path]:
        """The `folder` of each earlier try of this item that left one, the first try's first. It may have had another
        payload."""
        item = self._folder.name.rpartition("-")[0]
        tries = (self._folder.with_name(f"{item}-{number}") / FILES for number in range(1, self.attempt))
        return [folder for folder in tries if folder.is_dir()]

    def note(self, text: str) -> None:
        """Say how far this try is. The live view shows the last note, and so do `jobs watch` and `jobs items`, half a
        second late; it is kept nowhere."""
        self._note(str(text))

    @property
    def folder(self) -> Path:
        """A private folder for the files of this try, made at first use."""
        return private_folder(self._folder / FILES)
