"""The stream of events, as server-sent events: what happened, in its order, with the spool's own numbers as ids.

A client that reconnects sends the last id that it saw and misses nothing. If what it missed has been pruned, or the
spool is another one, it gets `reset`: it must read the state anew, and the stream goes on from now.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from respool.web.api import EVERYWHERE, HIGHEST
from respool.web.office import AnOffice, Office

QUIET = 15.0  # seconds after which a comment keeps the connection alive
GROUP = 500  # events read at once
AGAIN = 1000  # milliseconds after which a browser reconnects

events = APIRouter(responses=EVERYWHERE)


@events.get(
    "/events", summary="Follow what happens", response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The stream."}},
)  # fmt: skip
async def stream_events(
    request: Request, office: AnOffice,
    job: Annotated[int | None, Query(ge=1, le=HIGHEST, description="Only of this job.")] = None,
    after: Annotated[int | None, Query(ge=0, le=HIGHEST, description="Begin after this number, not with now.")] = None,
    brief: Annotated[bool, Query(description="Only `changed`, a few times a second, with the jobs' numbers.")] = False,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{0,18}$")] = None,
) -> StreamingResponse:  # fmt: skip
    """Server-sent events: `id` is the event's number, `event` its type, `data` the event as `jobs events --json` tells it."""
    start = int(last_event_id) if last_event_id else after
    lines = _stream(office, job, start, brief)
    return StreamingResponse(lines, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _stream(office: Office, job: int | None, start: int | None, brief: bool) -> AsyncIterator[str]:
    first, last = office.looking.database.one("first_event") or (None, None)
    seq = (last or 0) if start is None else start
    yield f"retry: {AGAIN}\n\n"
    if start is not None and missed(start, first, last):
        seq = last or 0
        yield _message(seq, "reset", {"first": first, "last": last})
    changed = False
    while not office.pulse.ended:
        found = office.looking.events(seq, job, GROUP)
        seq = found[-1]["seq"] if found else seq
        if brief and (found or changed):  # that an item has begun is no event, but something to be seen
            yield _message(seq, "changed", {"jobs": sorted({event["job"] for event in found if event["job"] is not None})})
        for event in found if not brief else ():
            yield _message(event["seq"], event["type"], event)
        if len(found) < GROUP:
            changed = await office.pulse.change(QUIET)
            if not changed:
                yield ": still here\n\n"


def missed(seen: int, first: int | None, last: int | None) -> bool:
    """Whether events after `seen` are gone, when those that are left reach from `first` to `last`.

    >>> missed(4, 5, 9), missed(3, 5, 9), missed(12, 5, 9)
    (False, True, True)
    """
    if first is None or last is None:
        return seen > 0
    return seen < first - 1 or seen > last


def _message(seq: int, name: str, data: Any) -> str:
    return f"id: {seq}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
