"""A server and the runner beside it, in one event loop: from the options of `respool serve` to the signal that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

from respool.batch.spool import Spool
from respool.batch.store.connection import Database
from respool.clock import SYSTEM
from respool.errors import UsageError
from respool.web.app import application
from respool.web.conductor import Conductor
from respool.web.gate import LOOPBACK, Keys
from respool.web.looking import Looking
from respool.web.office import Office
from respool.web.pulse import Pulse
from respool.web.redacting import Redactor
from respool.web.registered import RegisteredTasks
from respool.web.settings import ServeSettings
from respool.web.submissions import Submissions

LINGER = 3  # seconds that answers under way get at the end
HURRY = 0.5  # seconds that a foreign writer may hold up a request, and with it the loop

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Serving:
    """What to serve, and how. `spool` is what the command line names, None for the project's."""

    settings: ServeSettings
    host: str
    port: int
    token: str
    spool: str | None
    workers: int | str
    grace: float
    patience: float


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: they belong to whoever owns the main thread."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises UsageError if that cannot be."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0  # those of name look-ups are below 0, and have their own text
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"nothing can listen on {host} port {port}: {reason}", command="choose another: --port 0 takes a free one"
        ) from None
    # Connections inherit it. The event loop sets it only where it made the socket; without, each answer waits 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


async def serve(
    serving: Serving, sock: socket.socket, *, told: Told, ready: Callable[[], None],
    listen: Callable[[Callable[[int], None]], None],
) -> int:  # fmt: skip
    """Serve on `sock`, and run what is due, until a signal; its number.

    `ready` is called when requests are answered. `listen` is to let signals call what it is given; it is called again
    after each run, which handles them itself.
    """
    tasks = RegisteredTasks(serving.settings.tasks, serving.settings.folder)
    with contextlib.ExitStack() as open_spools:
        desk = open_spools.enter_context(Spool(serving.spool, patience=HURRY))
        desk.database()
        engine = open_spools.enter_context(Spool(serving.spool, patience=serving.patience, told=told))
        reader = open_spools.enter_context(Database.open(desk.places, read_only=True))
        submissions = Submissions(Spool(serving.spool, patience=HURRY), serving.settings.capacity)
        open_spools.callback(submissions.close)
        pulse = Pulse(reader)
        conductor = Conductor(
            engine, desk.database(), pulse, workers=serving.workers, grace=serving.grace, told=told,
            listen=lambda: listen(conductor.stop),
        )  # fmt: skip
        office = Office(
            Looking(reader, Redactor()), desk, submissions, tasks, pulse, conductor,
            Keys(serving.token, sock.getsockname()[1]), SYSTEM, serving.settings.max_body,
        )  # fmt: skip
        any_address = serving.host not in LOOPBACK
        app = application(
            office, hosts=(*serving.settings.hosts, serving.host), any_address=any_address, told=told
        )  # fmt: skip
        listen(conductor.stop)
        return await _both(app, sock, conductor, pulse, ready)


async def _both(app: Any, sock: socket.socket, conductor: Conductor, pulse: Pulse, ready: Callable[[], None]) -> int:
    config = uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, server_header=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=LINGER,
    )  # fmt: skip
    server = _Server(config)
    serving, beating = asyncio.create_task(server.serve(sockets=[sock])), asyncio.create_task(pulse.beat())
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        ready()
        return await conductor.conduct()
    finally:
        pulse.end()  # streams of events end, which would otherwise keep the server waiting
        server.should_exit = True
        await serving
        beating.cancel()
