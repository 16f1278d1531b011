"""What a dead runner left behind: results that were reached are taken, processes that still run are ended, and only then
may anything start again. Called by whoever has just got the owner lock."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt, Done, Outcome
from respool.batch.settle import Settled, Standing, settle
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.ledger import Ledger
from respool.batch.workers.receipt import read_receipt
from respool.batch.workers.remains import adopt, end_group, end_strays
from respool.clock import Clock
from respool.files import remove_tree

GRACE = 5.0  # seconds that a process of a dead runner gets to finish or to end by itself
REASON = "its runner died"


@dataclass(slots=True)
class Leftovers:
    """What was found: results taken over, items to run again, processes ended."""

    adopted: int = 0
    interrupted: int = 0
    ended_processes: list[str] = field(default_factory=list)


def adopt_leftovers(
    database: Database, clock: Clock, chance: Callable[[], float], *, own: int = 0, grace: float = GRACE
) -> Leftovers:
    """Settle or reopen every row that says running, as the new holder of the owner lock, whose session is `own`.

    Afterwards no process of an earlier runner of this spool works on an item. Blocks for up to `grace` seconds for each
    process that has to be ended.
    """
    found = Leftovers()
    rows = database.all("running_rows")
    sessions = database.all("open_sessions", own)
    if not rows and not sessions:
        return found
    spool = reading.spool_id(database)
    for _, nonce, *_ in sessions:
        found.ended_processes += _end_workers(database.places.session(nonce), grace)
    tasks: dict[int, Task] = {}
    settled: list[Settled] = []
    again: list[tuple[Any, ...]] = []
    for row in rows:
        job = reading.job(database, row[2])
        task = tasks.setdefault(job.id, Task.from_settings(job.task, job.version, job.settings))
        attempt = Attempt(row[0], row[1], row[2], row[3], row[4], row[5], row[6] or "")
        outcome = _reached(database, spool, task, attempt, grace)
        if outcome is None:
            again.append(row)
        else:
            standing, now = Standing(*row[7:10]), clock.now()
            verdict = settle(standing, attempt.number, outcome, task.retry, now, chance())
            settled.append(Settled(attempt, outcome, verdict, now))
    found.ended_processes += [str(stray) for stray in end_strays(spool, grace=grace)]
    _write(database, settled, again, [session[0] for session in sessions], clock.now())
    for _, nonce, *_ in sessions:
        remove_tree(database.places.session(nonce))
    found.adopted, found.interrupted = len(settled), len(again)
    return found


def _reached(database: Database, spool: str, task: Task, attempt: Attempt, grace: float) -> Outcome | None:
    """The outcome that the attempt reached without its runner, or None."""
    if not attempt.nonce:
        return None
    if task.mode is Mode.COMMAND and not attempt.key.startswith("@"):
        return adopt(database.places, spool, attempt, grace=grace)
    if task.mode is Mode.PROCESS:
        return read_receipt(database.places.attempt(attempt.item, attempt.number), spool, attempt)
    return None


def _end_workers(folder: Path, grace: float) -> list[str]:
    """Let the worker processes of a dead session finish what they do, then end them."""
    ended = []
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(file.read_bytes())
            pid, ticks = int(known["pid"]), int(known["ticks"])
            end_group(pid, ticks, grace)
            ended.append(f"worker process {pid}")
    return ended


def _write(
    database: Database, settled: list[Settled], again: list[tuple[Any, ...]], sessions: list[int], now: int
) -> None:
    ledger = Ledger(database, 0, "")
    with database.write():
        ledger.settle(settled)
        for row in again:
            database.run("interrupt_open_attempts", now, REASON, row[0])
            database.run("count_runner_death", row[0])
            database.run("interrupt_item", f"interrupted: {REASON}", row[0])
            database.run("followers_freed", row[0])
            database.run("insert_event", now, row[2], row[0], row[1], "item_interrupted", json.dumps({"reason": REASON}))
        for session in sessions:
            database.run("end_session", now, "died", session)
        jobs = {entry.attempt.job for entry in settled}
        ledger.finish(jobs, {e.attempt.job for e in settled if isinstance(e.outcome, Done)}, now)
