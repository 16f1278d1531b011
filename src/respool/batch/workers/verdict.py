"""How a command says itself how it ended: JSON in the file that RESPOOL_VERDICT names, written before it ends.

    {"outcome": "done", "result": {...}}                       with exit code 0; kept as "said" in the item's result
    {"outcome": "failed", "kind": "unauthorised", "message": "the key was refused", "final": true}
    {"outcome": "later", "after": 30.0, "reason": "the service asked for it"}
    {"outcome": "skipped", "reason": "nothing to do"}

A command that was ended, by us or by a signal, is not asked. Read in the shim, which imports nothing of this before.
"""

from __future__ import annotations

import json
from typing import Any

from respool.batch.model import outcome_from_data, outcome_to_data

_DEFAULTS: dict[str, dict[str, Any]] = {
    "failed": {"kind": "raised", "message": "", "retry_after": None, "final": False, "detail": None},
    "later": {"after": 0.0, "reason": ""}, "skipped": {"reason": ""},
}  # fmt: skip


def read_verdict(path: str) -> dict[str, Any]:
    """The outcome that stands in the file, in the form of model.outcome_to_data ("done" with its plain `result`).

    What is no verdict is a failure that says so.
    """
    try:
        with open(path, "rb") as file:
            said = json.load(file)
        if said["outcome"] == "done":
            return {"outcome": "done", "result": said.get("result")}
        outcome = outcome_from_data({**_DEFAULTS[said["outcome"]], **said})
        return outcome_to_data(outcome)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"its verdict cannot be read: {error}"
        return {"outcome": "failed", **_DEFAULTS["failed"], "kind": "invalid", "message": message}
