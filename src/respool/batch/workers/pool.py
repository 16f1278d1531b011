"""The workers of one runner, by mode: each kind is made when its first attempt comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt, Interrupted, Outcome
from respool.batch.places import Places
from respool.batch.workers.contract import Note, Report, Workers
from respool.batch.workers.receipt import Clearing, clear_receipt


@dataclass(frozen=True, slots=True)
class Instead:
    """What runs everything in place of the four kinds of workers of ours (a rehearsal, a cluster).

    `make` is called once for each folder that tasks are seen from; `check` raises UsageError for a task that cannot run
    there, before any of its items is started. `place` says where that is, None if it is this very process.
    """

    make: Callable[[Report, Note, Path], Workers]
    check: Callable[[Task], None] = lambda task: None
    place: str | None = None


class Pool:
    """Routes attempts to the workers of their task's mode. The same promises as `Workers`."""

    def __init__(
        self, size: int, report: Report, note: Note, *, spool_id: str, places: Places, nonce: str,
        durable: bool, instead: Instead | None = None,
    ) -> None:  # fmt: skip
        self.size = size
        self._report, self._note = report, note
        self._spool_id, self._places, self._nonce = spool_id, places, nonce
        self._durable = durable
        self._instead = instead
        self._workers: dict[tuple[Mode | None, Path | None], Workers] = {}
        self._homes: dict[tuple[int, int], Workers] = {}
        self._clearing, self._closed = Clearing(), False

    def put(self, attempt: Attempt, task: Task, folder: Path) -> None:
        """Run this attempt where its task wants to run; worker processes load it as seen from `folder`."""
        ours = task.mode is Mode.THREAD and attempt.key.startswith("@")
        mode = None if self._instead is not None and not ours else task.mode
        place = (mode, folder if mode is None or mode is Mode.PROCESS else None)
        workers = self._workers.get(place)
        if workers is None:
            workers = self._workers[place] = self._make(mode, folder)
        if mode is not Mode.ASYNC:
            self._homes[attempt.item, attempt.number] = workers
        workers.put(attempt, task)

    def interrupt(self, attempt: Attempt, reason: str) -> None:
        """End this attempt now."""
        home = self._homes.get((attempt.item, attempt.number)) or self._workers.get((Mode.ASYNC, None))
        if home is not None:
            home.interrupt(attempt, reason)

    def forget(self, attempt: Attempt, outcome: Outcome) -> None:
        """What it reported is committed: nobody will ask for its receipt again."""
        home = self._homes.pop((attempt.item, attempt.number), None)
        # The folder of an interrupted one may hold the mark by which a late shim sees that it was given up.
        if home is not None and not isinstance(outcome, Interrupted):
            folder = self._places.attempt(attempt.item, attempt.number)
            if self._closed:
                clear_receipt(folder)
            else:
                self._clearing.clear(folder)

    async def close(self) -> None:
        """End everything that still runs. What reports in the end is still to be forgotten afterwards."""
        for workers in self._workers.values():
            await workers.close()
        self._closed = True
        self._clearing.close()

    def pids(self) -> dict[int, int]:
        """Process groups in use."""
        return {pid: ticks for workers in self._workers.values() for pid, ticks in workers.pids().items()}

    def _make(self, mode: Mode | None, folder: Path) -> Workers:
        # Imported when needed: a batch of coroutines should not pay for the machinery of processes, nor the reverse.
        if mode is None:
            assert self._instead is not None
            return self._instead.make(self._report, self._note, folder)
        if mode is Mode.ASYNC:
            from respool.batch.workers.coroutines import CoroutineWorkers

            return CoroutineWorkers(
                self.size, self._report, self._note, spool_id=self._spool_id, places=self._places
            )  # fmt: skip
        if mode is Mode.THREAD:
            from respool.batch.workers.threads import ThreadWorkers

            return ThreadWorkers(self.size, self._report, self._note, spool_id=self._spool_id, places=self._places)
        if mode is Mode.COMMAND:
            from respool.batch.workers.commands import CommandWorkers

            return CommandWorkers(
                self.size, self._report, self._note, spool_id=self._spool_id, places=self._places,
                durable=self._durable,
            )  # fmt: skip
        from respool.batch.workers.processes import ProcessWorkers

        return ProcessWorkers(
            self.size, self._report, self._note, spool_id=self._spool_id, places=self._places, nonce=self._nonce,
            folder=folder, durable=self._durable,
        )  # fmt: skip
