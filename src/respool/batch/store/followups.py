"""The end of a job, and the creation of what follows it, in the same transaction.

A child job is one row and one item, `@items`: running that item makes the child's real items from the parent's results,
so no user code runs inside a transaction. There is one child for each rule; a parent that ends again with other results
brings its child up to date.
"""

from __future__ import annotations

import json
from typing import Any

from respool.batch.declaration import PARENT
from respool.batch.store.connection import Database
from respool.canonical import digest

EXPANSION_KEY = "@items"


def end_if_finished(database: Database, job: int, now: int) -> bool:
    """Inside a write: end `job` if it is sealed and nothing of it is pending or running; True if it ended now."""
    facts = database.one("job_facts", job)
    if facts is None or facts[0] is None or (database.one("has_open_items", job) or (1,))[0]:
        return False
    database.run("end_job", now, now, job)
    counts = dict(database.all("counts", job))
    database.run("insert_event", now, job, None, None, "job_ended", json.dumps(counts))
    deliver_followups(database, job, now)
    return True


def deliver_followups(database: Database, job: int, now: int) -> list[int]:
    """Inside a write: create, or bring up to date, the children of an ended job; the children that will now run.

    Once per completion that changed the parent's results: a rule remembers the revision that it was delivered for.
    """
    facts = database.one("job_facts", job)
    parent = database.one("job_by_id", job)
    if facts is None or parent is None:
        return []
    revision, created = facts[1], []
    for ordinal, task, version, settings, run_on, child, delivered in database.all("rules", job):
        if delivered == revision or (run_on == "success" and not _succeeded(database, job)):
            continue
        declared = json.loads(settings)
        if child is None:
            template = declared.get("follows_as", f"{PARENT} > {task}")
            name, child = _child(database, template.replace(PARENT, parent[1]), job, task)
        before = None if child is None else database.one("job_by_id", child)
        if child is None:
            source = json.dumps({"kind": "follow-up", "parent": job, "rule": ordinal})
            child = database.insert("insert_job", name, task, version, settings, source, job, now, now)
        database.run("update_job", task, version, settings, now, child)
        note_code(database, child, declared.get("source_digest"), version, before, now)
        for position, rule in enumerate(declared.get("then", ())):
            database.run("save_rule", child, position, *rule[:2], json.dumps(rule[2], sort_keys=True), rule[3])
        _expect_items(database, child, job, revision)
        database.run("deliver_rule", child, revision, job, ordinal)
        database.run("reopen_job", now, child)
        data = json.dumps({"child": child, "task": task, "on": run_on})
        database.run("insert_event", now, job, None, None, "followup_created", data)
        created.append(child)
    return created


def note_code(
    database: Database, job: int, code: str | None, version: str, before: tuple[Any, ...] | None, now: int
) -> None:  # fmt: skip
    """Inside a write: keep the digest of the code that now makes the results of a job, whose row was `before`.

    If another one is known, what ended before now was made by other code, unless the version changed with it.
    """
    known = None if before is None else before[17]
    if before is None or code != known:
        since = now if known is not None and before is not None and version == before[3] else None
        database.run("note_code", code, since, job)


def _child(database: Database, label: str, parent: int, task: str) -> tuple[str, int | None]:
    """A name for the child of a job, and the child that has it already: of a rule that was gone for a while.

    Any other job of that name stays what it is: the child is then called "label (2)", and so on.
    """
    name, number = label, 1
    while (known := database.one("job_by_name", name)) is not None:
        if (known[2], known[16]) == (task, parent):
            return name, known[0]
        number += 1
        name = f"{label} ({number})"
    return name, None


def _succeeded(database: Database, job: int) -> bool:
    """No item failed, and none was cancelled by somebody (withdrawn ones are no longer part of the job)."""
    if (database.one("has_state", job, "failed") or (1,))[0] or (database.one("has_cancelled_items", job) or (1,))[0]:
        return False
    row = database.one("job_by_id", job)
    return row is not None and row[14] is None


def _expect_items(database: Database, child: int, parent: int, revision: int) -> None:
    """Give the child its first item, or make that item pending again."""
    payload: dict[str, Any] = {"parent": parent, "revision": revision}
    text = json.dumps(payload, separators=(",", ":"), sort_keys=True)
    fingerprint = digest("respool:expansion", str(child), text)
    row = database.one("expansion_item", child)
    if row is None:
        item = (database.one("last_item_id") or (0,))[0] + 1
        database.run("insert_item", item, child, EXPANSION_KEY, fingerprint, None, -(1 << 62), "follow-up", 1)
        database.run("insert_payload", item, text)
        return
    if row[1] != "running":
        database.run("change_item", fingerprint, None, -(1 << 62), "the parent's results changed", row[0])
    database.run("replace_payload", text, row[0])
