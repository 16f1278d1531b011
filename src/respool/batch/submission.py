"""A submission from its source to its seal: applied by the holder of the spool, staged by everybody else.

An unchanged source costs one pass over its bytes; a changed one costs its changed blocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from respool.batch.blocks import Placement, Stored, place
from respool.batch.declaration import Task
from respool.batch.model import Output, Row
from respool.batch.reconcile import Change
from respool.batch.sources import Source, basis
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.intake import Declaration, Merge, Wishes, declare, open_job, stored_blocks, twice
from respool.clock import Clock

Intact = Callable[[Sequence[Output]], bool]
Progress = Callable[[int, int], None]
"""Told (bytes or rows taken in, of how many)."""


@dataclass(slots=True)
class Report:
    """What a submission did. `running_changed`, `running_returned` (they had been withdrawn) and `withdrawn_running`
    concern items that were running meanwhile."""

    job: int
    changes: dict[Change, int] = field(default_factory=dict)
    unchanged: bool = False
    running_changed: set[int] = field(default_factory=set)
    running_returned: set[int] = field(default_factory=set)
    withdrawn_running: list[int] = field(default_factory=list)


def declaration_of(
    task: Task, name: str, source: Source, rules: Sequence[tuple[Task, str]] = (), extra: dict[str, Any] | None = None
) -> Declaration:
    """The declaration of a job for `task`; `extra` settings (a job's own timeout) go in beside the task's."""
    return Declaration(
        name=name, task=task.name, version=task.version, settings={**task.to_settings(), **(extra or {})},
        source=source.about, source_digest=task.source_digest,
        rules=tuple((follow.name, follow.version, follow.to_settings(), on) for follow, on in (*rules, *task.then)),
    )  # fmt: skip


def apply(
    database: Database, declaration: Declaration, task: Task, source: Source, wishes: Wishes, intact: Intact,
    clock: Clock, progress: Progress | None = None,
) -> Report:  # fmt: skip
    """Bring a job up to date with its source, as the holder of the owner lock.

    Raises UsageError for a row that is no item or a key that is there twice; what was committed before stays, and the
    job is not run until it is sealed.
    """
    ground = basis(task, json.dumps(source.about, sort_keys=True))
    whole = source.whole_digest(ground)
    about = {**source.about, "digest": whole}
    known = database.one("job_by_name", declaration.name)
    if known is not None and known[9] is not None and json.loads(known[5]).get("digest") == whole:
        return _unchanged(database, declaration, about, wishes, intact, clock)
    spans = source.spans(ground)
    total = sum(span.size for span in spans)
    # A source that is one block is read before anything is written: its errors leave no trace at all.
    first = source.rows(spans[0], task) if len(spans) == 1 else None
    job = open_job(database, declaration, clock.now(), newest=True)
    merge, plan, stored = _placed(database, job, [span.digest for span in spans])
    report = _report_of(merge)
    done = 0
    for placement in plan:
        span = spans[placement.ordinal]
        if placement.kept is None:
            rows = first if first is not None else source.rows(span, task)
            for change, count in merge.block(span.digest, placement.start, rows, source.where_is).items():
                report.changes[change] += count
        else:
            _move(merge, stored[placement.kept], placement)
        done += span.size
        if progress is not None:
            progress(done, total)
    report.withdrawn_running = merge.seal(about, wishes, list(broken_outputs(database, job, intact)), clock.now())
    return report


def _unchanged(
    database: Database, declaration: Declaration, about: dict[str, Any], wishes: Wishes, intact: Intact, clock: Clock
) -> Report:
    job = open_job(database, declaration, clock.now(), newest=True)
    merge = Merge(database, job, ())
    merge.seal(about, wishes, list(broken_outputs(database, job, intact)), clock.now())
    return Report(job, unchanged=True)


def _placed(
    database: Database, job: int, digests: Sequence[str]
) -> tuple[Merge, list[Placement], dict[int, Stored]]:  # fmt: skip
    stored = stored_blocks(database, job)
    plan = place(stored, digests)
    kept = {placement.kept for placement in plan}
    merge = Merge(database, job, [block.id for block in stored if block.id not in kept])
    return merge, plan, {block.id: block for block in stored}


def _report_of(merge: Merge) -> Report:
    """The report that the merge goes on to fill."""
    return Report(
        merge.job, dict.fromkeys(Change, 0), running_changed=merge.running_changed,
        running_returned=merge.running_returned,
    )  # fmt: skip


def _move(merge: Merge, block: Stored, placement: Placement) -> None:
    if block.start != placement.start:
        merge.move(block.id, block.start, placement.start)


def broken_outputs(database: Database, job: int, intact: Intact) -> Iterator[tuple[int, str]]:
    """Finished items of a job whose produced files are missing or altered, with the reason to run them again."""
    for item, outputs in database.all("finished_with_outputs", job):
        if not intact([Output(*output) for output in json.loads(outputs)]):
            yield item, "a file that it produced is missing or altered"


def stage(
    database: Database, declaration: Declaration, task: Task, source: Source, wishes: Wishes, clock: Clock
) -> tuple[int, int]:
    """Store a submission for the live runner to apply; returns (job, request).

    The declaration of a known job is applied with the items: until then the runner works by the old one. Raises UsageError
    for a row that is no item or a key that is there twice: the sender would not hear of it from the runner.
    """
    ground = basis(task, json.dumps(source.about, sort_keys=True))
    about = {**source.about, "digest": source.whole_digest(ground)}
    spans = source.spans(ground)
    seen: set[str] = set()
    # As in `apply`, the errors of a source that is one block leave no trace.
    first = _unique(source.rows(spans[0], task), seen, source) if len(spans) == 1 else None
    now = clock.now()
    arguments = json.dumps(
        {"declaration": _declaration_data(declaration), "wishes": wishes.to_data(), "about": about, "name": source.name}
    )
    with database.write():
        known = database.one("job_by_name", declaration.name)
        job = known[0] if known else declare(database, declaration, now)
        request = database.insert("insert_request", now, "submit", job, arguments, None)
    plan = place(stored_blocks(database, job), [span.digest for span in spans])
    for placement in plan:
        span = spans[placement.ordinal]
        rows = None
        if placement.kept is None:
            found = first if first is not None else _unique(source.rows(span, task), seen, source)
            rows = json.dumps([[row.key, row.payload, row.fingerprint] for row in found])
        with database.write():
            database.run(
                "stage_block", request, placement.ordinal, span.digest, placement.start, placement.kept, rows
            )  # fmt: skip
    with database.write():
        database.run("ready_request", clock.now(), request)
    return job, request


def _unique(rows: list[Row], seen: set[str], source: Source) -> list[Row]:
    """The rows, if none of their keys has been `seen`."""
    for row in rows:
        if row.key in seen:
            raise twice(row.key, source.where_is)
        seen.add(row.key)
    return rows


def apply_staged(database: Database, request: int, arguments: str, intact: Intact, clock: Clock) -> Report:
    """Apply what somebody staged, as the holder of the owner lock. Raises as `apply` does."""
    data = json.loads(arguments)
    declaration = Declaration(
        **{**data["declaration"], "rules": tuple(tuple(rule) for rule in data["declaration"]["rules"])}
    )
    staged = database.all("staged_blocks", request)
    job = open_job(database, declaration, clock.now())
    merge, plan, stored = _placed(database, job, [digest for _, digest, _, _ in staged])
    report = _report_of(merge)
    for placement in plan:
        if placement.kept is not None:
            _move(merge, stored[placement.kept], placement)
            continue
        ordinal, digest, _, _ = staged[placement.ordinal]
        rows_text = (database.one("staged_rows", request, ordinal) or (None,))[0]
        if rows_text is None:
            # The job changed between staging and now, so a block that was to be kept is gone: the sender must resend.
            raise LookupError(f"block {ordinal} of the submission is no longer in the spool")
        rows = [Row(*row) for row in json.loads(rows_text)]
        for change, count in merge.block(digest, placement.start, rows, lambda _: str(data["name"])).items():
            report.changes[change] += count
    report.withdrawn_running = merge.seal(
        data["about"], Wishes.from_data(data["wishes"]), list(broken_outputs(database, job, intact)), clock.now()
    )
    return report


def _declaration_data(declaration: Declaration) -> dict[str, Any]:
    return {name: getattr(declaration, name) for name in declaration.__slots__}


def apply_pairs(
    database: Database, job: int, task: Task, pairs: Source, intact: Intact, clock: Clock
) -> Report:  # fmt: skip
    """Bring a follow-up's items up to date with what its expansion gave."""
    stored = stored_blocks(database, job)
    merge = Merge(database, job, [block.id for block in stored])
    ground = basis(task, "follow-up")
    report = _report_of(merge)
    start = (stored[-1].start if stored else -(1 << 32)) + (1 << 32)
    for span in pairs.spans(ground):
        merge.block(span.digest, start, pairs.rows(span, task), pairs.where_is)
        start += 1 << 32
    current = reading.job(database, job)
    redo = list(broken_outputs(database, job, intact))
    report.withdrawn_running = merge.seal(current.source, Wishes(), redo, clock.now())
    return report
