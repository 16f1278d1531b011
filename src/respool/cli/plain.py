"""The view of a run without a terminal: a line every few seconds, not one for every item."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import IO, Protocol

from respool.batch.model import ItemState
from respool.batch.snapshot import JobView, Snapshot
from respool.cli.talk import counts_text, say, seconds_text, short
from respool.clock import MICROSECONDS, SYSTEM, Clock

EVERY = 5.0  # seconds between two lines
SPAN = 30.0  # seconds that the rate looks back


class View(Protocol):
    """Something that shows snapshots of a run as they come, and is closed at its end."""

    def show(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None: ...


class Rates:
    """How fast each job settles items, over the last half minute of this run.

    >>> rates = Rates(); rates.saw(1, 0, 0); rates.saw(1, 20, 10_000_000); rates.per_second(1)
    2.0
    """

    def __init__(self) -> None:
        self._seen: dict[int, list[tuple[int, int]]] = {}

    def saw(self, job: int, settled: int, now: int) -> None:
        """`settled` items of `job` had ended by the instant `now` (UTC microseconds)."""
        points = self._seen.setdefault(job, [])
        if not points or now - points[-1][0] >= MICROSECONDS // 2:
            points.append((now, settled))
        while len(points) > 2 and now - points[0][0] > SPAN * MICROSECONDS:
            points.pop(0)

    def per_second(self, job: int) -> float | None:
        """Items per second, None if that cannot be told yet."""
        points = self._seen.get(job, [])
        if len(points) < 2 or points[-1][0] <= points[0][0] or points[-1][1] <= points[0][1]:
            return None
        return (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0]) * MICROSECONDS

    def seconds_left(self, view: JobView) -> float | None:
        """How long the rest of a job will take at this rate, None if that cannot be told."""
        rate = self.per_second(view.id)
        left = view.counts.get(ItemState.PENDING, 0) + view.counts.get(ItemState.RUNNING, 0)
        return left / rate if rate and left else None


def rate_text(rate: float | None) -> str:
    """A rate for people.

    >>> rate_text(0.25), rate_text(40)
    ('15.0/min', '40.0/s')
    """
    if rate is None:
        return "-"
    return f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"


class PlainView:
    """Lines on stderr: how every job of the run stands, and at once what is out of the ordinary."""

    def __init__(self, *, every: float = EVERY, clock: Clock = SYSTEM, line: Callable[[str], None] = say) -> None:
        self._every, self._clock, self._line = every, clock, line
        self._last = clock.monotonic()
        self._rates = Rates()
        self._told_trouble: str | None = None
        self._told: set[tuple[int | None, str]] = set()

    def show(self, snapshot: Snapshot) -> None:
        for job in snapshot.jobs:
            self._rates.saw(job.id, job.settled, snapshot.now)
            if job.waiting:
                self._once(job.id, job.waiting, f"{job.name} #{job.id}: {job.waiting}")
        self._trouble(snapshot.trouble)
        if snapshot.draining and any(job.running for job in snapshot.jobs):
            self._once(None, "draining", "stopping: running items may finish; Ctrl-C again ends them")
        now = self._clock.monotonic()
        if now - self._last >= self._every:
            self._last = now
            for job in snapshot.jobs:
                self._line(self._text(job))

    def close(self) -> None:
        """Nothing is open; the summary of the run is the last line."""

    def _trouble(self, trouble: str | None) -> None:
        """Told when it begins and when it is over, as often as that happens."""
        if trouble != self._told_trouble:
            self._line(short(trouble or "the spool can be written again; going on", 300))
            self._told_trouble = trouble

    def _once(self, job: int | None, what: str, text: str) -> None:
        if (job, what) not in self._told:
            self._told.add((job, what))
            self._line(short(text, 300))

    def _text(self, job: JobView) -> str:
        parts = [f"{job.name} #{job.id}: {counts_text(job.counts)}"]
        rate, left = self._rates.per_second(job.id), self._rates.seconds_left(job)
        if rate is not None:
            parts.append(rate_text(rate))
        if left is not None:
            parts.append(f"about {seconds_text(left)} left")
        return " · ".join(parts)


class Logged:
    """A view with a log: what it was told, what it cost, and how it failed. A view that fails is replaced by lines."""

    def __init__(self, view: View, log: IO[str] | None, clock: Clock = SYSTEM) -> None:
        self._view, self._log, self._clock = view, log, clock

    def __call__(self, snapshot: Snapshot) -> None:
        started = self._clock.monotonic()
        failure = None
        try:
            self._view.show(snapshot)
        except Exception as error:
            # The work goes on whatever becomes of its picture.
            failure = f"{type(error).__name__}: {error}"
            self._replace()
            say(f"the live view failed ({failure}); going on with plain lines")
        if self._log is not None:
            self._log.write(json.dumps(_entry(snapshot, self._view, self._clock.monotonic() - started, failure)) + "\n")
            self._log.flush()

    def close(self) -> None:
        """Take the view off the screen, if there still is one."""
        with contextlib.suppress(Exception):
            self._view.close()

    def _replace(self) -> None:
        self.close()  # which may fail for the same reason: a closed terminal
        self._view = PlainView()


def _entry(snapshot: Snapshot, view: View, seconds: float, failure: str | None) -> dict[str, object]:
    jobs = [
        {"id": job.id, "counts": job.counts, "settled": job.settled, "running": len(job.running),
         "waiting": job.waiting, "concurrency": job.concurrency}
        for job in snapshot.jobs
    ]  # fmt: skip
    return {
        "at": snapshot.now, "view": type(view).__name__, "drawn_in": round(seconds, 6), "failure": failure,
        "draining": snapshot.draining, "trouble": snapshot.trouble, "jobs": jobs,
    }  # fmt: skip
