"""How a job of summaries stands: its message while it runs, its counts when it has ended, and what it has cost.

The judge's job is read together with it: a cluster whose summary was rejected is counted as that, and as nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from respool.batch.model import OPEN_STATES, Item, ItemState, Job
from respool.batch.places import FILES
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.clusters.record import Record
from respool.errors import UsageError
from respool.summaries.costs import total_cost
from respool.summaries.exchanges import FILE, Exchange
from respool.summaries.provider import Usage
from respool.summaries.tasks import GENERATION, JUDGEMENT

GENERATING = "Generating LLM summaries for clusters..."


@dataclass(frozen=True, slots=True)
class Tally(Record):
    """Every cluster is counted once, so `total` is the sum of the others. `skipped` were there already: cache hits."""

    total: int
    succeeded: int
    failed: int
    skipped: int
    rejected: int
    cancelled: int
    remaining: int

    def __str__(self) -> str:
        rejected = f", {self.rejected} rejected" if self.rejected else ""
        return f"Done: {self.succeeded} succeeded, {self.failed} failed, {self.skipped} cached{rejected}"


@dataclass(frozen=True, slots=True)
class Spent(Record):
    """What calls took, failed ones too: how many were answered, tokens, dollars (None if any price is unknown)."""

    calls: int
    usage: Usage
    cost: float | None


def message(counts: Mapping[ItemState, int], cluster: str | None) -> str:
    """What a running job says: `cluster` is the key of the one that was begun last, or None before the first.

    >>> message({ItemState.DONE: 2, ItemState.RUNNING: 1, ItemState.PENDING: 4}, "3")
    'Cluster 3 (3/7)'
    """
    if cluster is None:
        return GENERATING
    total = sum(number for state, number in counts.items() if state is not ItemState.CANCELLED)
    settled = total - sum(counts.get(state, 0) for state in OPEN_STATES)
    return f"Cluster {cluster} ({min(settled + 1, total)}/{total})"


def tally(database: Database, job: Job, *, found: Collection[str] = ()) -> Tally:
    """The counts of a job of summaries; `found` are the clusters that were finished before it was asked for (again)."""
    done = frozenset(reading.keys(database, job.id, ItemState.DONE))
    there = done & frozenset(found)
    for state in (ItemState.CACHED, ItemState.SKIPPED):
        there |= frozenset(reading.keys(database, job.id, state))
    rejected = rejections(database, job) & (done | there)
    count = job.counts.get
    return Tally(
        sum(job.counts.values()), len(done - there - rejected), count(ItemState.FAILED, 0), len(there - rejected),
        len(rejected), count(ItemState.CANCELLED, 0), sum(count(state, 0) for state in OPEN_STATES),
    )  # fmt: skip


def rejections(database: Database, job: Job) -> frozenset[str]:
    """The keys whose summary a judge rejected."""
    judged = judge_of(database, job)
    if judged is None:
        return frozenset()
    return frozenset(key for key, _, result in reading.results(database, judged.id) if result and result["rejected"])


def judge_of(database: Database, job: Job) -> Job | None:
    """The judging job that follows a job of summaries, if there is one."""
    children = (reading.job(database, child) for child in reading.descendants(database, job.id) if child != job.id)
    return next((child for child in children if child.task == JUDGEMENT), None)


def spent(database: Database, job: Job) -> Spent:
    """What this job's calls took, in all of its runs."""
    calls = [one for item in reading.items(database, job.id) for one in calls_of(database, item) if one.answered]
    return Spent(len(calls), sum((one.usage for one in calls), Usage()), total_cost(one.cost for one in calls))


def calls_of(database: Database, item: Item) -> Iterator[Exchange]:
    """The calls of an item's tries that were written down, the first first."""
    for number in range(1, item.attempts + 1):
        file = database.places.attempt(item.id, number) / FILES / FILE
        try:
            yield Exchange.from_json(file.read_bytes())
        except (OSError, UsageError):
            continue


def closing_lines(database: Database, job: Job) -> list[str]:
    """What the end of a run adds for a job of summaries; nothing for other jobs."""
    if job.task != GENERATION or job.skipped_reason is not None or not job.counts:
        return []
    return [str(tally(database, job))]
