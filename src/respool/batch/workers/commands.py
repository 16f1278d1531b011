"""Attempts that are commands: each runs under a shim (shim.py) that outlives the runner and leaves a receipt."""

from __future__ import annotations

import asyncio
import marshal
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from respool import canonical
from respool.batch.declaration import Command, Task
from respool.batch.model import Attempt, Failed, Interrupted, Kind, Later, Outcome
from respool.batch.places import OUTPUT, VERDICT, Places
from respool.batch.workers.command_line import command_of, fill
from respool.batch.workers.contract import Note, Report
from respool.batch.workers.lanes import Lane, Lanes
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.receipt import judge_receipt, read_receipt
from respool.batch.workers.remains import MARK, adopt
from respool.batch.workers.supervisor import SCARCE, SCARCITY
from respool.errors import UsageError
from respool.files import private_folder, write_atomic

GRACE = 5.0  # seconds between SIGTERM and SIGKILL
OUTPUT_CAP = 64 * 1024 * 1024  # bytes of a command's output that are kept
_SHIM = str(Path(__file__).absolute().with_name("shim.py"))
_PATIENCE = 3.0  # seconds beyond the grace time in which a living shim has ended its command


class _Lane(Lane):
    """With the shim that runs in it."""

    __slots__ = ("shim",)

    def __init__(self) -> None:
        super().__init__()
        self.shim: _Shim | None = None


class CommandWorkers(Lanes[_Lane]):
    """Runs at most `size` commands at once. See contract.Workers.

    `grace` seconds lie between SIGTERM and SIGKILL, `output_cap` bytes of each output are kept (the tail), `durable`
    receipts survive a power cut as well. Notes are for functions: a command has no channel for them.
    """

    def __init__(
        self, size: int, report: Report, note: Note, *, spool_id: str, places: Places, grace: float = GRACE,
        output_cap: int = OUTPUT_CAP, durable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(size, report)
        self._spool_id, self._places = spool_id, places
        self._grace, self._output_cap, self._durable = grace, output_cap, durable

    def new_lane(self) -> _Lane:
        return _Lane()

    async def run(self, lane: _Lane, attempt: Attempt, task: Task) -> Outcome:
        try:
            lane.shim = _Shim(self._start(attempt, task))
        except UsageError as error:
            return Failed(Kind.INVALID, error.what, final=True, detail=str(error))
        except (OSError, subprocess.SubprocessError) as error:
            why = f"cannot start the command's shim: {error}"
            scarce = isinstance(error, OSError) and error.errno in SCARCE
            return Later(SCARCITY, why) if scarce else Failed(Kind.UNAVAILABLE, why)
        outcome = await self._outcome(attempt, lane.shim)
        lane.shim = None
        if outcome is None or isinstance(outcome, Interrupted):
            return lane.verdict or outcome or Interrupted("its shim was asked to stop")
        return outcome

    def stop(self, lane: _Lane) -> None:
        if lane.shim is not None:
            lane.shim.stop(self._grace + _PATIENCE)

    def pids(self) -> dict[int, int]:
        shims = [lane.shim for lane in self.lanes if lane.shim is not None]
        return {shim.process.pid: shim.ticks for shim in shims if shim.process.returncode is None}

    def _start(self, attempt: Attempt, task: Task) -> subprocess.Popen[bytes]:
        command = command_of(task)
        payload = canonical.decode(attempt.payload)
        folder = self._places.attempt(attempt.item, attempt.number)
        if folder.exists():
            # Attempts are numbered once. This one's row was lost with the last commits before a power cut, or by
            # going back to a backup; what it ran was ended when the runner started (remains.end_strays).
            shutil.rmtree(folder)
        cwd = os.path.abspath(fill(command.cwd, attempt.key, payload) if command.cwd is not None else os.getcwd())
        outputs = [fill(template, attempt.key, payload) for template in command.outputs]
        environment = self._environment(attempt, command, folder)
        spec = {
            "argv": [fill(template, attempt.key, payload) for template in command.argv], "cwd": cwd,
            "outputs": [[name, os.path.join(cwd, name)] for name in outputs], "marker": command.marker or "",
            "timeout": task.timeout, "memory": task.memory, "grace": self._grace, "cap": self._output_cap,
            "durable": self._durable, "drop_locale": "LC_CTYPE" not in environment,
            "output": str((folder / OUTPUT).relative_to(self._places.files)),
            "receipt": {
                "spool": self._spool_id, "item": attempt.item, "attempt": attempt.number, "nonce": attempt.nonce,
                "fingerprint": attempt.fingerprint,
            },
        }  # fmt: skip
        private_folder(folder)
        write_atomic(folder / "payload.json", attempt.payload, durable=False)
        write_atomic(folder / "spec", marshal.dumps(spec), durable=False)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", _SHIM, str(folder)], env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
        )  # fmt: skip

    def _environment(self, attempt: Attempt, command: Command, folder: Path) -> dict[str, str]:
        return {
            **os.environ, **dict(command.env),
            MARK: f"{self._spool_id}:{attempt.item}:{attempt.number}:{attempt.nonce}",
            "RESPOOL_KEY": attempt.key, "RESPOOL_ATTEMPT_NUMBER": str(attempt.number),
            "RESPOOL_PAYLOAD": str(folder / "payload.json"), "RESPOOL_VERDICT": str(folder / VERDICT),
            "RESPOOL_PACE": str(self._places.pace),
        }  # fmt: skip

    async def _outcome(self, attempt: Attempt, shim: _Shim) -> Outcome | None:
        """What the command came to when its shim has ended; None if there is nothing, because the shim was stopped."""
        said = await shim.ended()
        folder = self._places.attempt(attempt.item, attempt.number)
        outcome = read_receipt(folder, self._spool_id, attempt) or judge_receipt(said, self._spool_id, attempt)
        if outcome is not None:
            return outcome
        # The shim died without a receipt: its command may well be alive. The same way as after a dead runner.
        late = await asyncio.to_thread(adopt, self._places, self._spool_id, attempt, grace=self._grace)
        if late is not None or shim.stopped:
            return late
        code = shim.process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return Failed(Kind.CRASHED, f"the command's shim {how}", detail=said.decode("utf-8", "replace")[-4000:] or None)


class _Shim:
    """A shim as its runner sees it. The end of its standard output, which nobody else holds, is its end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.ticks = start_ticks(process.pid) or 0
        self.stopped = False
        self._hammer: asyncio.TimerHandle | None = None
        self._said = b""
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[None] = self._loop.create_future()
        assert process.stdout is not None
        self._pipe = process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._loop.add_reader(self._pipe.fileno(), self._read)

    def stop(self, patience: float) -> None:
        """Ask the shim to end its command; kill a shim that has not done so after `patience` seconds."""
        if self.process.returncode is None:
            self.stopped = True
            self.process.send_signal(signal.SIGTERM)
            self._hammer = self._loop.call_later(patience, self.process.kill)

    async def ended(self) -> bytes:
        """What the shim said (nothing, unless something went wrong), when it has ended."""
        await self._end
        return self._said

    def _read(self) -> None:
        data: bytes | None = self._pipe.read(65536)  # None: nothing there yet
        if data:
            self._said = (self._said + data)[-65536:]
        elif data is not None:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
            self.process.wait()  # at most the microseconds between its last close and its end
            if self._hammer is not None:
                self._hammer.cancel()
            self._end.set_result(None)
