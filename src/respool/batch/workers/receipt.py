"""The receipt of an attempt: `result.json`, written beside the work before anybody is told of its outcome.

A runner that was killed between an answer and its commit left receipts behind; the next runner adopts what they say
instead of paying for the same call again. The file is one JSON object:

    {"spool": str, "item": int, "attempt": int, "nonce": str, "fingerprint": str, "digest": str, "outcome": {...}}

`outcome` is what `model.outcome_to_data` gives, `digest` is `canonical.digest` of its canonical JSON text. Whoever
writes such a file without this module (the shim of commands) writes exactly this.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from respool import canonical
from respool.batch.model import Attempt, Outcome, outcome_from_data, outcome_to_data
from respool.batch.places import FILES, OUTPUT
from respool.files import private_folder, write_atomic

NAME = "result.json"


def write_receipt(folder: Path, spool_id: str, attempt: Attempt, outcome: Outcome, durable: bool = False) -> None:
    """Put the outcome of `attempt` into `folder` (made if missing): whole, or not at all.

    `durable` also waits for the disk: needed against power loss, not against the death of a process. Raises OSError
    when the disk does not take it, and canonical.NotCanonical for an outcome that no JSON text can hold.
    """
    data = _header(spool_id, attempt)
    data["outcome"] = outcome_to_data(outcome)
    data["digest"] = canonical.digest(canonical.encode(data["outcome"]))
    content = canonical.encode(data)
    try:
        os.mkdir(folder, 0o700)  # the usual case in one call: new, in a folder that exists
    except FileExistsError:
        pass
    except FileNotFoundError:
        private_folder(folder)
    write_atomic(folder / NAME, content, durable=durable)


def read_receipt(folder: Path, spool_id: str, attempt: Attempt) -> Outcome | None:
    """The outcome that `attempt` left in `folder`, or None if there is none that can be trusted.

    Not trusted: a file that is torn or altered (its digest tells), that belongs to another spool, item or attempt, to
    another session, or to another payload.
    """
    try:
        return judge_receipt((folder / NAME).read_bytes(), spool_id, attempt)
    except (FileNotFoundError, NotADirectoryError):
        return None


def judge_receipt(content: bytes, spool_id: str, attempt: Attempt) -> Outcome | None:
    """The same of a receipt that came another way: a full disk had no room for its file."""
    try:
        data = canonical.decode(content)
    except (UnicodeDecodeError, canonical.NotCanonical):
        return None
    if not isinstance(data, dict) or not isinstance(data.get("outcome"), dict):
        return None
    expected = _header(spool_id, attempt)
    expected["digest"] = canonical.digest(canonical.encode(data["outcome"]))
    if any(data.get(name) != value for name, value in expected.items()):
        return None
    try:
        return outcome_from_data(data["outcome"])
    except ValueError:
        return None


def clear_receipt(folder: Path) -> None:
    """Remove what an attempt's folder was for while it ran, when its outcome is committed; its output and the files
    that the task made there stay, and the folder with them. What cannot be removed is left to `respool jobs prune`.
    """
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
        kept = [name for name in names if name.startswith(OUTPUT) or name == FILES]  # the output may be in two parts
        for name in names:
            if name not in kept:
                os.unlink(f"{folder}/{name}")
        if not kept:
            os.rmdir(folder)


class Clearing:
    """`clear_receipt` in a thread of its own: a busy disk holds up a removal for longer than the event loop can wait."""

    def __init__(self) -> None:
        self._folders: SimpleQueue[Path | None] = SimpleQueue()
        self._thread: Thread | None = None

    def clear(self, folder: Path) -> None:
        """Clear it soon."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name="respool-clearing", daemon=True)
            self._thread.start()
        self._folders.put(folder)

    def close(self) -> None:
        """Wait until all that was handed in is cleared. It may be used again."""
        if self._thread is not None:
            self._folders.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (folder := self._folders.get()) is not None:
            clear_receipt(folder)


def _header(spool_id: str, attempt: Attempt) -> dict[str, Any]:
    return {
        "spool": spool_id, "item": attempt.item, "attempt": attempt.number, "nonce": attempt.nonce,
        "fingerprint": attempt.fingerprint,
    }  # fmt: skip
