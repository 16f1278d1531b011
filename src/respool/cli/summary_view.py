"""What is said while summaries are written: which cluster is on, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from math import inf
from typing import Any

from respool.batch.model import Item
from respool.batch.snapshot import JobView, Snapshot
from respool.batch.spool import Spool
from respool.batch.store import reading
from respool.batch.store.reading import Event
from respool.cli.plain import PlainView, Rates, rate_text
from respool.cli.talk import say, seconds_text, short
from respool.clock import MICROSECONDS
from respool.phrases import counted
from respool.summaries.costs import cost_text
from respool.summaries.result import GENERATING, message
from respool.summaries.tasks import GENERATION, JUDGEMENT

EVERY = 50  # clusters between two words about the speed


class SummaryView:
    """Lines on stderr about the jobs of summaries in a run, made of the spool's events from now on: nothing is said that
    has not been committed."""

    def __init__(self, spool: Spool, line: Callable[[str], None] = say) -> None:
        self._spool, self._line = spool, line
        last = self._spool.events(after=0, limit=1)
        self._seen = self._latest(last[-1].seq if last else 0)
        self._jobs: dict[int, str] = {}
        self._rates, self._message = Rates(), ""
        self._usual = PlainView(every=inf, line=line)  # what is waited for, and what keeps a run from going on
        self._cached: list[str] = []

    def begin(self) -> None:
        """Say that summaries are being written; once."""
        if not self._message:
            self._message = GENERATING
            self._line(GENERATING)

    def is_on(self, snapshot: Snapshot) -> bool:
        """Whether summaries are being written, or have been since this view was made."""
        running = ((view.id, key) for view in snapshot.jobs for key, _, _ in view.running)
        ended = ((event.job, event.key) for event in self._spool.events(after=self._seen))
        return any(self._task(job) == GENERATION and _is_cluster(key) for job, key in chain(running, ended))

    def show(self, snapshot: Snapshot) -> None:
        """Say what has happened since the last time."""
        self.begin()
        self._usual.show(snapshot)
        for view in snapshot.jobs:
            self._rates.saw(view.id, view.settled, snapshot.now)
            if self._task(view.id) == GENERATION:
                self._say_message(view)
        while events := self._spool.events(after=self._seen):
            self._seen = events[-1].seq
            for event in events:
                if event.type == "item_cached" and event.key is not None and self._task(event.job) == GENERATION:
                    self._cached.append(event.key)
                elif (text := self._text(event)) is not None:
                    self._say_cached()
                    self._line(short(text, 300))

    def close(self) -> None:
        """Say what has been held back."""
        self._say_cached()

    def _say_cached(self) -> None:
        """Clusters whose summaries are there, told together: there may be thousands."""
        if self._cached:
            self._line(short(f"cached: {counted(len(self._cached), 'cluster')} ({', '.join(self._cached)})", 300))
            self._cached.clear()

    def _latest(self, seq: int) -> int:
        while events := self._spool.events(after=seq, limit=5000):
            seq = events[-1].seq
        return seq

    def _say_message(self, view: JobView) -> None:
        newest = max((one for one in view.running if _is_cluster(one[0])), key=lambda one: one[1], default=None)
        if newest is None or (said := message(view.counts, newest[0])) == self._message:
            return
        self._message = said
        left = self._rates.seconds_left(view)
        speed = f" · {rate_text(self._rates.per_second(view.id))}, about {seconds_text(left)} left" if left else ""
        self._line(said + (speed if view.settled % EVERY == 0 or view.settled < EVERY else ""))

    def _text(self, event: Event) -> str | None:
        task = self._task(event.job)
        if not _is_cluster(event.key) or task not in (GENERATION, JUDGEMENT) or event.job is None:
            return None
        who = f"cluster {event.key}" + (", judge" if task == JUDGEMENT else "")
        kind, told = event.data.get("kind"), event.data.get("message")
        if event.type == "item_cached":
            return None
        if event.type == "item_done":
            item = next(reading.items(self._spool.database(), event.job, key=event.key), None)
            return f"{who}: {_became(item)}"
        if event.type == "item_retry" and kind is not None:
            wait = max(0.0, (event.data.get("not_before", 0) - event.at) / MICROSECONDS)
            return f"{who}: {kind}, again in {seconds_text(wait)}: {told}"
        if event.type == "item_failed":
            return f"{who}: failed ({kind}): {told}"
        return f"{who}: {event.type.removeprefix('item_')}" if event.type.startswith("item_") else None

    def _task(self, job: int | None) -> str:
        if job is None:
            return ""
        if job not in self._jobs:
            self._jobs[job] = reading.job(self._spool.database(), job).task
        return self._jobs[job]


def _is_cluster(key: str | None) -> bool:
    return key is not None and not key.startswith("@")  # "@items" makes the others


def _became(item: Item | None) -> str:
    """What a cluster has now, in one line."""
    if item is None or not isinstance(item.result, dict):
        return "done"
    result: dict[str, Any] = item.result
    took = _took(result["asked"])
    if "verdicts" in result:
        against = sum(one["verdict"] in ("unsupported", "contradicted") for one in result["verdicts"])
        word, claims = "rejected" if result["rejected"] else "accepted", counted(len(result["verdicts"]), "claim")
        return f"{word}, {against} of {claims} not borne out; {took}"
    flag = " (the data say otherwise)" if result["confidence"]["mismatch"] else ""
    outside = f"; {counted(len(result['mentions']), 'mention')} from outside the evidence" if result["mentions"] else ""
    wrote = result["asked"]["model"].partition(" at ")[0]
    return f"{result['summary']['title']!r} by {wrote}, confidence {result['confidence']['model']}{flag}{outside}; {took}"


def _took(asked: dict[str, Any]) -> str:
    tokens = asked["usage"]["input"] + asked["usage"]["output"]
    return f"{counted(asked['calls'], 'call')}, {tokens} tokens, {cost_text(asked['cost'])}"
