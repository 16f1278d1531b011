"""`respool jobs`: look at jobs and their items; retry, cancel, watch, prune. Alone: the list."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from respool.batch.documents import awaits_its_items, instant, item_data, job_data, state_text
from respool.batch.model import Item, ItemState, Job, Kind
from respool.batch.notes import note_of, read_notes
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.cli import options
from respool.cli.exits import Exit
from respool.cli.lazy import Lazy, LazyGroup
from respool.cli.options import option
from respool.cli.reader import A_JOB, find, reader, runner_alive
from respool.cli.talk import columns, counts_text, moment, put, put_json, say, short
from respool.errors import JobNotFound
from respool.phrases import counted

if TYPE_CHECKING:
    from respool.batch.spool import JobHandle

NOTHING_TO_RETRY = "nothing to try again: no item that is meant has failed"


def _show() -> click.Command:
    from respool.cli.jobs_show import show

    return show


def _attempts() -> click.Command:
    from respool.cli.jobs_attempts import attempts

    return attempts


def _prune() -> click.Command:
    from respool.cli.jobs_prune import prune

    return prune


@click.command("list")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def list_jobs(spool: str | None, rehearsal: bool, as_json: bool) -> int:
    """All jobs of the spool, the oldest first, with their state and counts."""
    with reader(spool, rehearsal) as database:
        found, alive = reading.jobs(database), runner_alive(database.places)
    if as_json:
        put_json({"jobs": [job_data(job, alive=alive) for job in found]})
        return int(Exit.DONE)
    rows = [("JOB", "STATE", "NAME", "ITEMS")]
    rows += [(str(job.id), str(job.state(runner_alive=alive)), job.name, _standing(job, alive)) for job in found]
    for line in columns(rows, right=frozenset({0})) if found else ["no jobs"]:
        put(line)
    return int(Exit.DONE)


def _standing(job: Job, alive: bool) -> str:
    if job.skipped_reason is not None:
        return f"skipped: {short(job.skipped_reason)}"
    paused = f"; paused: {short(job.paused_reason or '')}" if job.paused_at is not None else ""
    if awaits_its_items(job):
        return f"its items are still to be made from job {job.parent}{paused}"
    return counts_text(job.counts, alive=alive) + paused


@click.command("items")
@A_JOB
@option("--state", type=click.Choice([*map(str, ItemState), "interrupted"]), help="Only those in this state.")
@option("--kind", type=click.Choice([str(kind) for kind in Kind]), help="Only those that failed like this.")
@option("--key", help="Only this one.")
@option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@option("--all", "every", is_flag=True, help="Also respool's own item of a follow-up, which makes the others.")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def items(
    name: str, state: str | None, kind: str | None, key: str | None, limit: int | None, every: bool,
    spool: str | None, rehearsal: bool, as_json: bool,
) -> int:  # fmt: skip
    """The items of a job in input order; with --json one object with their payloads, results and attempts' numbers."""
    with reader(spool, rehearsal) as database:
        job, alive = find(database, name), runner_alive(database.places)
        if key is not None:
            _known_key(database, job, key)
        found: Iterable[Item] = reading.items(
            database, job.id, state=ItemState("running" if state == "interrupted" else state) if state else None,
            kind=Kind(kind) if kind else None, key=key, limit=-1 if limit is None else limit, every=every,
        )  # fmt: skip
        if state in ("running", "interrupted") and alive == (state == "interrupted"):
            found = ()  # what says running either runs or was interrupted: the lock tells which
        if as_json:
            put_json({"job": job.id, "name": job.name, "items": [item_data(item, alive=alive) for item in found]})
            return int(Exit.DONE)
        notes = read_notes(database.places)
        for item in found:
            said = note_of(notes, item.id, item.attempts) or "" if item.state is ItemState.RUNNING else _said_of(item)
            put(f"{state_text(item.state, alive=alive):<9}  {item.key}  {said}".rstrip())
    return int(Exit.DONE)


def _known_key(database: Database, job: Job, key: str) -> None:
    if database.one("item_ids", job.id, json.dumps([key])) == (key, None):
        raise JobNotFound(
            f"no item {key!r} in job {job.id}", where=job.name, command=f"respool jobs items {job.id}"
        )  # fmt: skip


def _said_of(item: Item) -> str:
    if item.state is ItemState.PENDING:
        waits = f"until {moment(item.not_before)}" if 0 < item.not_before < 1 << 62 else ""
        return "  ".join(part for part in (item.reason, item.kind and f"{item.kind}: {item.message}", waits) if part)
    if item.message is not None:
        tries = f"  ({item.attempts} tries)" if item.attempts > 1 else ""
        return short(f"{item.kind}: {item.message}" if item.kind else item.message, 160) + tries
    return short(json.dumps(item.result, ensure_ascii=False), 120) if item.result is not None else item.reason or ""


