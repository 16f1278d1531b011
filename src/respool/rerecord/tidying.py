"""What the end of a run leaves in order, whoever ran it: `respool rerecord`, `respool run` with what an earlier run left
open, or the next `respool rerecord` where neither came to its end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from respool.batch.model import Job
from respool.batch.store.connection import Database
from respool.cassette.library import Library
from respool.rerecord import history, report
from respool.rerecord.job import clear_staging, root_of


def tidy(root: Path, database: Database) -> None:
    """Export the failures that the spool holds; clear the project's staging, unless some unit is still to go on from it.

    Doing it twice is doing it once. Raises OSError if it cannot be written.
    """
    library = Library(root)
    report.export(library.state(), history.failure_records(database, history.ended(database)))
    if not history.any_open(database):
        clear_staging(library)


def tidy_after(database: Database, jobs: Iterable[Job]) -> None:
    """The same for each project that one of these `jobs` re-recorded."""
    for root in sorted({root for job in jobs if job.task == history.TASK and (root := root_of(job)) is not None}):
        tidy(root, database)
