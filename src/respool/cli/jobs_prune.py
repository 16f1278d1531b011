"""`respool jobs prune`: delete jobs that ended long ago, with all that is theirs, and old tries that are superseded."""

from __future__ import annotations

import sys

import click

from respool.batch.migrations import open_spool
from respool.batch.store.pruning import Pruned, prunable, prune_spool
from respool.cli import options
from respool.cli.exits import Exit
from respool.cli.options import option
from respool.cli.reader import reader
from respool.cli.talk import columns, moment, put, put_json, say
from respool.clock import MICROSECONDS, SYSTEM
from respool.config import parse_duration
from respool.errors import SpoolBusy, UsageError
from respool.files import FileLock
from respool.phrases import counted

EVERY = 2.0  # seconds between two words of progress


@click.command("prune")
@option("--older", required=True, metavar="DUR", help='What ended longer ago than this, such as "90d".')
@option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@option("--yes", is_flag=True, help="Do not ask.")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def prune(older: str, dry_run: bool, yes: bool, spool: str | None, rehearsal: bool, as_json: bool) -> int:
    """Delete jobs that ended before --older, and older events; in the jobs that stay, older tries (with their output)
    that a later try of the same item has superseded. A job stays while another one still uses its results."""
    before = SYSTEM.now() - round(parse_duration(older, what="--older") * MICROSECONDS)
    with reader(spool, rehearsal) as database:
        found = prunable(database, before)
    if not as_json:
        for line in columns([(str(job), name, moment(ended)) for job, name, ended in found.jobs]):
            put(line)
    say(f"{_number(found)} are older than {older}")
    if found.kept:
        say(f"{counted(found.kept, 'more job is', 'more jobs are')} as old, but others use the results: so they stay")
    if dry_run or not (found.jobs or found.tries or found.events):
        return _told(found, as_json, deleted=False)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("deleting needs a yes", command=f"respool jobs prune --older {older} --yes")
        if not click.confirm("delete them?", err=True):
            return _told(found, as_json, deleted=False)
    places = options.places_of(spool, rehearsal=rehearsal)
    lock = FileLock(places.owner_lock)
    if not lock.acquire():
        raise SpoolBusy(
            "a live runner holds the spool", where=str(places.database), why="it may be using what would be deleted",
            command="respool jobs prune, when it has ended",
        )  # fmt: skip
    progress = _Progress(len(found.jobs))
    try:
        with open_spool(places, lock) as writer:
            found = prune_spool(writer, before, progress)
    except KeyboardInterrupt:
        say(f"{progress}; the others are as they were")
        raise
    finally:
        lock.release()
    say(f"deleted {_number(found)}")
    return _told(found, as_json, deleted=True)


class _Progress:
    """How far the deleting is: told every other second."""

    def __init__(self, total: int) -> None:
        self._done, self._total, self._told = 0, total, SYSTEM.monotonic()

    def __call__(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        now = SYSTEM.monotonic()
        if now - self._told >= EVERY and done < total:
            self._told = now
            say(str(self))

    def __str__(self) -> str:
        return f"deleted {self._done} of {counted(self._total, 'job')}"


def _number(found: Pruned) -> str:
    tries = counted(found.tries, "superseded try", "superseded tries")
    return f"{counted(len(found.jobs), 'job')}, {tries} and {counted(found.events, 'event')}"


def _told(found: Pruned, as_json: bool, *, deleted: bool) -> int:
    if as_json:
        jobs = [job for job, _, _ in found.jobs]
        put_json({"deleted": deleted, "jobs": jobs, "tries": found.tries, "events": found.events})
    return int(Exit.DONE)
