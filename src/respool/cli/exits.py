"""The exit codes of `respool`: the one table, what each code means, and which error gives which code.

docs/exit-codes.md is printed from this table: `python -m respool.cli.exits > docs/exit-codes.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from respool.batch.model import ItemState, Job, JobState
from respool.errors import (
    BatchError,
    CassetteBusy,
    CassetteError,
    CassetteMissing,
    CassetteUnreadable,
    JobFailed,
    JobNotFound,
    NothingMatches,
    RespoolError,
    SpoolBusy,
    SpoolUnreadable,
    SpoolUnwritable,
    TaskNotFound,
    UsageError,
)


class Exit(IntEnum):
    """What a `respool` command ends with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING_MATCHES = 3
    BUSY = 4
    UNREADABLE = 5
    UNFINISHED = 6
    BUG = 70
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class Meaning(NamedTuple):
    """One row of the table: what happened, and what to do."""

    what: str
    then: str


MEANINGS: dict[Exit, Meaning] = {
    Exit.DONE: Meaning(
        "All done. Also: there was nothing left to do.",
        "Nothing.",
    ),
    Exit.FAILED: Meaning(
        "The work has ended, and some items failed, in this run or before.",
        "`respool jobs items JOB --state failed` shows why; the same command with `--retry-failed`, or "
        "`respool jobs retry JOB`, tries them again. `respool doctor`, `respool cassettes check`: a warning or an error "
        "remains (after `--undo` that is only told: it ends with 0 when things are back as they were).",
    ),
    Exit.USAGE: Meaning(
        "The call is wrong: an option, a spec, an item, a task that is not there. Nothing was run.",
        "Mend what the message names.",
    ),
    Exit.NOTHING_MATCHES: Meaning(
        "What was named does not exist: a job, a key of `--only`, a cassette, a test file to re-record.",
        "`respool jobs list`, `respool jobs items JOB`.",
    ),
    Exit.BUSY: Meaning(
        "A live runner holds the spool (a submission was stored, and that runner does it), or another process a "
        "cassette.",
        "`respool jobs watch JOB`, or the same command with `--watch`.",
    ),
    Exit.UNREADABLE: Meaning(
        "The spool, or a cassette, cannot be used: damaged, written by a newer respool, none at all, read-only, or the disk "
        "is full. What was committed is safe; nothing is overwritten.",
        "`respool doctor`.",
    ),
    Exit.UNFINISHED: Meaning(
        "It stopped before the end by itself: paused by the breaker, a quota, a long wait or the job's own timeout; or "
        "the runner that was being watched, or the cluster, is gone.",
        "The message says what it waits for and until when; then the same command again.",
    ),
    Exit.BUG: Meaning(
        "An error in respool itself. What was committed is safe.",
        "Run it again with `RESPOOL_TRACEBACK=1` and report what it prints.",
    ),
    Exit.INTERRUPTED: Meaning(
        "Ended by Ctrl-C (SIGINT).",
        "The same command again goes on where it stopped.",
    ),
    Exit.READER_GONE: Meaning(
        "Whoever read the output closed it, as `| head` does.",
        "Nothing.",
    ),
    Exit.TERMINATED: Meaning(
        "Ended by SIGTERM or by a closed terminal. Other signals give 128 + their number.",
        "The same command again goes on where it stopped.",
    ),
}

# The first row that fits decides, so that a class stands before its base.
_CODES: tuple[tuple[type[RespoolError], Exit], ...] = (
    (JobNotFound, Exit.NOTHING_MATCHES),
    (CassetteMissing, Exit.NOTHING_MATCHES),
    (NothingMatches, Exit.NOTHING_MATCHES),
    (CassetteBusy, Exit.BUSY),
    (CassetteUnreadable, Exit.UNREADABLE),
    (CassetteError, Exit.FAILED),
    (TaskNotFound, Exit.USAGE),
    (SpoolBusy, Exit.BUSY),
    (SpoolUnreadable, Exit.UNREADABLE),
    (SpoolUnwritable, Exit.UNREADABLE),
    (JobFailed, Exit.FAILED),
    (UsageError, Exit.USAGE),
    (BatchError, Exit.UNFINISHED),  # a cluster that went away: what was committed is safe, the next run goes on
)


def exit_of_error(error: RespoolError) -> Exit:
    """The code of an error.

    >>> exit_of_error(UsageError("no such option"))
    <Exit.USAGE: 2>
    """
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.BUG)


def exit_of_signal(number: int) -> int:
    """The code of a run that a signal ended: 128 + its number, as a shell says it. A closed terminal counts as SIGTERM.

    >>> exit_of_signal(2)
    130
    """
    hangup = 1
    return int(Exit.TERMINATED) if number == hangup else 128 + number


def exit_of_jobs(jobs: Iterable[Job], paused: Iterable[int] = ()) -> Exit:
    """The code of jobs that are not being run any more; `paused` are the ids that stopped by themselves.

    What can still be finished comes before what failed: a script that sees 6 comes back, one that sees 1 looks at it.
    """
    jobs = list(jobs)
    if set(paused) or any(job.filling or job.state() is JobState.PAUSED for job in jobs):
        return Exit.UNFINISHED
    return Exit.FAILED if any(job.counts.get(ItemState.FAILED, 0) for job in jobs) else Exit.DONE


def page() -> str:
    """The text of docs/exit-codes.md."""
    lines = [
        "# Exit codes",
        "",
        "<!-- Printed by `python -m respool.cli.exits`: change src/respool/cli/exits.py, not this page. -->",
        "",
        "Every command of `respool` ends with one of these. If several fit, the first of 130/143, 6, 1, 0 does.",
        "",
        "| code | what happened | what to do |",
        "|---|---|---|",
        *(f"| {int(code)} | {meaning.what} | {meaning.then} |" for code, meaning in MEANINGS.items()),
        "",
        "An error is printed to stderr: what happened, then `where`, `why` and `next` (what to type), if known.",
        'With `--json` the same is on stdout: `{"error": {"what", "where", "why", "next"}, "exit"}`.',
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
