"""`respool rerecord`: record the cassettes of a test suite again, in parallel; go on where the last run stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import click

from respool.batch.declaration import Batch
from respool.batch.documents import job_data
from respool.batch.model import ItemState, Job, Kind
from respool.batch.spool import JobHandle, Spool
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.intake import Wishes
from respool.cli import options
from respool.cli.exits import Exit, exit_of_jobs, exit_of_signal
from respool.cli.options import option, together
from respool.cli.run import busy, view_for
from respool.cli.talk import keep, put, put_json, say, seconds_text, short
from respool.clock import SYSTEM, rfc3339
from respool.config import load_project, parse_duration
from respool.errors import JobNotFound, UsageError
from respool.phrases import counted
from respool.rerecord import history, preflight, report, review_page
from respool.rerecord.history import OPEN
from respool.rerecord.job import goes_on, run_of, source, task
from respool.rerecord.plan import Asked, Choice, Plan, make_plan, narrowed, survey
from respool.rerecord.settings import TABLE, load_settings
from respool.rerecord.tidying import tidy

SHOWN = 20  # failures that are told by name; `respool jobs items` has them all


@click.command("rerecord")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@together(
    option("--all", "every", is_flag=True, help="Every test file with cassettes, those with priority first."),
    option("--failures", is_flag=True, help="Test files whose own latest run failed."),
    option("--stale", is_flag=True, help="Test files with a cassette that is older than `refresh`, or was never recorded."),
    option("--workers", type=click.IntRange(1, 64), default=8, show_default=True, help="How many test files at once."),
    option("--batch-size", "size", type=click.IntRange(min=1), default=20, show_default=True, metavar="N",
           help="After so many starts the next one waits."),
    option("--delay", default="0.5", show_default=True, metavar="DUR", help="How long it waits."),
    option("--timeout", metavar="DUR", help="Per test file, waits for a service not counted [600]."),
    option("--dry-run", is_flag=True, help="Say what would be recorded, and why; write nothing."),
    option("--grace", metavar="DUR", envvar="RESPOOL_GRACE", help="For running test files after the first Ctrl-C [30]."),
    option("--no-tui", is_flag=True, help="Plain lines, also on a terminal."),
    option("--report", "page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
           help="Write what changed as one HTML page, for review."),
)
@options.WHERE
@options.FOR_MACHINES
def rerecord(**given: Any) -> int:
    """Record cassettes again by running their tests; a new recording must prove itself before it replaces the old one.

    Without a path or an option: the test files that fit `priority` in [tool.respool.rerecord]. Interrupted, the same command
    goes on. A test file that fails (or records nothing, an error, a secret, something that cannot be played) keeps its old
    cassettes. `respool cassettes restore PATH` brings back the one before.

    \b
      respool rerecord --all --dry-run
      respool rerecord tests/test_search.py
      respool rerecord --failures
    """
    return _Rerecord(given).go()


class _Rerecord:
    """One call of the command: its options, checked before anything is touched."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.settings = load_settings()
        chosen: list[Choice] = [word for word, flag in _CHOICES if given[flag]]
        if len(chosen) > 1:
            raise UsageError(
                f"either --{chosen[0]} or --{chosen[1]}, not both", command="respool rerecord --help"
            )
        choice: Choice = chosen[0] if chosen else "paths" if given["paths"] else "priority"
        self.asked = narrowed(Asked(choice, given["paths"]), Path.cwd(), self.settings.root)
        self.batch = Batch(given["size"], parse_duration(given["delay"], what="--delay"))
        self.workers: int = given["workers"]
        self.timeout = parse_duration(given["timeout"], what="--timeout") if given["timeout"] else self.settings.timeout
        if not self.timeout > 0:
            raise UsageError(f"--timeout must be more than 0 seconds, not {given['timeout']!r}")
        project = load_project().grace
        usual = 30.0 if project is None else project
        self.grace = usual if given["grace"] is None else parse_duration(given["grace"], what="--grace")
        self.places = options.places_of(given["spool"])
        self.page: Path | None = given["page"]
        if self.page is not None and not self.page.absolute().parent.is_dir():
            raise UsageError(f"--report {str(self.page)!r}: there is no folder {str(self.page.parent)!r}")
        self.given = given

    def go(self) -> int:
        plan = self._plan()
        for command in plan.silent:
            say(f"{command!r} did not tell the version of its service: no cassette is called stale by it")
        if self.given["dry_run"]:
            return self._dry(plan)
        preflight.check(
            self.settings, self.places.database, cassettes=[name for each in plan.units for name in each.unit.cassettes]
        )
        if not plan.units:
            if self.places.database.exists():  # a run that did not come to its end, or went on elsewhere, left that to us
                with Database.open(self.places, read_only=True) as database:
                    tidy(self.settings.root, database)
            say(f"nothing to do: {_NOTHING[self.asked.choice]}")
            return self._told_as_json(None, {}, int(Exit.DONE), 0.0)
        preflight.run_probe(self.settings)
        with contextlib.closing(Spool(self.given["spool"], told=say)) as spool:
            handle = self._submit(spool, plan)
            if handle.stored_for_live_runner:
                raise busy(spool.holder(), str(spool.places.database), handle.id)
            return self._run(spool, handle, plan)

    def _plan(self) -> Plan:
        failed: dict[str, history.Ended] = {}
        if self.asked.choice == "failures" and self.places.database.exists():
            with Database.open(self.places, read_only=True) as database:
                failed = history.latest_failures(history.ended(database))
        return make_plan(self.asked, self.settings, survey(self.settings), failed, SYSTEM.now())

    def _dry(self, plan: Plan) -> int:
        if self.given["as_json"]:
            asked = {"job": self.asked.job, "workers": self.workers, "batch_size": self.batch.size}
            put_json({**report.plan_data(plan), **asked})
            return int(Exit.DONE)
        for each in plan.units:
            known = [name for name in each.unit.cassettes if "*" not in name]
            put(f"{' '.join(each.unit.files)}  {counted(len(known), 'cassette')}  {each.reason}")
        say(f"{counted(plan.files, 'test file')} in {counted(len(plan.units), 'unit')}; nothing was written")
        if plan.never_recorded:
            say(f"{counted(len(plan.never_recorded), 'test')} never recorded, such as {plan.never_recorded[0]}")
        if plan.orphans:
            say(f"{counted(len(plan.orphans), 'cassette')} that no test names, such as {plan.orphans[0]}")
        for line in plan.unread:
            say(f"cannot be read: {line}")
        return int(Exit.DONE)

    def _submit(self, spool: Spool, plan: Plan) -> JobHandle:
        job = _known(spool, self.asked.job)
        items = [] if job is None else spool.job(job.id).items()
        again = goes_on(job, items, plan)
        run = (run_of(job) if job is not None and again else None) or rfc3339(SYSTEM.now())
        prints = preflight.key_prints(self.settings, reading.spool_id(spool.database()))
        for name in _other_keys(job, prints):
            say(f"{name} is another key than in the run before")
        made = task(self.settings, run=run, timeout=self.timeout, batch=self.batch)
        with contextlib.closing(source(plan, prints)) as rows:
            return spool.submit(
                made, source=rows, name=self.asked.job, wishes=Wishes(fresh=not again), folder=self.settings.root
            )

    def _run(self, spool: Spool, handle: JobHandle, plan: Plan) -> int:
        waiting = {item.key for item in handle.items() if item.state in OPEN}
        ordered = [each.unit.key for each in plan.units if each.unit.key in waiting]
        files = sum(len(each.unit.files) for each in plan.units if each.unit.key in waiting)
        say(report.headline(files, self.batch.size, self.workers))
        if len(ordered) < len(plan.units):
            say(f"  going on: {len(plan.units) - len(ordered)} of {len(plan.units)} have ended before")
        with _watched(spool.database(), handle.id, report.Batches(ordered, self.batch.size), self.given["no_tui"]) as watcher:
            ran = spool.run([handle.id], workers=self.workers, grace=self.grace, watcher=watcher)
        job = handle.read()
        paused = ran.paused.get(job.id)
        code = exit_of_signal(ran.signal) if ran.signal is not None else int(exit_of_jobs([job], [job.id] if paused else []))
        tidy(self.settings.root, spool.database())
        results = handle.results()
        self._close(job, ran.now.get(job.id, {}), handle, ran.seconds, None if paused is None else paused.reason)
        self._changes({key: results[key] for key in results if key in waiting})
        if self.page is not None:
            failed = {item.key: f"{item.kind}: {item.message or ''}" for item in handle.items(state=str(ItemState.FAILED))}
            keep(self.page, review_page.of_run(f"What respool rerecord changed ({self.asked.job})", results, failed))
        if ran.signal is not None or paused is not None:
            say("the same command again goes on where it stopped")
        return self._told_as_json(handle, results, code, ran.seconds)

    def _close(
        self, job: Job, now: dict[ItemState, int], handle: JobHandle, seconds: float, paused: str | None
    ) -> None:
        done, failed = now.get(ItemState.DONE, 0), now.get(ItemState.FAILED, 0)
        left = job.counts.get(ItemState.PENDING, 0)
        rest = f", {left} left" if left else ""
        say(f"{done} recorded, {failed} failed{rest} in {seconds_text(seconds)}")
        failures = list(handle.items(state=str(ItemState.FAILED)))
        for item in failures[:SHOWN]:
            say(f"  FAILED  {item.key}  {item.kind}: {short(item.message or '', 200)}")
        there = options.same_spool(self.places)
        if len(failures) > SHOWN:
            say(f"  and {len(failures) - SHOWN} more: respool jobs items {job.id} --state failed{there}")
        if paused is not None:
            say(f"  paused: {paused}")
            for item in handle.items(state=str(ItemState.PENDING), kind=str(Kind.RATE_LIMITED), limit=SHOWN):
                say(f"  waiting  {item.key}  {short(item.message or '', 200)}")
        if failures:
            say(f"  why, in full: respool jobs items {job.id} --state failed{there}; also in .respool/{report.FAILURES}")
            say(f"  what pytest said: respool jobs attempts {job.id} --key {quote(failures[0].key)}{there}")
            say(f"{report.AGAIN}{there}")

    def _changes(self, results: dict[str, Any]) -> None:
        for line in report.stood(results):
            say(f"  {line}")
        lines = list(report.drift_lines(results))
        if results and not lines:
            say("  nothing changed in what was recorded")
        for line in lines[:SHOWN]:
            say(f"  {line}")
        if lines:
            more = f"and {len(lines) - SHOWN} more; " if len(lines) > SHOWN else ""
            look = "what changed, in full: respool cassettes diff PATH; to go back: respool cassettes restore PATH"
            new = all(": new, " in line for line in lines)  # then there is nothing to compare them with, or to go back to
            say(f"  {more}{'what is on them: respool cassettes show PATH' if new else look}")
        if told := report.proposed(results):
            say(f"  always changed, and could count for nothing in {TABLE}:\n    {told}")

    def _told_as_json(self, handle: JobHandle | None, results: dict[str, Any], code: int, seconds: float) -> int:
        if self.given["as_json"]:
            listed = [] if handle is None else [
                {"key": item.key, "files": item.payload["files"], "state": str(item.state), "kind": item.kind,
                 "message": item.message, "attempts": item.attempts,
                 "cassettes": (results.get(item.key) or {}).get("said", {}).get("cassettes", {})}
                for item in handle.items() if item.state is not ItemState.CANCELLED
            ]  # fmt: skip
            job = None if handle is None else job_data(handle.read())
            put_json({"job": job, "units": listed, "exit": code, "seconds": round(seconds, 3)})
        return code


