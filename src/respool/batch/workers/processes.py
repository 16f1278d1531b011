"""Plain functions in worker processes: one item's hang, segfault or hunger for memory ends its own worker only.

Every worker is a fresh interpreter with a session (and process group) of its own, started when there is work for it and
never forked from the runner: it inherits no lock and no thread, does not run the user's `__main__` again, and Ctrl-C in
the terminal does not reach it. The runner alone decides what ends; a runner that dies leaves workers that finish their
attempt, write its receipt, and end by themselves (see worker_process.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from respool.batch.declaration import Task
from respool.batch.execute import timed_out
from respool.batch.model import Attempt, Failed, Kind, Later, Outcome, outcome_from_data
from respool.batch.places import Places
from respool.batch.workers.contract import Note, Report
from respool.batch.workers.lanes import Lane, Lanes
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.receipt import read_receipt
from respool.batch.workers.supervisor import SCARCE, SCARCITY
from respool.batch.workers.worker_process import HEADER, frame

PATIENCE = 1.0  # seconds that an idle worker gets to end by itself when the workers close
_LOADING = "its worker process died while it loaded the task's module, twice"
_PROGRAM = (
    "import json, sys; s = json.loads(sys.argv.pop()); sys.path[:] = s.pop('path'); "
    "from respool.batch.workers.worker_process import Settings, serve; serve(Settings(**s))"
)


class _Worker:
    """A worker process as its runner sees it."""

    def __init__(self, process: asyncio.subprocess.Process, reader: Any, writer: Any) -> None:
        self.process, self.reader, self.writer = process, reader, writer
        self.pid: int = process.pid
        self.ticks = start_ticks(process.pid) or 0
        self.watch = asyncio.get_running_loop().create_task(self._notice_death())

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def receive(self) -> dict[str, Any] | None:
        """The worker's next message, or None when it is dead."""
        try:
            header = await self.reader.readexactly(HEADER)
            return dict(json.loads(await self.reader.readexactly(int.from_bytes(header, "big"))))
        except (asyncio.IncompleteReadError, OSError):
            return None

    def send(self, message: dict[str, Any]) -> None:
        self.writer.write(frame(message))

    def kill(self) -> None:
        """End the worker and all that it started (what moved to a session of its own excepted), now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def bury(self) -> int:
        """Wait for the end of a worker that is dying, end what it left in its group, and return its exit code."""
        code = await self.process.wait()
        self.kill()
        self.watch.cancel()
        self.writer.transport.abort()
        return code

    async def _notice_death(self) -> None:
        # The socket tells of a death by itself, unless a child of the worker still holds the other end.
        await self.process.wait()
        await asyncio.sleep(0.05)  # what the worker had sent before is read first
        self.writer.transport.abort()


class _Lane(Lane):
    """With the worker that it keeps from one attempt to the next."""

    __slots__ = ("worker",)

    def __init__(self) -> None:
        super().__init__()
        self.worker: _Worker | None = None


class ProcessWorkers(Lanes[_Lane]):
    """Runs at most `size` attempts at once, each in a process. See contract.Workers.

    A task is loaded in its worker by name, as seen from `folder`. `durable` receipts survive a power cut as well.
    """

    def __init__(
        self, size: int, report: Report, note: Note, *, spool_id: str, places: Places, nonce: str,
        folder: Path | None = None, durable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(size, report)
        self._note, self._spool_id, self._places, self._nonce = note, spool_id, places, nonce
        self._folder, self._durable = folder, durable
        self._workers: set[_Worker] = set()
        # More interpreters starting at once than there are processors only delay the first result.
        self._starting = asyncio.Semaphore(max(1, os.cpu_count() or 1))

    def new_lane(self) -> _Lane:
        return _Lane()

    async def serve(self, lane: _Lane) -> None:
        # An item is taken when there is a worker for it; until then it is any other lane's to take.
        with contextlib.suppress(Exception):  # `run` tries again, and says what is wrong
            await self._start_worker(lane)
        await super().serve(lane)

    async def run(self, lane: _Lane, attempt: Attempt, task: Task) -> Outcome:
        for _ in range(2):  # a worker that had died unnoticed before: the item is not to blame
            outcome = await self._start_worker(lane) or lane.verdict or await self._try(lane, attempt, task)
            if outcome is not None:
                return outcome
        return Failed(Kind.CRASHED, _LOADING)

    def stop(self, lane: _Lane) -> None:
        if lane.worker is not None:
            lane.worker.kill()

    async def free(self) -> None:
        for worker in self._workers:
            worker.writer.close()  # the end of the socket is the end of the worker's work
        if self._workers:
            ended = [asyncio.ensure_future(worker.process.wait()) for worker in self._workers]
            await asyncio.wait(ended, timeout=PATIENCE)
        for worker in list(self._workers):
            await self._dismiss(worker)

    def pids(self) -> dict[int, int]:
        return {worker.pid: worker.ticks for worker in self._workers if worker.alive}

    async def _start_worker(self, lane: _Lane) -> Outcome | None:
        """Give the lane a worker that is ready to work, if it has none and there is work; or say what is wrong."""
        if lane.worker is not None:
            if lane.worker.alive:
                return None
            await self._dismiss(lane.worker)
            lane.worker = None
        async with self._starting:
            if lane.verdict is not None or self.closed or not (lane.attempt or self.waiting):
                return None
            try:
                worker = await self._launch()
            except OSError as error:
                why = f"no worker process could be started: {error}"
                return Later(SCARCITY, why) if error.errno in SCARCE else Failed(Kind.CRASHED, why)
            if await worker.receive() is None:
                code = await self._dismiss(worker)
                return Failed(Kind.CRASHED, f"a worker process {_ending(code)} while it started; see its stderr")
            lane.worker = worker
        return None

    async def _launch(self) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            settings = {
                "path": sys.path, "socket": theirs.fileno(), "database": str(self._places.database),
                "spool_id": self._spool_id, "nonce": self._nonce, "durable": self._durable,
                "folder": None if self._folder is None else str(self._folder),
            }  # fmt: skip
            try:
                # Children forked by a task show this mark, of no item; programs that it starts show their item.
                # What a task prints goes to stderr: stdout belongs to the runner, and may be read by a machine.
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", _PROGRAM, json.dumps(settings), pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL, stdout=2, start_new_session=True,
                    env={**os.environ, "RESPOOL_ATTEMPT": f"{self._spool_id}:0:0:{self._nonce}"},
                )  # fmt: skip
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        worker = _Worker(process, reader, writer)
        self._workers.add(worker)
        return worker

    async def _try(self, lane: _Lane, attempt: Attempt, task: Task) -> Outcome | None:
        """What became of the attempt; None if the worker died before it had begun."""
        worker, timer, begun = lane.worker, None, False
        assert worker is not None
        worker.send({"task": task.name, "memory": task.memory, "attempt": attempt})
        try:
            while (message := await worker.receive()) is not None:
                if "outcome" in message:
                    if message["retire"]:
                        lane.worker = None
                        await self._dismiss(worker)
                    return outcome_from_data(message["outcome"])
                if "note" in message:
                    self._note(attempt, message["note"])
                elif "begun" in message:
                    begun = True
                    if task.timeout is not None:
                        late = timed_out(task.timeout)
                        timer = asyncio.get_running_loop().call_later(task.timeout, self.end, lane, late)
        finally:
            if timer is not None:
                timer.cancel()
        lane.worker = None
        code = await self._dismiss(worker)
        # It may have finished in the very moment in which it died: then its receipt is there.
        receipt = read_receipt(self._places.attempt(attempt.item, attempt.number), self._spool_id, attempt)
        if receipt or lane.verdict or not begun:
            return receipt or lane.verdict
        return Failed(Kind.CRASHED, f"its worker process {_ending(code)}{_hint(task, code)}")

    async def _dismiss(self, worker: _Worker) -> int:
        """See a worker to its end, and forget it."""
        if worker.alive:
            worker.writer.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(worker.process.wait(), PATIENCE if not self.closed else 0.01)
            worker.kill()
        code = await worker.bury()
        self._workers.discard(worker)
        (self._places.session(self._nonce) / str(worker.pid)).unlink(missing_ok=True)
        return code


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended itself with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _hint(task: Task, code: int) -> str:
    if task.memory is not None:
        return f" (its memory limit is {task.memory:,} bytes)"
    return " (out of memory?)" if code == -signal.SIGKILL else ""
