"""Taking in jobs and items: what a submission writes.

A submission is: the job's declaration (which unseals it) → its blocks, at most 5,000 rows to a transaction → the seal,
which withdraws what is gone from the input. Killed in between, the same submission goes on: blocks that arrived are
kept. Only the holder of the owner lock applies a submission; anybody else stages it (see requests.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from respool.batch.blocks import Stored
from respool.batch.model import ItemState, Row
from respool.batch.reconcile import REASONS, WITHDRAWN, Change, Existing, reconcile
from respool.batch.store.connection import Database
from respool.batch.store.followups import end_if_finished, note_code
from respool.errors import UsageError

Where = Callable[[str], str]
"""Where in the input a key is, as a phrase."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a submission says of its job, apart from the items. `rules`: (task, version, settings, on) of follow-ups."""

    name: str
    task: str
    version: str
    settings: dict[str, Any]
    source: dict[str, Any]
    source_digest: str | None = None
    rules: tuple[tuple[str, str, dict[str, Any], str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a submission asks of items that are already there."""

    retry_failed: bool = False
    fresh: bool = False  # a new generation that ignores this job's earlier results
    no_cache: bool = False
    force: tuple[str, ...] | bool = False  # run finished items again: all, or those keys
    rerun_changed: bool = False  # run again what was made by other code

    @property
    def anew(self) -> bool:
        """Whether finished results are taken from nowhere: what is to be made again must not be answered by itself."""
        return self.no_cache or bool(self.force) or self.rerun_changed

    def to_data(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Wishes:
        force = data.pop("force", False)
        return cls(force=tuple(force) if isinstance(force, list) else force, **data)


def open_job(database: Database, declaration: Declaration, now: int, *, newest: bool = False) -> int:
    """Write the declaration: a new job, or the known one unsealed. Returns the job's id.

    `newest`: what was asked of a runner that died before it looked is overtaken by this.
    """
    with database.write():
        if newest and database.run("supersede_requests", now, declaration.name):
            database.run("drop_superseded")
        return declare(database, declaration, now)


def declare(database: Database, declaration: Declaration, now: int, *, parent: int | None = None) -> int:
    """The same inside a write."""
    settings = json.dumps(declaration.settings, sort_keys=True)
    known = database.one("job_by_name", declaration.name)
    if known is None:
        job = database.insert(
            "insert_job", declaration.name, declaration.task, declaration.version, settings,
            json.dumps(declaration.source), parent, now, now,
        )  # fmt: skip
        database.run("insert_event", now, job, None, None, "job_created", json.dumps({"name": declaration.name}))
    else:
        job = known[0]
        database.run("update_job", declaration.task, declaration.version, settings, now, job)
    note_code(database, job, declaration.source_digest, declaration.version, known, now)
    for ordinal, (task, version, its_settings, run_on) in enumerate(declaration.rules):
        database.run("save_rule", job, ordinal, task, version, json.dumps(its_settings, sort_keys=True), run_on)
    database.run("delete_rules", job, len(declaration.rules))
    return job


def stored_blocks(database: Database, job: int) -> list[Stored]:
    """The blocks of a job in the order of their starts."""
    return [Stored._make(row) for row in database.all("blocks_of_job", job)]


def twice(key: str, where: Where) -> UsageError:
    """The error for two items with one key."""
    return UsageError(
        f"the key {key!r} is there twice", where=where(key), why="an item is known by its key",
        command="make the keys unique, or name another key field: --key FIELD",
    )  # fmt: skip


class Merge:
    """One submission being applied to one job.

    `running_changed` collects items that changed while they ran, `running_returned` those that had been withdrawn.
    """

    def __init__(self, database: Database, job: int, stale: Sequence[int]) -> None:
        self.database = database
        self.job = job
        self.running_changed: set[int] = set()
        self.running_returned: set[int] = set()
        row = database.one("job_by_id", job)
        self._generation = row[6] if row else 1
        self._stale = set(stale)
        self._whole = tuple(stale)  # of these, the ones that still say what they hold

    def block(self, digest: str, start: int, rows: Sequence[Row], where: Where) -> dict[Change, int]:
        """One transaction: take in the rows of a new block. Raises UsageError for a key that was there before."""
        with self.database.write():
            self.database.many("void_block", [(stale,) for stale in self._whole])
            block = self.database.insert("insert_block", self.job, digest, start)
            counts = self._rows(block, start, rows, where)
        self._whole = ()
        return counts

    def _rows(self, block: int, start: int, rows: Sequence[Row], where: Where) -> dict[Change, int]:
        database, job = self.database, self.job
        known: dict[str, tuple[Any, ...]] = {
            found[0]: found for found in database.all("items_by_key", job, json.dumps([row.key for row in rows]))
        }
        counts = dict.fromkeys(Change, 0)
        next_id = (database.one("last_item_id") or (0,))[0] + 1
        new: list[tuple[Any, ...]] = []
        payloads: list[tuple[int, str]] = []
        kept: list[tuple[int, int, int]] = []
        seen: set[str] = set()
        for offset, row in enumerate(rows):
            found = known.get(row.key)
            if row.key in seen or (found is not None and found[5] is not None and found[5] not in self._stale):
                raise twice(row.key, where)
            seen.add(row.key)
            existing = None if found is None else Existing(found[1], found[2], ItemState(found[3]), found[4])
            change = reconcile(existing, row.fingerprint)
            counts[change] += 1
            if existing is not None and existing.state is ItemState.RUNNING and existing.reason == WITHDRAWN:
                self.running_returned.add(existing.id)
            if existing is None:
                item = next_id + len(new)
                new.append(
                    (item, job, row.key, row.fingerprint, block, start + offset, REASONS[change], self._generation)
                )
                payloads.append((item, row.payload))
            elif change is Change.KEPT:
                kept.append((block, start + offset, existing.id))
            else:
                self._changed(existing, row, block, start + offset, REASONS[change])
        if new:
            database.run("note_unindexed", next_id, job)
        database.many("insert_item", new)
        database.many("insert_payload", payloads)
        database.many("keep_item", kept)
        return counts

    def _changed(self, existing: Existing, row: Row, block: int, position: int, reason: str) -> None:
        self.database.run("archive_item", existing.id)
        self.database.run("change_item", row.fingerprint, block, position, reason, existing.id)
        self.database.run("replace_payload", row.payload, existing.id)
        if existing.state is ItemState.RUNNING:
            self.running_changed.add(existing.id)

    def move(self, block: int, old_start: int, start: int) -> None:
        """One transaction: a kept block stands elsewhere now."""
        with self.database.write():
            self.database.run("move_items_of_block", start - old_start, block)
            self.database.run("move_block", start, block)

    def seal(self, source: dict[str, Any], wishes: Wishes, redo: Sequence[tuple[int, str]], now: int) -> list[int]:
        """The last transaction: withdraw what is gone, grant the wishes, enter the fingerprints, seal.

        `redo` are finished items that must run again, with the reason. Returns the running items that were withdrawn (to
        be interrupted).
        """
        database, job = self.database, self.job
        interrupted: list[int] = []
        with database.write():
            withdrawn = 0
            for block in self._stale:
                for item, state in database.all("items_of_block", block):
                    if state == ItemState.RUNNING:
                        interrupted.append(item)
                        database.run("withdraw_running_item", item)
                    else:
                        database.run("archive_item", item)
                        database.run("withdraw_item", now, item)
                    withdrawn += 1
                database.run("delete_block", block)
            grant(database, job, wishes, now)
            for item, reason in redo:
                database.run("archive_item", item)
                database.run("rerun_item", reason, item)
            database.run("index_fingerprints", job)
            database.run("seal_job", now, now, json.dumps(source), int(wishes.anew), job)
            database.run("insert_event", now, job, None, None, "job_sealed", json.dumps({"withdrawn": withdrawn}))
            if withdrawn:
                database.run("bump_revision", now, job)
            if (database.one("has_open_items", job) or (0,))[0]:
                database.run("reopen_job", now, job)
            else:
                end_if_finished(database, job, now)
        return interrupted


def grant(database: Database, job: int, wishes: Wishes, now: int) -> None:
    """Inside a write: what a submission asks of the items that are there."""
    database.run("revive_cancelled", job)
    if wishes.fresh:
        database.run("archive_job", job)
        generation = (database.one("new_generation", job) or (1,))[0]
        database.run("reset_items", "a fresh generation", generation, job)
        database.run("renew_running", generation, job)
    if wishes.retry_failed:
        database.run("retry_failed", job, None, None)
    if wishes.force:
        if wishes.force is True:
            database.run("archive_job", job)
            row = database.one("job_by_id", job)
            database.run("reset_items", "forced", row[6] if row else 1, job)
        else:
            for _, item in database.all("item_ids", job, json.dumps(wishes.force)):
                database.run("archive_item", item)
                database.run("rerun_item", "forced", item)
    if wishes.rerun_changed:
        facts = database.one("job_facts", job)
        if facts is not None and facts[6] is not None:
            for (item,) in database.all("finished_before", job, facts[6]):
                database.run("archive_item", item)
                database.run("rerun_item", "the task's code changed", item)


def retry(database: Database, job: int, kind: str | None, keys: Sequence[str] | None, now: int) -> int:
    """Inside a write: failed items are pending again with fresh budgets; returns how many."""
    count = database.run("retry_failed", job, kind, json.dumps(list(keys)) if keys is not None else None)
    if count:
        database.run("reopen_job", now, job)
        database.run("unpause_job", job)
        database.run("uncancel_job", job)  # what was cancelled in it stays so; what is retried must be able to run
        database.run("insert_event", now, job, None, None, "job_retry", json.dumps({"items": count, "kind": kind}))
    return count


def resume(database: Database, job: int, now: int) -> int:
    """Inside a write: a paused job may go on; 1 if it was paused, else 0."""
    count = database.run("unpause_job", job)
    if count:
        database.run("insert_event", now, job, None, None, "job_resumed", None)
    return count


def cancel(database: Database, job: int, now: int) -> int:
    """Inside a write: what is pending is cancelled; returns how many. Running items are the runner's to end."""
    database.run("cancel_job", now, now, job)
    count = database.run("cancel_items", now, job)
    database.run("insert_event", now, job, None, None, "job_cancelled", json.dumps({"items": count}))
    end_if_finished(database, job, now)
    return count
