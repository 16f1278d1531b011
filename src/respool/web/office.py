"""What every route needs, in one place: how to read the spool, how to submit to it, who runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from respool.batch.spool import JobHandle, Spool
from respool.batch.store.intake import resume
from respool.clock import Clock
from respool.web.conductor import Conductor
from respool.web.gate import Keys
from respool.web.looking import Looking
from respool.web.pulse import Pulse
from respool.web.registered import RegisteredTasks
from respool.web.submissions import Submissions


@dataclass(frozen=True, slots=True)
class Office:
    """One server's hands. `desk` is its connection for what it asks of the spool; the runner has one of its own, and so do
    the submissions, which are taken in beside the event loop."""

    looking: Looking
    desk: Spool
    submissions: Submissions
    tasks: RegisteredTasks
    pulse: Pulse
    conductor: Conductor
    keys: Keys
    clock: Clock
    max_body: int

    def job(self, number: int) -> JobHandle:
        """A job to be acted upon. Raises JobNotFound."""
        return self.desk.job(number)

    def resume(self, number: int) -> int | None:
        """Let a paused job go on: 1 if it was paused, None if the live runner was asked to."""
        self.looking.job(number)
        return self.desk.ask("run", number, "{}", lambda database, now: resume(database, number, now))


def office_of(request: Request) -> Office:
    """The office of the application that a request is for."""
    return cast(Office, request.app.state.office)


AnOffice = Annotated[Office, Depends(office_of)]
