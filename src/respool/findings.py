"""What a check or the doctor saw: a Finding is data, and so is its fix."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding matters: `error` and `warning` make a check exit 1, `info` does not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Fix:
    """A repair as data: the name of a fix that its owner knows, and the arguments."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen.

    `code` is stable and in capitals (STALE_BATCH_PROGRESS), `subject` says what it is about (a job, an item, a file),
    `message` is one sentence with the reason, `advice` the next command or act, `fix` a repair or None.

    >>> Finding("LOW_DISK_SPACE", Severity.WARNING, "/data", "only 12 MB are free").fixable
    False
    """

    code: str
    severity: Severity
    subject: str
    message: str
    advice: str = ""
    fix: Fix | None = None

    @property
    def fixable(self) -> bool:
        return self.fix is not None
