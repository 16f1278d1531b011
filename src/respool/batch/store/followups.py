"""The end of a job, and the creation of what follows it, in the same transaction.

A child job is one row and one item, `@items`: running that item makes the child's real items from the parent's results,
so no user code runs inside a transaction. There is one child for each rule; a parent that ends again with other results
brings its child up to date.
"""

from __future__ import annotations

import json
from typing import Any

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
        if child is None:
            name = f"{parent[1]} > {task}"
            source = json.dumps({"kind": "follow-up", "parent": job, "rule": ordinal})
            known = database.one("job_by_name", name)
            child = known[0] if known else database.insert("insert_job", name, task, version, settings, source, job, now, now)
        database.run("update_job", task, version, settings, now, child)
        for position, rule in enumerate(json.loads(settings).get("then", ())):
            database.run("save_rule", child, position, *rule[:2], json.dumps(rule[2], sort_keys=True), rule[3])
        _expect_items(database, child, job, revision)
        database.run("deliver_rule", child, revision, job, ordinal)
        database.run("reopen_job", now, child)
        data = json.dumps({"child": child, "task": task, "on": run_on})
        database.run("insert_event", now, job, None, None, "followup_created", data)
        created.append(child)
    return created


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
