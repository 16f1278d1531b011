"""The live view of a run on a terminal, drawn with rich: bars, rates, what runs, what failed, what is waited for."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from respool.batch.model import ItemState
from respool.batch.snapshot import JobView, Snapshot
from respool.cli.plain import Rates, rate_text
from respool.cli.talk import counts_text, seconds_text, short
from respool.clock import MICROSECONDS

RUNNING_SHOWN = 8
FINISHED = (ItemState.DONE, ItemState.CACHED, ItemState.SKIPPED, ItemState.FAILED)


class LiveView:
    """Drawn anew for each snapshot, on stderr. Starts no thread; honours NO_COLOR, as rich does."""

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console or Console(stderr=True), auto_refresh=False, transient=True)
        self._rates = Rates()
        self._started = False

    def show(self, snapshot: Snapshot) -> None:
        for job in snapshot.jobs:
            self._rates.saw(job.id, job.settled, snapshot.now)
        if not self._started:
            self._live.start()
            self._started = True
        self._live.update(picture(snapshot, self._rates), refresh=True)

    def close(self) -> None:
        """Take the picture off the screen; the summary stays."""
        if self._started:
            self._live.stop()
            self._started = False


def picture(snapshot: Snapshot, rates: Rates) -> RenderableType:
    """One frame."""
    parts: list[RenderableType] = []
    for job in snapshot.jobs:
        parts.append(_head(job, rates))
        if job.waiting:
            parts.append(Text(f"  {job.waiting}", style="yellow"))
        if job.running:
            parts.append(_running(job, snapshot.now))
        parts += [Text(f"  ✗ {key}: {short(text, 120)}", style="red") for key, text in job.failures[-3:]]
    if snapshot.trouble:
        parts.append(Text(snapshot.trouble, style="bold red"))
    if snapshot.draining and any(job.running for job in snapshot.jobs):
        parts.append(Text("stopping: running items may finish; Ctrl-C again ends them", style="yellow"))
    return Group(*parts)


def _head(job: JobView, rates: Rates) -> RenderableType:
    cancelled = job.counts.get(ItemState.CANCELLED, 0)
    total = sum(job.counts.values()) - cancelled
    finished = sum(job.counts.get(state, 0) for state in FINISHED)
    left = rates.seconds_left(job)
    row = Table.grid(padding=(0, 1), expand=False)
    share = f"{finished * 100 // total}%" if total else "-"
    row.add_row(
        Text(f"{short(job.name, 40)} #{job.id}", style="bold"),
        ProgressBar(total=max(1, total), completed=finished, width=30),
        Text(f"{finished}/{total} {share}"),
        Text(rate_text(rates.per_second(job.id)), style="cyan"),
        Text(f"about {seconds_text(left)} left" if left is not None else "", style="cyan"),
    )
    return Group(row, Text(f"  {counts_text(job.counts)} · {job.concurrency} at once", style="dim"))


def _running(job: JobView, now: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for key, started, note in job.running[:RUNNING_SHOWN]:
        took = seconds_text(max(0, now - started) / MICROSECONDS)
        mark = Text("  ▸", style="green")
        table.add_row(mark, Text(short(key, 50)), Text(took, style="dim"), Text(short(note or "", 60)))
    more = len(job.running) - RUNNING_SHOWN
    if more > 0:
        table.add_row(Text(""), Text(f"and {more} more", style="dim"))
    return table
