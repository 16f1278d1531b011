"""What is said when a run has ended: one line for each job, what to do next, and the exit code."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import Any

from respool.batch.documents import job_data
from respool.batch.model import ItemState, Job
from respool.batch.store.connection import Database
from respool.cli.exits import Exit, exit_of_jobs, exit_of_signal
from respool.cli.options import same_spool
from respool.cli.talk import counts_text, moment, put_json, say, seconds_text
from respool.phrases import counted

Counts = Mapping[ItemState, int]
SUMMARIES = "respool.summaries.tasks:llm_generation"
FINISHED = (ItemState.DONE, ItemState.CACHED, ItemState.SKIPPED, ItemState.FAILED)


def failure_kinds(database: Database, job: Job) -> dict[str, int]:
    """How many failed items of a job there are of each kind, the most frequent first."""
    if not job.counts.get(ItemState.FAILED, 0):
        return {}
    return dict(database.all("failure_kinds", job.id))


def close(
    database: Database, jobs: Iterable[Job], *, seconds: float, signal_number: int | None = None,
    paused: Mapping[int, str] | None = None, now: Mapping[int, Counts] | None = None, as_json: bool = False,
    note: Mapping[str, Any] | None = None, last_word: int | None = None,
) -> int:  # fmt: skip
    """Say how `jobs` stand, on stderr and with `as_json` on stdout; the exit code. By job: `paused` are reasons, `now`
    the items that have ended in this run, where that is known. The caller has the last word on the job `last_word`."""
    jobs, paused = list(jobs), dict(paused or {})
    code = int(exit_of_jobs(jobs, paused)) if signal_number is None else exit_of_signal(signal_number)
    kinds = {job.id: failure_kinds(database, job) for job in jobs}
    split = {job.id: now_and_before(job.counts, now[job.id]) for job in jobs if now is not None and job.id in now}
    for job in jobs:
        if job.skipped_reason is not None:
            say(f"{job.name} #{job.id}: skipped: {job.skipped_reason}")
            continue
        when = _when(job, *split[job.id]) if job.id in split else ""
        say(f"{job.name} #{job.id}: {counts_text(job.counts, kinds[job.id])} in {seconds_text(seconds)}{when}")
        for line in hints(database, job, paused.get(job.id, job.paused_reason)):
            say(f"  {line}")
        for line in _own_words(database, job) if job.id != last_word else ():
            say(line)
    if not jobs:
        say("nothing to do: no job is open")
    if signal_number is not None:
        say(f"ended by {signal.Signals(signal_number).name}; the same command again goes on where it stopped")
    if as_json:
        listed = [
            {**job_data(job), "failed_kinds": kinds[job.id], "code_changed": made_by_other_code(database, job),
             **dict(zip(("now", "before"), split.get(job.id, (None, None)), strict=True))}
            for job in jobs
        ]  # fmt: skip
        data = {"jobs": listed, "exit": code, "seconds": round(seconds, 3), "signal": signal_number}
        put_json({**data, **(note or {})})
    return code


def _own_words(database: Database, job: Job) -> list[str]:
    """What a product has to say of a job of its own."""
    if job.task != SUMMARIES:
        return []
    from respool.summaries.result import closing_lines

    return closing_lines(database, job)


def now_and_before(counts: Counts, now: Counts) -> tuple[Counts, Counts]:
    """What of the finished items in `counts` ended `now`, in this run, and what had ended before it.

    >>> now_and_before({ItemState.DONE: 3, ItemState.PENDING: 2}, {ItemState.DONE: 1})
    ({<ItemState.DONE: 'done'>: 1}, {<ItemState.DONE: 'done'>: 2})
    """
    ended = {state: min(now.get(state, 0), counts.get(state, 0)) for state in FINISHED}
    earlier = {state: counts.get(state, 0) - ended[state] for state in FINISHED}
    return {state: many for state, many in ended.items() if many}, {state: many for state, many in earlier.items() if many}


def _when(job: Job, now: Counts, before: Counts) -> str:
    if not now and not job.counts.get(ItemState.PENDING, 0):
        return "; nothing had to run"
    return f" (now {counts_text(now) if now else 'nothing'}; before {counts_text(before)})" if before else ""


def hints(database: Database, job: Job, paused: str | None) -> list[str]:
    """What somebody who sees this job's line should know, and what to type."""
    lines = []
    if job.filling:
        lines.append("its submission did not come to its end, so nothing of it runs: submit it again")
    failed = job.counts.get(ItemState.FAILED, 0)
    if failed:
        there = same_spool(database.places)
        again = "rehearse again" if "--rehearsal" in there else f"respool run{there}"
        lines.append(f"{failed} failed: respool jobs items {job.id} --state failed{there}")
        lines.append(f"to try them again: respool jobs retry {job.id}{there}, then {again}")
    if paused is not None:
        until = f" (from {moment(job.resume_at)} on)" if job.resume_at is not None else ""
        lines.append(f"paused: {paused}{until}")
    changed = made_by_other_code(database, job)
    if changed:
        lines.append(
            f"the code of {job.task} changed under the same version {job.version!r}; "
            f"{counted(changed, 'result is', 'results are')} of the code before; "
            "to make them again: --rerun-changed, or another version"
        )
    return lines


def made_by_other_code(database: Database, job: Job) -> int:
    """How many results of a job were made by code that changed since under the same version."""
    facts = database.one("job_facts", job.id)
    if facts is None or facts[6] is None:
        return 0
    row = database.one("count_finished_before", job.id, facts[6])
    return int(row[0]) if row else 0


def code_of(jobs: Iterable[Job]) -> Exit:
    """The code of jobs that somebody else ran."""
    return exit_of_jobs(jobs)
