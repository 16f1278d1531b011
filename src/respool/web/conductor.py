"""Runs what is due in the spool, one run after the other; while somebody else runs it, leaves all to them.

Nothing is remembered here: what is due is read from the spool, so a server that was killed goes on where it stopped.
Between two runs the spool is free: `respool run` may take it, and is then the live runner that submissions are handed to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from respool.batch.report import RunReport
from respool.batch.snapshot import Snapshot
from respool.batch.spool import Spool
from respool.batch.store.connection import Database
from respool.clock import SYSTEM, Clock
from respool.errors import RespoolError, SpoolBusy, UsageError
from respool.web.pulse import Pulse

LOOK = 1.0  # seconds after which what is due is looked for again, whether something changed or not
REST = 5.0  # seconds before another run is tried after one that could not be

Told = Callable[[str], None]


class Conductor:
    """`engine` runs, `desk` is another connection to the same spool, through which the runs are asked for.

    `listen` is called after each run, which has handled signals itself. `stop` ends `conduct`: a run that is
    under way gets its signals itself, and drains.
    """

    def __init__(
        self, engine: Spool, desk: Database, pulse: Pulse, *, workers: int | str, grace: float, told: Told,
        listen: Callable[[], None], clock: Clock = SYSTEM,
    ) -> None:  # fmt: skip
        self._engine, self._desk, self._pulse = engine, desk, pulse
        self._workers, self._grace, self._told = workers, grace, told
        self._listen, self._clock = listen, clock
        self._stopped: int | None = None
        self._wake = asyncio.Event()
        self._trouble: str | None = None
        self._asked = 0.0
        self.view: Snapshot | None = None

    @property
    def running(self) -> bool:
        """Whether a run of ours is under way."""
        return self.view is not None

    @property
    def trouble(self) -> str | None:
        """What keeps the run from going on, or that it is being stopped."""
        if self.view is None:
            return self._trouble
        if self.view.draining:
            return "the server is being stopped: running items may finish"
        return self.view.trouble

    def stop(self, signal: int) -> None:
        """End, as this signal asks. For a moment without a run."""
        self._stopped = signal
        self._wake.set()

    async def conduct(self) -> int:
        """Run what falls due until a signal ends it; the signal's number. Raises UsageError for a cluster that is none."""
        while self._stopped is None:
            rest = LOOK
            try:
                if self._ask():
                    report = await self._run()
                    if report.signal is not None:
                        return report.signal
                self._trouble = None
            except SpoolBusy:
                pass  # somebody was faster: it is theirs to run
            except UsageError:
                raise
            except RespoolError as error:
                rest = REST
                self._tell(error)
            await self._rest(rest)
        return self._stopped

    def _ask(self) -> bool:
        """Ask for a run of every due job, if nobody holds the spool; whether there is something to be run."""
        if self._engine.runner_alive():
            return False
        due = self._ask_for("jobs_due")
        return due or bool((self._desk.one("any_request") or (0,))[0])

    def _ask_for(self, query: str) -> bool:
        """Leave a request to run each job that a query finds at this moment; whether there is any."""
        now = self._clock.now()
        jobs = [row[0] for row in self._desk.all(query, now)]
        if jobs:
            with self._desk.write():
                for job in jobs:
                    self._desk.insert("insert_request", now, "run", job, "{}", now)
        return bool(jobs)

    async def _run(self) -> RunReport:
        """One run of what was asked for, and of all that is asked for until it ends."""
        try:
            return await self._engine.run_async([], workers=self._workers, grace=self._grace, watcher=self._saw)
        finally:
            self.view = None
            self._listen()

    def _saw(self, view: Snapshot) -> None:
        """Called several times a second during a run, which may last: what pauses in it has a time of its own to go on."""
        if view.trouble is not None and (self.view is None or self.view.trouble is None):
            self._told(f"respool: {view.trouble}")
        self.view = view
        now = self._clock.monotonic()
        if now - self._asked >= LOOK:
            self._asked = now
            with contextlib.suppress(RespoolError):  # the run itself says what keeps the store from being written
                self._ask_for("jobs_to_resume")

    def _tell(self, error: RespoolError) -> None:
        """Say what keeps the work from going on, once for as long as it lasts."""
        if self._trouble != error.what:
            self._told(f"respool: {error}")
        self._trouble = error.what

    async def _rest(self, seconds: float) -> None:
        """Wait for a change in the spool, for `seconds` at most, or for the end."""
        waits = [asyncio.ensure_future(self._pulse.change(seconds)), asyncio.ensure_future(self._wake.wait())]
        _, left = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in left:
            each.cancel()