@click.command("events")
@click.argument("name", metavar="[JOB]", required=False)
@option("--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only those after this number.")
@option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="At most so many.")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def events(name: str | None, after: int, limit: int, spool: str | None, rehearsal: bool, as_json: bool) -> int:
    """What happened in a job, or in the whole spool, in its order. `--after` takes up where an earlier call ended."""
    with reader(spool, rehearsal) as database:
        job = None if name is None else find(database, name).id
        found = reading.events(database, after, job, limit)
    if as_json:
        listed = [{**event._asdict(), "at": instant(event.at)} for event in found]
        put_json({"events": listed, "last": found[-1].seq if found else after})
        return int(Exit.DONE)
    for event in found:
        item = f" item {event.key or event.item}" if event.item is not None else ""
        data = short(json.dumps(event.data, ensure_ascii=False), 120) if event.data else ""
        put(f"{event.seq:>8}  {moment(event.at)}  job {event.job}{item}  {event.type}  {data}".rstrip())
    return int(Exit.DONE)


@contextmanager
def _handle(name: str, spool: str | None, rehearsal: bool) -> Iterator[JobHandle]:
    from respool.batch.spool import Spool

    with closing(Spool(spool, rehearsal=rehearsal, create=False, told=say)) as opened:
        yield opened.job(find(opened.database(), name).id)


@click.command("retry")
@A_JOB
@option("--kind", type=click.Choice([str(kind) for kind in Kind]), help="Only those that failed like this.")
@option("--key", "keys", multiple=True, help="Only this one; may be repeated.")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def retry(
    name: str, kind: str | None, keys: tuple[str, ...], spool: str | None, rehearsal: bool, as_json: bool
) -> int:  # fmt: skip
    """Failed items become pending again, with fresh budgets. A live runner takes them up; else `respool run` does."""
    with _handle(name, spool, rehearsal) as job:
        for key in keys:
            _known_key(job.spool.database(), job.read(), key)
        count = job.retry(kind, list(keys) or None)
        then = "the live runner takes them up" if job.spool.runner_alive() else f"to run them: {_run_again(job)}"
        if count is None:
            say(f"{job.name} #{job.id}: the live runner was asked to try them again")
        else:
            told = f"{counted(count, 'item is', 'items are')} pending again; {then}" if count else NOTHING_TO_RETRY
            say(f"{job.name} #{job.id}: {told}")
        if as_json:
            put_json({"job": job.id, "items": count, "asked_live_runner": count is None})
    return int(Exit.DONE)


def _run_again(job: JobHandle) -> str:
    there = options.same_spool(job.spool.places)
    return "rehearse again" if "--rehearsal" in there else f"respool run{there}"


@click.command("cancel")
@A_JOB
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def cancel(name: str, spool: str | None, rehearsal: bool, as_json: bool) -> int:
    """End a job: pending items are cancelled, running ones ended. Submitting it again revives them."""
    with _handle(name, spool, rehearsal) as job:
        count = job.cancel()
        told = "the live runner was asked to end it"
        if count == 0:
            told = "nothing was pending; it is ended as it stands"
        elif count is not None:
            told = f"{counted(count, 'pending item is', 'pending items are')} cancelled"
        say(f"{job.name} #{job.id}: {told}")
        if as_json:
            put_json({"job": job.id, "items": count, "asked_live_runner": count is None})
    return int(Exit.DONE)


@click.command("watch")
@A_JOB
@option("--no-tui", is_flag=True, help="Plain lines instead of the live view.")
@option("--tui-debug", type=click.File("w", encoding="utf-8", lazy=False), metavar="FILE", help="Log the view.")
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
def watch(
    name: str, no_tui: bool, tui_debug: IO[str] | None, spool: str | None, rehearsal: bool, as_json: bool
) -> int:  # fmt: skip
    """Follow a job, and what follows from it, until it has ended; the exit code is that of its run."""
    from respool.cli.follow import follow
    from respool.cli.run import view_for

    places = options.places_of(spool, rehearsal=rehearsal)
    with reader(spool, rehearsal) as database:
        job = find(database, name).id
    return follow(places, job, view=view_for(no_tui=no_tui, log=tui_debug), as_json=as_json)


@click.group(
    cls=LazyGroup, invoke_without_command=True,
    lazy={
        "list": Lazy(lambda: list_jobs, "All jobs, with their state and counts."),
        "show": Lazy(_show, "One job: what it is, how it stands, who runs it."),
        "items": Lazy(lambda: items, "The items of a job: state, result, or why they failed."),
        "attempts": Lazy(_attempts, "Every try, with what it left: questions and answers of models."),
        "events": Lazy(lambda: events, "What happened, in its order."),
        "retry": Lazy(lambda: retry, "Failed items become pending again, with fresh budgets."),
        "cancel": Lazy(lambda: cancel, "End a job: what is pending is cancelled."),
        "watch": Lazy(lambda: watch, "Follow a job that a live runner does."),
        "prune": Lazy(_prune, "Delete jobs that ended long ago, with their events."),
    },
)  # fmt: skip
@options.WHERE
@options.OF_REHEARSALS
@options.FOR_MACHINES
@click.pass_context
def jobs(ctx: click.Context, /, **given: Any) -> int:
    """Look at jobs and items; retry, cancel, watch, prune. Alone: the list."""
    if ctx.invoked_subcommand is None:
        return int(ctx.invoke(list_jobs, **given))
    # What stands before the subcommand holds for it, unless it is said again there.
    ctx.default_map = {ctx.invoked_subcommand: {name: value for name, value in given.items() if value}}
    return int(Exit.DONE)
