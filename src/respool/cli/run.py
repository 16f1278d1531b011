"""`respool run` and `respool next`: submit what the command line asks for, run it, and say how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from respool.batch.declaration import Mode
from respool.batch.model import JobState
from respool.batch.store.connection import Durability
from respool.batch.store.reading import spool_id
from respool.batch.workers.command_line import preflight
from respool.cli import options, run_options
from respool.cli.closing import close
from respool.cli.line import wanted
from respool.cli.options import option, together
from respool.cli.plain import Logged, PlainView, View
from respool.cli.talk import say, talks_to_a_terminal
from respool.cli.wanted import Wanted, check_workers
from respool.config import load_project, parse_duration
from respool.errors import SpoolBusy, UsageError
from respool.rerecord.history import TASK as RERECORD

if TYPE_CHECKING:
    from respool.batch.rehearsal import Script
    from respool.batch.spool import JobHandle, Spool
    from respool.batch.workers.pool import Instead


@click.command(cls=run_options.TakesCommand)
@run_options.WHAT
@together(
    option("--workers", "--parallel", "workers", metavar="N", envvar="RESPOOL_WORKERS",
           help="How many items at once [1]; or dask://HOST:PORT."),
    option("--only", multiple=True, metavar="KEY", help="Just this item; may be repeated."),
    option("--dry-run", is_flag=True, help="Say what would be done with every item, and write nothing."),
    option("--watch", is_flag=True, help="If a live runner holds the spool, follow what it does."),
)
@run_options.CARE
@run_options.AGAIN
@run_options.REHEARSE
@run_options.RUNNING
@options.WHERE
@options.FOR_MACHINES
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> int:
    """Run a batch, or go on where the last run of it stopped.

    Without a spec, a task or a command: all open jobs of the spool.
    """
    return _Run(ctx, given, only=given["only"]).go()


@click.command(name="next", cls=run_options.TakesCommand)
@run_options.WHAT
@run_options.CARE
@run_options.AGAIN
@run_options.REHEARSE
@run_options.RUNNING
@options.WHERE
@options.FOR_MACHINES
@click.pass_context
def next_item(ctx: click.Context, /, **given: Any) -> int:
    """Run just one item. Without a spec, a task or a command: of the oldest open job."""
    given = {**given, "workers": "1", "dry_run": False, "watch": False}
    return _Run(ctx, given, at_most=1).go()


class _Run:
    """One call of the command: its options, checked before anything is touched."""

    def __init__(
        self, ctx: click.Context, given: dict[str, Any], *, only: Sequence[str] = (), at_most: int | None = None
    ) -> None:
        self.given, self.only, self.at_most = given, tuple(only), at_most
        self.workers = None if given["workers"] is None else check_workers(given["workers"])
        project = load_project()
        self.usual_workers = check_workers(1 if project.workers is None else project.workers, where=project.where("workers"))
        self.grace = _seconds(given, "grace", project.grace, usual=30.0)
        self.patience = _seconds(given, "patience", project.patience, usual=60.0)
        self.durability: Durability = given["durability"] or project.durability or "normal"
        self.line = run_options.line_of(ctx, given)
        self.wishes = run_options.wishes_of(given, self.only)
        self.names_a_job = run_options.names_a_job(self.line)
        self.rehearse = _script(given)
        if not self.names_a_job:
            for name in ("no_resume", "retry_failed", "rerun_changed", "force", "dry_run", "watch"):
                if given.get(name):
                    raise UsageError(
                        f"--{name.replace('_', '-')} needs a job: a spec, a task or a command",
                        why="without one, all open jobs are run as they are", command="respool run --help",
                    )  # fmt: skip
        if self.only and not self.names_a_job:
            raise UsageError("--only needs a job: a spec, a task or a command", command="respool run --help")

    def go(self) -> int:
        job = wanted(self.line) if self.names_a_job else None
        if job is not None and job.task.mode is Mode.COMMAND and self.rehearse is None and isinstance(self._hands(job), int):
            preflight(job.task)
        if self.given["dry_run"] and job is not None:
            from respool.cli.dry import dry_run

            return dry_run(
                job, self.wishes, options.places_of(self.given["spool"], rehearsal=self.rehearse is not None),
                only=self.only, workers=self._hands(job), as_json=self.given["as_json"],
            )  # fmt: skip
        from respool.batch.spool import Spool

        spool = Spool(
            self.given["spool"], durability=self.durability, rehearsal=self.rehearse is not None,
            create=job is not None, patience=self.patience,
            told=say,
        )  # fmt: skip
        with contextlib.closing(spool):
            if self.rehearse is not None:
                say(f"rehearsal: nothing real is called; kept in {spool.places.database}")
                say(f"  to look at it: respool jobs list{options.same_spool(spool.places)}")
            if job is None:
                return self._run(spool, self._open_jobs(spool), self.workers or self.usual_workers)
            handle = self._submit(spool, job)
            if handle.stored_for_live_runner:
                return self._stored(spool, handle)
            return self._run(spool, [handle.id], self._hands(job))

    def _hands(self, job: Wanted) -> int | str:
        return self.workers or job.workers or self.usual_workers

    def _submit(self, spool: Spool, job: Wanted) -> JobHandle:
        with contextlib.closing(job.open_source()) as source:
            return spool.submit(
                job.task, source=source, name=job.name, then=job.then, job_timeout=job.job_timeout, wishes=self.wishes,
                folder=job.folder,
            )  # fmt: skip

    def _open_jobs(self, spool: Spool) -> list[int] | None:
        if self.at_most is None:
            return None
        waiting = (JobState.PENDING, JobState.INTERRUPTED, JobState.RUNNING)
        return [job.id for job in spool.jobs() if job.state() in waiting][:1]

    def _stored(self, spool: Spool, handle: JobHandle) -> int:
        if self.given["watch"]:
            say(f"stored as job {handle.id}; a live runner does it")
            return self._watch(spool, handle.id)
        raise busy(spool.holder(), str(spool.places.database), handle.id)

    def _watch(self, spool: Spool, job: int) -> int:
        from respool.cli.follow import RunnerGone, follow

        while True:
            try:
                return follow(
                    spool.places, job, view=self._view(), as_json=self.given["as_json"], take_over=True
                )  # fmt: skip
            except RunnerGone:
                # Whoever finds the lock free takes it; somebody else may be faster.
                with contextlib.suppress(SpoolBusy):
                    return self._run(spool, [job], self.workers or self.usual_workers)

    def _run(self, spool: Spool, jobs: list[int] | None, workers: int | str) -> int:
        if jobs == []:
            return close(spool.database(), [], seconds=0.0, as_json=self.given["as_json"])
        with hands(spool, workers, self.rehearse) as (number, instead), self._viewing() as watcher:
            report = spool.run(
                jobs, workers=number, only=self.only, at_most=self.at_most, grace=self.grace,
                no_cache=self.wishes.no_cache, instead=instead, watcher=watcher,
            )  # fmt: skip
        if self.rehearse is None and any(job.task == RERECORD for job in report.jobs):
            from respool.rerecord.tidying import tidy_after

            tidy_after(spool.database(), report.jobs)
        return close(
            spool.database(), report.jobs, seconds=report.seconds, signal_number=report.signal,
            paused={job: pause.reason for job, pause in report.paused.items()}, now=report.now,
            as_json=self.given["as_json"], note={"rehearsal": self.rehearse is not None},
        )  # fmt: skip

    @contextlib.contextmanager
    def _viewing(self) -> Iterator[Logged]:
        shown = self._view()
        try:
            yield shown
        finally:
            shown.close()

    def _view(self) -> Logged:
        return view_for(no_tui=self.given["no_tui"], log=self.given["tui_debug"])


@contextlib.contextmanager
def hands(
    spool: Spool, workers: int | str, script: Script | None
) -> Iterator[tuple[int, Instead | None]]:  # fmt: skip
    """How many items run at once, and what runs them in place of this machine's own workers: a script or a cluster.
    Raises UsageError for a cluster that does not answer."""
    if script is not None:
        from respool.batch.rehearsal import RehearsalWorkers
        from respool.batch.workers.pool import Instead

        size, places, named = workers if isinstance(workers, int) else 1, spool.places, spool_id(spool.database())
        yield size, Instead(
            lambda report, note, _: RehearsalWorkers(
                size, report, note, spool_id=named, places=places, script=script
            )
        )  # fmt: skip
    elif isinstance(workers, int):
        yield workers, None
    else:
        from respool.batch.workers.cluster import connect

        with connect(workers) as cluster:
            yield cluster.size, cluster.instead(spool_id(spool.database()), spool.places)


def view_for(*, no_tui: bool, log: IO[str] | None) -> Logged:
    """The view that fits where stderr goes, with a log."""
    return Logged(usual_view(no_tui=no_tui), log)


def usual_view(*, no_tui: bool) -> View:
    """Live on a terminal, else plain lines."""
    return _Soon() if talks_to_a_terminal() and not no_tui else PlainView()


class _Soon:
    """The live view, loaded when there is something to draw: the first items start before rich is imported."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._seen = 0

    def show(self, snapshot: Any) -> None:
        self._seen += 1
        if self._view is None and self._seen > 1:
            from respool.cli.view import LiveView

            self._view = LiveView()
        if self._view is not None:
            self._view.show(snapshot)

    def close(self) -> None:
        if self._view is not None:
            self._view.close()


def busy(holder: dict[str, Any], where: str, job: int) -> SpoolBusy:
    """The error of a submission that a live runner will do."""
    from respool.cli.talk import moment

    since = f" since {moment(holder['since'])}" if holder.get("since") else ""
    return SpoolBusy(
        f"a live runner holds the spool (pid {holder.get('pid', '?')} on {holder.get('host', '?')}{since}); "
        f"stored as job {job}",
        where=where, why="the live runner does what was stored", command=f"respool jobs watch {job}",
    )  # fmt: skip


def _seconds(given: dict[str, Any], name: str, project: float | None, *, usual: float) -> float:
    """What the option or the environment says, else the project, else what is usual."""
    if given[name] is not None:
        return parse_duration(given[name], what=f"--{name}")
    return usual if project is None else project


def _script(given: dict[str, Any]) -> Script | None:
    if given["mock_agent"] and given["rehearse"]:
        raise UsageError("either --mock-agent or --rehearse, not both", command="respool run --help")
    if not given["mock_agent"] and not given["rehearse"]:
        return None
    from respool.batch.rehearsal import load_script, mock_agent

    return mock_agent() if given["mock_agent"] else load_script(Path(given["rehearse"]))
