"""Deleting jobs that ended long ago: whole jobs only, and none whose results another job still stands on."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass

from respool.batch.store.connection import Database


@dataclass(frozen=True, slots=True)
class Pruned:
    """What goes: jobs as (id, name, ended at in UTC microseconds), the number of events, and how many jobs stay because
    others use their results."""

    jobs: list[tuple[int, str, int]]
    events: int
    kept: int


def prunable(database: Database, before: int) -> Pruned:
    """What ended before an instant (UTC microseconds) and can be deleted. A parent goes with its youngest child."""
    ended = [(row[0], row[1], row[2]) for row in database.all("prunable_jobs", before, before)]
    used = {row[0] for row in database.all("jobs_used_by_others")}
    stays = {job for job, _, _ in ended if job in used}
    events = (database.one("count_prunable_events", before) or (0,))[0]
    return Pruned(sorted(row for row in ended if row[0] not in stays), events, len(stays))


def prune_spool(database: Database, before: int) -> Pruned:
    """Delete it, one transaction a job, then the files of results and attempts. Only for the holder of the owner lock.

    Killed in between, whole jobs are gone or there; files that no row names any more are the doctor's to remove.
    """
    found = prunable(database, before)
    for job, _, _ in found.jobs:
        files = [row[0] for row in database.all("result_files_of_job", job)]
        tries = database.all("tries_of_job", job)
        with database.write():
            for statement in (
                "prune_archive", "prune_results", "prune_attempts", "prune_payloads", "prune_items", "prune_blocks",
                "prune_rules", "prune_child_links", "prune_parent_links", "prune_staged", "prune_requests",
                "prune_job_events", "prune_job",
            ):  # fmt: skip
                database.run(statement, job)
        for file in files:
            if database.one("result_file_in_use", file) is None:
                database.places.result(file).unlink(missing_ok=True)
        for item, number in tries:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(database.places.attempt(item, number))
    with database.write():
        database.run("prune_events", before)
    return found
