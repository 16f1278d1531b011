"""What a dead runner left behind: results that were reached are taken, processes that still run are ended, and only then
may anything start again. Done by whoever has just got the owner lock.

Looking is apart from writing: what is found can be written again if the disk does not take it, and found again by the
next runner if this one dies meanwhile.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt, Done, ItemState, Outcome
from respool.batch.places import Places
from respool.batch.reconcile import WITHDRAWN
from respool.batch.settle import Settled, Standing, Verdict, settle
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.ledger import Ledger
from respool.batch.workers.receipt import clear_receipt, read_receipt
from respool.batch.workers.remains import adopt, end_group, end_strays
from respool.batch.workers.takeover import Act, at_once, at_once_beside
from respool.clock import Clock
from respool.files import remove_tree

GRACE = 5.0  # seconds that a process of a dead runner gets to finish or to end by itself
REASON = "its runner died"


@dataclass(slots=True)
class Leftovers:
    """What was found: the attempts that reached an outcome, the rows to run again, the processes that were ended."""

    reached: list[tuple[tuple[Any, ...], Attempt, Task, Outcome]] = field(default_factory=list)
    again: list[tuple[Any, ...]] = field(default_factory=list)
    sessions: list[tuple[int, str]] = field(default_factory=list)
    ended_processes: list[str] = field(default_factory=list)

    @property
    def adopted(self) -> int:
        """How many results are taken over."""
        return len(self.reached)

    @property
    def interrupted(self) -> int:
        """How many items run again."""
        return len(self.again)

    def write(self, database: Database, clock: Clock, chance: Callable[[], float]) -> None:
        """Write it down, in one transaction; raises SpoolUnwritable and may then be called again."""
        if not (self.reached or self.again or self.sessions):
            return
        now, settled = clock.now(), []
        for row, attempt, task, outcome in self.reached:
            verdict = settle(Standing(*row[7:10]), attempt.number, outcome, task.retry, now, chance())
            dropped = _unwanted(row, verdict.state)
            if dropped is not None:
                verdict = Verdict(ItemState.CANCELLED, None, None, 0, verdict.standing)
            settled.append(Settled(attempt, outcome, verdict, now, dropped))
        _write(database, settled, self.again, [session for session, _ in self.sessions], now)
        for _, attempt, _, _ in self.reached:
            clear_receipt(database.places.attempt(attempt.item, attempt.number))
        for _, nonce in self.sessions:
            remove_tree(database.places.session(nonce))


async def find_leftovers(database: Database, *, own: int, grace: float = GRACE) -> Leftovers:
    """See to every row that says running, as the new holder of the owner lock, whose session is `own`.

    Afterwards no process of an earlier runner of this spool works on an item; what becomes of the rows is in the answer,
    still to be written. Takes about `grace` seconds if a process has to be ended, however many there are.
    """
    search, answers = _search(database, own, grace), None
    while True:
        try:
            acts = search.send(answers)
        except StopIteration as found:
            return cast(Leftovers, found.value)
        answers = await at_once_beside(acts)


def adopt_leftovers(database: Database, clock: Clock, chance: Callable[[], float], *, grace: float = GRACE) -> Leftovers:
    """The same for who has no event loop, and written down."""
    search, answers = _search(database, 0, grace), None
    while True:
        try:
            acts = search.send(answers)
        except StopIteration as found:
            leftovers = cast(Leftovers, found.value)
            leftovers.write(database, clock, chance)
            return leftovers
        answers = at_once(acts)


def _search(database: Database, own: int, grace: float) -> Generator[list[Act], list[Any] | None, Leftovers]:
    """Yields what blocks, a list of acts at a time, and is sent their answers."""
    found = Leftovers(sessions=[(row[0], row[1]) for row in database.all("open_sessions", own)])
    rows = database.all("running_rows")
    if not rows and not found.sessions:
        return found
    spool, places = reading.spool_id(database), database.places
    # The workers first: what they finish while they are asked to end is a result of their attempts.
    workers = [worker for _, nonce in found.sessions for worker in _workers(places.session(nonce))]
    yield [partial(end_group, pid, ticks, grace) for pid, ticks in workers]
    found.ended_processes += [f"worker process {pid}" for pid, _ in workers]
    tasks: dict[int, Task] = {}
    tries: list[tuple[Attempt, Task]] = []
    for row in rows:
        if row[2] not in tasks:
            job = reading.job(database, row[2])
            tasks[job.id] = Task.from_settings(job.task, job.version, job.settings)
        tries.append((Attempt(row[0], row[1], row[2], row[3], row[4], row[5], row[6] or ""), tasks[row[2]]))
    outcomes = yield [partial(_reached, places, spool, task, attempt, grace) for attempt, task in tries]
    for row, (attempt, task), outcome in zip(rows, tries, outcomes or (), strict=True):
        if outcome is None:
            found.again.append(row)
        else:
            found.reached.append((row, attempt, task, outcome))
    strays = yield [partial(end_strays, spool, grace=grace)]
    found.ended_processes += [str(one) for one in (strays or [[]])[0]]
    return found


def _reached(places: Places, spool: str, task: Task, attempt: Attempt, grace: float) -> Outcome | None:
    """The outcome that the attempt reached without its runner, or that its runner could not write; or None."""
    if not attempt.nonce:
        return None
    if task.mode is Mode.COMMAND and not attempt.key.startswith("@"):
        return adopt(places, spool, attempt, grace=grace)
    return read_receipt(places.attempt(attempt.item, attempt.number), spool, attempt)


def _workers(folder: Path) -> list[tuple[int, int]]:
    """(pid, start) of the worker processes that a session recorded."""
    found = []
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(file.read_bytes())
            found.append((int(known["pid"]), int(known["ticks"])))
    return found


def _unwanted(row: tuple[Any, ...], state: ItemState) -> str | None:
    """Why the item of a running row is to be dropped where it would now get `state`; None if it is not."""
    if row[11]:
        return WITHDRAWN
    return "cancelled" if row[12] and state is ItemState.PENDING else None


def _write(
    database: Database, settled: list[Settled], again: list[tuple[Any, ...]], sessions: list[int], now: int
) -> None:
    ledger = Ledger(database, "")
    with database.write():
        ledger.settle(settled)
        for row in again:
            database.run("interrupt_open_attempts", now, REASON, row[0])
            database.run("count_runner_death", row[0])
            database.run("interrupt_item", f"interrupted: {REASON}", row[0])
            if (dropped := _unwanted(row, ItemState.PENDING)) is not None:
                database.run("drop_item", dropped, now, row[0])
            database.run("followers_freed", row[0])
            database.run("insert_event", now, row[2], row[0], row[1], "item_interrupted", json.dumps({"reason": REASON}))
        for session in sessions:
            database.run("end_session", now, "died", session)
        jobs = {entry.attempt.job for entry in settled} | {row[2] for row in again}
        ledger.finish(jobs, {e.attempt.job for e in settled if isinstance(e.outcome, Done)}, now)
