"""Opening a spool to look at it: which spool is meant, which job is meant, whether somebody runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from respool.batch.model import Job
from respool.batch.places import Places
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.cli.options import places_of
from respool.cli.spec_name import job_name
from respool.errors import JobNotFound
from respool.files import FileLock

A_JOB = click.argument("name", metavar="JOB")


@contextmanager
def reader(spool: str | None, rehearsal: bool) -> Iterator[Database]:
    """A read-only connection to the spool that is meant."""
    with Database.open(places_of(spool, rehearsal=rehearsal), read_only=True) as database:
        yield database


def find(database: Database, name: str) -> Job:
    """A job by its number or name, or by the path of its spec from here. Raises JobNotFound."""
    names = [name, job_name(Path(name))] if name.endswith(".toml") else [name]
    for each in names:
        with contextlib.suppress(JobNotFound):
            return reading.job(database, each)
    raise JobNotFound(f"no job {name!r}", where=str(database.places.database), command="respool jobs list")


def runner_alive(places: Places) -> bool:
    """Whether a live runner holds the spool."""
    return not FileLock(places.owner_lock).is_free()
