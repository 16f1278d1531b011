"""Deleting what is old: jobs that ended long ago, whole and only if no other job stands on their results; in the jobs
that stay, the tries that later ones have superseded; events, requests and sessions."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from respool.batch.store.connection import Database

GROUP = 20_000  # tries to a transaction, or one job that has more
STATEMENTS = (
    "prune_archive", "prune_results", "prune_attempts", "prune_payloads", "prune_items", "prune_blocks", "prune_rules",
    "prune_child_links", "prune_parent_links", "prune_staged", "prune_requests", "prune_job_events", "prune_job",
)  # fmt: skip
Progress = Callable[[int, int], None]
"""Told (jobs that are deleted, of how many)."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What goes: jobs as (id, name, ended at in UTC microseconds); in the jobs that stay, the number of superseded tries
    (a later one of the same item followed, and nobody uses their results); and the number of events. `kept` is how many
    jobs stay because others use their results."""

    jobs: list[tuple[int, str, int]]
    tries: int
    events: int
    kept: int


def prunable(database: Database, before: int) -> Pruned:
    """What ended before an instant (UTC microseconds) and can be deleted. A parent goes with its youngest child."""
    ended = [(row[0], row[1], row[2]) for row in database.all("prunable_jobs", before, before)]
    used = {row[0] for row in database.all("jobs_used_by_others")}
    stays = {job for job, _, _ in ended if job in used}
    jobs = sorted(row for row in ended if row[0] not in stays)
    gone = {job for job, _, _ in jobs}
    tries = sum(row[0] not in gone for row in database.each("superseded_tries", before))
    events = (database.one("count_prunable_events", before) or (0,))[0]
    return Pruned(jobs, tries, events, len(stays))


def prune_spool(database: Database, before: int, progress: Progress | None = None) -> Pruned:
    """Delete it, many small jobs to a transaction, then the files of results and attempts. Only for the holder of the
    owner lock. `progress` is told after each transaction.

    Killed in between, whole jobs are gone or there, and the same call goes on; files that no row names any more are the
    doctor's to remove.
    """
    found = prunable(database, before)
    left = [job for job, _, _ in found.jobs]
    while left:
        group, tries, files = list[int](), list[tuple[int, int]](), list[str]()
        while left and (not group or len(tries) < GROUP):
            group.append(left.pop(0))
            tries += [(row[0], row[1]) for row in database.all("tries_of_job", group[-1])]
            files += [row[0] for row in database.all("result_files_of_job", group[-1])]
        with database.write():
            for job in group:
                for statement in STATEMENTS:
                    database.run(statement, job)
        _remove_files(database, tries, files)
        if progress is not None:
            progress(len(found.jobs) - len(left), len(found.jobs))
    superseded = _prune_tries(database, before)
    with database.write():
        for statement in ("prune_events", "prune_staged_of_done", "prune_done_requests", "prune_sessions"):
            database.run(statement, before)
    return replace(found, tries=superseded)


def _prune_tries(database: Database, before: int) -> int:
    superseded = database.all("superseded_tries", before)
    tries = [(item, number) for _, item, number, _ in superseded]
    with database.write():
        for statement in ("prune_archive_of_try", "prune_result_of_try", "prune_try"):
            database.many(statement, tries)
    _remove_files(database, tries, [file for *_, file in superseded if file is not None])
    return len(tries)


def _remove_files(database: Database, tries: Iterable[tuple[int, int]], results: Iterable[str]) -> None:
    for file in results:
        if database.one("result_file_in_use", file) is None:
            database.places.result(file).unlink(missing_ok=True)
    for item, number in tries:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(database.places.attempt(item, number))
