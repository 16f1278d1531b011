"""The program of a worker process: takes attempts from its runner, one at a time, and answers with outcomes.

Runner and worker talk over one socket, in frames: four bytes of length, then JSON. The runner sends
`{"task", "memory", "attempt"}`. The worker sends `{"ready"}` once; then for each attempt `{"begun"}` when its task is
loaded, any number of `{"note"}`, and one `{"outcome"}` (with "retire" if it ends itself afterwards).

Before an outcome is sent, it lies in the attempt's folder as a receipt: if the runner is killed meanwhile, the worker
finishes its attempt, leaves the receipt, finds the socket closed, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Any

from respool.batch.context import Context
from respool.batch.declaration import Mode, Task
from respool.batch.execute import failure, try_async, try_sync
from respool.batch.model import Attempt, Failed, Kind, Outcome, outcome_to_data
from respool.batch.places import Places
from respool.batch.tasks import resolve
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.receipt import write_receipt
from respool.errors import RespoolError
from respool.files import private_folder, write_atomic

HEADER = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker process is told on its command line, as JSON."""

    socket: int  # the number of the descriptor that it inherited
    database: str
    spool_id: str
    nonce: str
    folder: str | None
    durable: bool


class Channel:
    """The worker's end of the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._file = end.makefile("rb")
        self._sending = Lock()

    def receive(self) -> dict[str, Any] | None:
        """The next frame, or None when the runner is gone."""
        try:
            header = self._file.read(HEADER)
            content = self._file.read(int.from_bytes(header, "big"))
        except OSError:
            return None
        return dict(json.loads(content)) if content else None

    def send(self, **message: Any) -> bool:
        """Send a frame; False when the runner is gone."""
        try:
            with self._sending:  # a task may send its notes from threads of its own
                self._socket.sendall(frame(message))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the socket (a forked child does: it would keep the runner waiting for a dead worker)."""
        with contextlib.suppress(OSError):
            os.close(self._socket.detach())


def frame(message: dict[str, Any]) -> bytes:
    """A message as it goes over the socket."""
    content = json.dumps(message).encode()
    return len(content).to_bytes(HEADER, "big") + content


def serve(settings: Settings) -> None:
    """Work until the runner closes the socket, or dies."""
    faulthandler.enable()  # a segfault says where it happened, on stderr
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Ctrl-C, a closing terminal and a stopped service reach every process; what to end, and when, the runner
        # decides. Not SIG_IGN, which the programs that a task starts would inherit.
        signal.signal(number, _leave_it_to_the_runner)
    places = Places(Path(settings.database))
    _register(places.session(settings.nonce))
    worker = os.getpid()
    channel = Channel(socket.socket(fileno=settings.socket))
    os.register_at_fork(after_in_child=channel.close)
    channel.send(ready=True)
    while (message := channel.receive()) is not None:
        attempt = Attempt(*message["attempt"])
        os.environ["RESPOOL_ATTEMPT"] = f"{settings.spool_id}:{attempt.item}:{attempt.number}:{attempt.nonce}"
        folder = places.attempt(attempt.item, attempt.number)
        context = Context(attempt, settings.spool_id, folder, partial(_note, channel))
        outcome = _try(message, attempt, context, channel, settings.folder)
        if os.getpid() != worker:
            os._exit(0)  # a child that the task forked came back here; its parent answers
        _leave_receipt(folder, settings, attempt, outcome)
        with contextlib.suppress(OSError, ValueError):  # the task may have closed it
            sys.stdout.flush()
        retire = message["memory"] is not None and isinstance(outcome, Failed)  # what a hog took may stay allocated
        if not channel.send(outcome=outcome_to_data(outcome), retire=retire) or retire:
            return


def _leave_it_to_the_runner(number: int, frame: FrameType | None) -> None:
    pass


def _register(folder: Path) -> None:
    pid = os.getpid()
    record = {"pid": pid, "ticks": start_ticks(pid) or 0}
    try:
        write_atomic(private_folder(folder) / str(pid), json.dumps(record), durable=False)
    except OSError as error:
        # A full disk is no reason not to work: without a record, the mark in our environment still tells whose we are.
        sys.stderr.write(f"respool: worker process {pid} is not on record: {error}\n")


def _note(channel: Channel, text: str) -> None:
    channel.send(note=text)


@lru_cache(maxsize=256)
def _resolved(name: str, folder: str | None) -> Task:
    return resolve(name, folder=None if folder is None else Path(folder))


def _try(
    message: dict[str, Any], attempt: Attempt, context: Context, channel: Channel, folder: str | None
) -> Outcome:
    try:
        task = _resolved(message["task"], folder)
    except RespoolError as error:
        return Failed(Kind.RAISED, str(error), final=True)
    except BaseException as error:
        return failure(error)
    channel.send(begun=True)  # the clock of its timeout starts now, not while its module was imported
    memory = message["memory"]
    if task.mode is Mode.ASYNC:  # an item that may be what killed its runner is tried here, whatever its task
        return asyncio.run(try_async(task, attempt, lambda _: context))
    if memory is None:
        return try_sync(task, attempt, lambda _: context)
    with _memory_limit(memory):
        outcome = try_sync(task, attempt, lambda _: context)
    if isinstance(outcome, Failed) and outcome.kind is Kind.CRASHED:
        return replace(outcome, message=f"exceeded its memory limit of {memory:,} bytes")
    return outcome


@contextlib.contextmanager
def _memory_limit(memory: int) -> Iterator[None]:
    """Refuse this process more than `memory` bytes of data (the interpreter's own included) for a while."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard < 0 else min(memory, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _leave_receipt(folder: Path, settings: Settings, attempt: Attempt, outcome: Outcome) -> None:
    try:
        write_receipt(folder, settings.spool_id, attempt, outcome, settings.durable)
    except OSError as error:
        # A full disk must not lose the answer that we hold: the runner may still be able to keep it.
        sys.stderr.write(f"respool: no receipt for item {attempt.key!r}: {error}\n")