_CHOICES: tuple[tuple[Choice, str], ...] = (("all", "every"), ("failures", "failures"), ("stale", "stale"))
_NOTHING = {"failures": "no test file's latest run failed", "stale": "no cassette is stale"}


def _known(spool: Spool, name: str) -> Job | None:
    try:
        return spool.job(name).read() if spool.places.database.exists() else None
    except JobNotFound:
        return None


def _other_keys(job: Job | None, prints: dict[str, str]) -> list[str]:
    before = {} if job is None else job.source.get("keys", {})
    return [name for name, told in prints.items() if before.get(name, told) != told]


@contextlib.contextmanager
def _watched(
    database: Database, job: int, batches: report.Batches, no_tui: bool
) -> Iterator[Callable[[Any], None]]:  # fmt: skip
    """What is called with each snapshot of the run: it draws, and tells of batches that are complete."""
    view = view_for(no_tui=no_tui, log=None)
    begun, seen = SYSTEM.monotonic(), _last_event(database)

    def watch(snapshot: Any) -> None:
        nonlocal seen
        view(snapshot)
        events = reading.events(database, seen, job)
        if events:
            seen = events[-1].seq
            for line in batches.heard(events, SYSTEM.monotonic() - begun):
                say(line)

    try:
        yield watch
    finally:
        view.close()


def _last_event(database: Database) -> int:
    row = database.one("first_event")
    return int(row[1] or 0) if row else 0
