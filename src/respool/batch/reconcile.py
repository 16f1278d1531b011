"""What a row of the input means for the item that the spool holds under its key: one decision for the real submission
and for the dry run."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from respool.batch.model import ItemState

WITHDRAWN = "withdrawn"  # the reason of an item that is no longer in the input


class Change(StrEnum):
    """What submitting a row does."""

    NEW = "new"
    CHANGED = "changed"  # another payload: it runs again
    REVIVED = "revived"  # it had been withdrawn
    KEPT = "kept"


class Existing(NamedTuple):
    """The item that the spool holds."""

    id: int
    fingerprint: str
    state: ItemState
    reason: str | None


def reconcile(existing: Existing | None, fingerprint: str) -> Change:
    """The change that a row with this fingerprint makes.

    >>> reconcile(None, "f")
    <Change.NEW: 'new'>
    """
    if existing is None:
        return Change.NEW
    if existing.fingerprint != fingerprint:
        return Change.CHANGED
    if existing.state is ItemState.CANCELLED and existing.reason == WITHDRAWN:
        return Change.REVIVED
    return Change.KEPT


REASONS = {
    Change.NEW: "new",
    Change.CHANGED: "its input changed",
    Change.REVIVED: "back in the input",
}
