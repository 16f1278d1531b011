"""`respool run --dry-run`: the plan with a reason for every item, and how long it will take. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from respool.batch.digests import Digests
from respool.batch.forecast import Action, Forecast, plan
from respool.batch.model import Attempt, Done, Skipped
from respool.batch.places import Places
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.intake import Wishes
from respool.batch.workers.receipt import read_receipt
from respool.cli.exits import Exit
from respool.cli.reader import runner_alive
from respool.cli.talk import columns, put, put_json, say, seconds_text
from respool.cli.wanted import Wanted
from respool.clock import SYSTEM
from respool.pace import look_at_cooldown, look_at_slots
from respool.phrases import counted


def dry_run(
    job: Wanted, wishes: Wishes, places: Places, *, only: Sequence[str], workers: int | str, as_json: bool
) -> int:  # fmt: skip
    """Print the plan; the exit code is 0 for every plan that could be made."""
    hands, now = workers if isinstance(workers, int) else 1, SYSTEM.now()
    held = max((closed for closed, _ in _cooldowns(job, places, now)), default=0.0)
    with ExitStack() as opened:
        source = opened.enter_context(closing(job.open_source()))
        database = None
        if places.database.exists():
            database = opened.enter_context(Database.open(places, read_only=True))
        digests = Digests(database)
        forecast = plan(
            database, job.name, job.task, source, wishes, only=only, workers=hands, now=now, held=held,
            slots=lambda key, rate, many: look_at_slots(places.pace, key, rate, many, now),
            standing={} if database is None else dict(_standing(database, alive=runner_alive(places))),
            intact=lambda outputs: all(digests.of(Path(output.path)) == output.digest for output in outputs),
        )  # fmt: skip
        notes = list(_notes(job, forecast, database, now, places))
    if as_json:
        put_json({
            "job": job.name, "task": job.task.name,
            "totals": {str(each): many for each, many in forecast.totals.items()},
            "seconds": forecast.seconds, "workers": workers, "code_changed": forecast.code_changed, "notes": notes,
            "items": [{"key": key, "action": str(action), "reason": reason} for key, action, reason in forecast.items],
        })  # fmt: skip
        return int(Exit.DONE)
    for line in columns([(str(item.action), item.key, item.reason) for item in forecast.items]):
        put(line)
    say(f"{job.name}: {_totals(forecast)}; nothing was written")
    say(_expected(forecast, workers))
    for note in notes:
        say(note)
    return int(Exit.DONE)


def _standing(database: Database, *, alive: bool) -> Iterator[tuple[int, str]]:
    """Running items that the next run will not start again: a live runner has them, or their answer has come."""
    spool = reading.spool_id(database)
    for item, number, job, key, payload, fingerprint, nonce, *_ in database.all("running_rows"):
        if alive:
            yield item, "the live runner has it"
            continue
        attempt = Attempt(item, number, job, key, payload, fingerprint, nonce or "")
        if isinstance(read_receipt(database.places.attempt(item, number), spool, attempt), Done | Skipped):
            yield item, "its answer came before its runner died"


def _cooldowns(job: Wanted, places: Places, now: int) -> Iterator[tuple[float, str]]:
    """(seconds, sentence) of what a service has asked for, for each key of the task."""
    for key in tuple(limit.key for limit in job.task.limits) or (job.task.name[:200],):
        closed = look_at_cooldown(places.pace, key, now)
        if closed is not None:
            seconds, reason = closed
            what = "the run would pause" if seconds > job.task.max_pause else "nothing starts before"
            yield seconds, f"{key} is to be left alone for another {seconds_text(seconds)} ({reason}): {what}"


def _notes(job: Wanted, forecast: Forecast, database: Database | None, now: int, places: Places) -> Iterator[str]:
    """What the plan cannot show item by item."""
    if forecast.code_changed:
        yield f"the code of {job.task.name} changed under the same version; --rerun-changed makes the results again"
    if forecast.totals[Action.RUN]:
        yield from (sentence for _, sentence in _cooldowns(job, places, now))
    if database is None:
        return
    known = database.one("job_by_name", job.name)
    stored = sum(known is not None and request[2] == known[0] for request in database.all("open_requests"))
    if stored:
        yield f"{counted(stored, 'request')} stored for this job will be taken up first; what comes then is not planned"
    if runner_alive(places):
        yield "a live runner holds the spool: it would be handed this, and works on meanwhile"


def _totals(forecast: Forecast) -> str:
    words = {
        Action.RUN: "to run", Action.CACHED: "cached", Action.KEEP: "kept", Action.WAIT: "waiting",
        Action.WITHDRAW: "withdrawn",
    }  # fmt: skip
    return ", ".join(f"{many} {words[action]}" for action, many in forecast.totals.items() if many) or "no items"


def _expected(forecast: Forecast, workers: int | str) -> str:
    if forecast.seconds is None:
        return "how long it takes cannot be told: nothing of this task has finished yet"
    if not forecast.totals[Action.RUN] and not forecast.totals[Action.WAIT]:
        return "nothing to run"
    return f"about {seconds_text(forecast.seconds)} with {workers} at once, judged by earlier attempts"
