"""A clustering as a job of the spool: submitted, run, shown; its summaries follow from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respool.batch.declaration import Task
from respool.batch.sources import from_values
from respool.batch.store.intake import Wishes
from respool.cli import options
from respool.cli.closing import close
from respool.cli.options import option, together
from respool.cli.plain import Logged, View
from respool.cli.run import busy, usual_view
from respool.cli.summary_view import SummaryView
from respool.cli.talk import columns, keep, put, say
from respool.cli.wanted import Wanted, check_workers
from respool.clusters.confidence import confidence
from respool.clusters.model import Cluster, Clustering, Notice
from respool.clusters.request import Request
from respool.phrases import counted
from respool.summaries.settings import load_settings
from respool.summaries.tasks import generation_task, session_with

if TYPE_CHECKING:
    from respool.batch.snapshot import Snapshot
    from respool.batch.spool import JobHandle, Spool

KEY = "clustering"  # the one item of a clustering's job
_SHOWN_NAMES = 5  # of a notice; the result has them all
Check = Callable[[], str]
"""Reads what goes in, raises UsageError for what cannot be used, and says in one line what there is."""

HOW = together(
    option("--out", type=options.OUTPUT, metavar="FILE", help="Write the clustering as JSON."),
    option("--dry-run", is_flag=True, help="Check the input and say what would be done; write nothing."),
    option("--no-summaries", is_flag=True, help="Do not go on to the summaries of the clusters."),
    option("--force", is_flag=True, help="Compute it again, though nothing has changed."),
    option("--workers", metavar="N", envvar="RESPOOL_WORKERS", help="How many summaries at once [1]."),
    option("--no-tui", is_flag=True, help="Plain lines instead of the live view."),
)


def run_clustering(task: Task, request: Request, name: str, check: Check, given: dict[str, Any]) -> int:
    """Submit the one item of a clustering under this name, run it with what follows, show it; the exit code.

    `given` are the options of HOW, WHERE and FOR_MACHINES. Raises UsageError, before anything is written, for bad input.
    """
    options.keep_apart({"--out": given["out"]}, request.files())
    settings = load_settings({})
    workers = check_workers(given["workers"] or settings.concurrency or 1)
    say(check())
    items, wishes = {KEY: request.to_data()}, Wishes(force=given["force"] or (), no_cache=given["force"])
    then = () if given["no_summaries"] else ((generation_task(settings), "success"),)
    if given["dry_run"]:
        from respool.cli.dry import dry_run

        job = Wanted(name, task, lambda: from_values(items, name=name), Path.cwd(), then)
        places = options.places_of(given["spool"])
        return dry_run(job, wishes, places, only=(), workers=workers, as_json=given["as_json"])
    from respool.batch.spool import Spool

    with contextlib.closing(Spool(given["spool"], told=say)) as spool:
        handle = spool.submit(task, items, name=name, then=then, wishes=wishes)
        if handle.stored_for_live_runner:
            raise busy(spool.holder(), str(spool.places.database), handle.id)
        view = Logged(_ChainView(spool, usual_view(no_tui=given["no_tui"])), log=None)
        with session_with(settings), contextlib.closing(view) as watcher:
            report = spool.run([handle.id], workers=workers, watcher=watcher, no_cache=wishes.no_cache)
        found = _result(handle)
        if found is not None and given["out"] is not None:
            keep(given["out"], found.to_json() + "\n")
        if found is not None:
            _show(found, as_json=given["as_json"])
        return close(
            spool.database(), report.jobs, seconds=report.seconds, signal_number=report.signal,
            paused={job: pause.reason for job, pause in report.paused.items()}, now=report.now, as_json=given["as_json"],
            note={"clustering": None if found is None else _data(found)},
        )  # fmt: skip


class _ChainView:
    """A clustering in the usual view; from their first cluster on, the summaries that follow it in theirs."""

    def __init__(self, spool: Spool, usual: View) -> None:
        self._usual, self._summaries, self._writing = usual, SummaryView(spool), False

    def show(self, snapshot: Snapshot) -> None:
        if not self._writing and self._summaries.is_on(snapshot):
            self._writing = True
            self._usual.close()
        (self._summaries if self._writing else self._usual).show(snapshot)

    def close(self) -> None:
        (self._summaries if self._writing else self._usual).close()


def _result(handle: JobHandle) -> Clustering | None:
    """The clustering that the job holds; if there is none, what went wrong has been said."""
    item = next(handle.items(key=KEY))
    if item.result is None:
        if item.message:
            say(f"respool: {item.message}")
        return None
    return Clustering.from_data(item.result)


def _data(found: Clustering) -> dict[str, Any]:
    levels = [{"number": one.number, **confidence(one).to_data()} for one in found.clusters]
    return {**found.to_data(), "confidence": levels}


def _show(found: Clustering, *, as_json: bool) -> None:
    if not as_json:
        rows = [("cluster", "size", "part of", "stability", "confidence", "evidence"), *map(_row, found.clusters)]
        for line in columns(rows, right=frozenset({0, 1})):
            put(line)
    if found.structure == "continuum":
        say(f"no clear clusters but a continuum: the mean silhouette is {found.silhouette:.2f}")
    if found.dropped.clusters:
        small = counted(found.dropped.clusters, "cluster")
        say(f"{small} with fewer than {found.dropped.minimum} members dropped ({counted(found.dropped.members, 'member')})")
    if found.components is not None:
        say(f"{counted(found.components, 'component')}, {counted(len(found.isolates), 'isolate')}")
    if found.control is not None:
        control = found.control
        say(
            f"negative control: {control.low} of {control.tested} clusters with shuffled members are flagged low, "
            f"of the real ones {control.real_low} of {control.real}"
        )


def _row(one: Cluster) -> tuple[str, ...]:
    return (
        str(one.number), str(one.size), "-" if one.parent is None else str(one.parent),
        "-" if one.stability is None else f"{one.stability:.2f}", str(confidence(one).level), _evidence(one),
    )  # fmt: skip


def _evidence(one: Cluster) -> str:
    if one.terms:
        more = f" and {counted(len(one.terms) - 1, 'more term')}" if len(one.terms) > 1 else ""
        return f"{one.terms[0].name} (q {one.terms[0].q:.1e}){more}"
    if one.features:
        strongest = max(one.features, key=lambda feature: abs(feature.v_test))
        level = "" if strongest.level in (None, "1") else f" = {strongest.level}"
        more = f" and {counted(len(one.features) - 1, 'more feature')}" if len(one.features) > 1 else ""
        return f"{strongest.name}{level} {strongest.direction} (v {strongest.v_test:+.1f}){more}"
    return one.label or "none"


def tell(notice: Notice) -> None:
    """A notice for people: its text, and the first names that it is about."""
    names = ", ".join(notice.names[:_SHOWN_NAMES])
    more = f" and {len(notice.names) - _SHOWN_NAMES} more" if len(notice.names) > _SHOWN_NAMES else ""
    say(f"note: {notice.text}{f': {names}{more}' if names else ''}")
