"""How a run ended, as a value and as text."""

from __future__ import annotations

from dataclasses import dataclass, field

from respool.batch.course import Pause
from respool.batch.model import ItemState, Job


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended. `signal` is the number of the signal that stopped it, `paused` the jobs that stopped by
    themselves, `now` how many items of each job it has brought to each final state. As text: a line for each job.

    >>> print(RunReport([], None, {}, 0.0))
    nothing to run
    """

    jobs: list[Job]
    signal: int | None
    paused: dict[int, Pause]
    seconds: float
    now: dict[int, dict[ItemState, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(summary(job) for job in self.jobs) or "nothing to run"


def summary(job: Job) -> str:
    """One job in one line: `describe #12: 97 done, 2 cached, 1 failed`."""
    if job.skipped_reason is not None:
        return f"{job.name} #{job.id}: skipped ({job.skipped_reason})"
    counts = ", ".join(f"{job.counts[state]} {state}" for state in ItemState if job.counts.get(state))
    paused = f" (paused: {job.paused_reason})" if job.paused_at is not None else ""
    return f"{job.name} #{job.id}: {counts or 'no items'}{paused}"
