"""What a product says of its own jobs, better than counts of items can: the message and the tally of summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respool.batch.model import Job
from respool.batch.store.connection import Database
from respool.batch.store.followups import EXPANSION_KEY

if TYPE_CHECKING:
    from respool.summaries.result import Tally

SUMMARIES = "respool.summaries."  # their tasks' names begin so; what they need is loaded for their jobs only


def running_message(job: Job, latest: str | None) -> str | None:
    """What a job of summaries says while it runs; `latest` is the key that was begun last. None for other jobs."""
    if not job.task.startswith(SUMMARIES):
        return None
    from respool.summaries.result import message
    from respool.summaries.tasks import GENERATION

    if job.task != GENERATION:
        return None
    return message(job.counts, None if latest == EXPANSION_KEY else latest)


def tally_of(database: Database, job: Job) -> Tally | None:
    """How a job of summaries counts its clusters, rejected ones among them; None for other jobs."""
    if not job.task.startswith(SUMMARIES):
        return None
    from respool.summaries.result import tally
    from respool.summaries.tasks import GENERATION

    return tally(database, job) if job.task == GENERATION else None
