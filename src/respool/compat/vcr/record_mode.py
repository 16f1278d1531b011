"""vcrpy's record modes."""

from __future__ import annotations

from enum import Enum


class RecordMode(str, Enum):  # noqa: UP042  (StrEnum would change what str() gives, which suites print and compare)
    """When a request is recorded: vcrpy's five words."""

    ALL = "all"
    ANY = "any"
    NEW_EPISODES = "new_episodes"
    NONE = "none"
    ONCE = "once"


def validate_record_mode(record_mode: str | RecordMode) -> RecordMode:
    """The mode of that name. Raises ValueError."""
    try:
        return RecordMode(record_mode)
    except ValueError:
        known = ", ".join(repr(mode.value) for mode in RecordMode)
        raise ValueError(f"{record_mode!r} is not a valid record_mode: {known}") from None
