"""What a dead runner left behind: receipts to adopt, process groups to end, strays to find.

A process is known by its pid and its start time, never by its name: a pid alone may long belong to somebody else.
Everything here blocks until it is sure; an event loop calls it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from respool.batch.model import Attempt, Interrupted, Outcome
from respool.batch.places import Places
from respool.batch.workers.process_table import all_pids, process_facts, signal_group, start_ticks
from respool.batch.workers.receipt import read_receipt
from respool.clock import SYSTEM
from respool.files import private_folder

MARK = "RESPOOL_ATTEMPT"  # in the environment of every command: SPOOL:ITEM:NUMBER:NONCE
ABANDONED = "abandoned\n"
_TICK = 0.02
_KILLED_BY = 10.0  # seconds after SIGKILL in which even a process that waits for a disk is gone


class ProcessId(NamedTuple):
    """A process for all time: its pid, and when it started (see process_table.start_ticks)."""

    pid: int
    ticks: int

    def alive(self) -> bool:
        """Whether this very process can still act (the dead whom nobody has reaped cannot)."""
        return self.ticks > 0 and start_ticks(self.pid) == self.ticks


class Stray(NamedTuple):
    """A living process that belongs to an attempt of ours. `command` is its command line, for people to read."""

    process: ProcessId
    item: int
    number: int
    nonce: str
    command: str

    def __str__(self) -> str:
        command = self.command if len(self.command) <= 60 else f"{self.command[:59]}…"
        return f"process {self.process.pid} of item {self.item} ({command})"


def adopt(places: Places, spool_id: str, attempt: Attempt, *, grace: float) -> Outcome | None:
    """The outcome that a command's attempt reached without its runner; None if it must run again.

    After this call nothing of the attempt runs any more, nor will it: what runs is ended (TERM, `grace` seconds, KILL),
    and an attempt whose shim had not begun is given up in a way that the shim sees. Only what escaped into a session of
    its own can be left; `end_strays` finds it. Garbage in the folder counts as nothing and raises nothing; OSError is
    raised only if the folder cannot be written.

    >>> adopt(places, spool_id, attempt, grace=5.0)             # doctest: +SKIP
    Done(result='{"exit_code":0,...}', outputs=(), note=None)
    """
    folder = places.attempt(attempt.item, attempt.number)
    outcome = read_receipt(folder, spool_id, attempt)
    if outcome is None and not abandon(folder):
        command, shim = _started(folder)
        if shim is not None and shim.alive():
            # The shim ends its command itself, and may still have a real outcome to tell.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(shim.pid, signal.SIGTERM)
            if not _gone(shim.alive, grace) and command is not None:
                _kill_group(command)
                _gone(shim.alive, 2.0)
        for process in (command, shim):
            if process is not None:
                end_group(process.pid, process.ticks, grace)
        outcome = read_receipt(folder, spool_id, attempt)
    return None if isinstance(outcome, Interrupted) else outcome


def abandon(folder: Path) -> bool:
    """Take the attempt in `folder` from any shim that has not begun it; False if one has (or somebody did this before).

    Creates `started` whole or not at all, as a shim does: exactly one of the two succeeds.
    """
    mark = private_folder(folder) / "started"
    try:
        descriptor = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    os.write(descriptor, ABANDONED.encode())
    os.close(descriptor)
    return True


def end_group(pid: int, start_ticks: int, grace: float) -> bool:
    """End the process group that (pid, start_ticks) leads or led, and the rest of its session: TERM, `grace`, KILL.

    True when nothing of it is left. If the leader itself is dead, only members that carry our mark in their environment
    are ended: the number might be somebody else's by now. (Without /proc a dead leader's group is left alone.)
    """
    return _end(lambda: _members(ProcessId(pid, start_ticks)), grace)


def stray(spool_id: str, live: Collection[tuple[int, int]] = ()) -> list[Stray]:
    """Living processes that carry this spool's mark and belong to none of the `live` attempts, as (item, number).

    Only on Linux; elsewhere, and for processes of other users, the environment cannot be read: the list is empty.
    """
    found = []
    for pid in all_pids():
        mark = _mark(pid) if pid != os.getpid() else None
        ticks = start_ticks(pid) if mark is not None else None
        if mark is None or ticks is None:
            continue
        spool, item, number, nonce = mark
        if spool == spool_id and (item, number) not in live:
            found.append(Stray(ProcessId(pid, ticks), item, number, nonce, _command_line(pid)))
    return found


def end_strays(spool_id: str, live: Collection[tuple[int, int]] = (), *, grace: float) -> list[Stray]:
    """End what `stray` finds (TERM, `grace` seconds, KILL), and say what it was."""
    seen: dict[ProcessId, Stray] = {}

    def find() -> list[int]:
        now = stray(spool_id, live)
        seen.update({one.process: one for one in now})
        return [one.process.pid for one in now]

    _end(find, grace)
    return list(seen.values())


def _started(folder: Path) -> tuple[ProcessId | None, ProcessId | None]:
    """The command and the shim as the claim recorded them; None for what cannot be read."""
    try:
        lines = (folder / "started").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None, None
    found: list[ProcessId | None] = []
    for line in lines[:2]:
        fields = line.split()
        good = len(fields) == 2 and all(field.isascii() and field.isdigit() for field in fields)
        process = ProcessId(int(fields[0]), int(fields[1])) if good else None
        # 0 and 1 would address our own group, or everything: never a command's number.
        found.append(process if process is not None and process.pid > 1 else None)
    found += [None, None]
    return found[0], found[1]


def _members(leader: ProcessId) -> list[int]:
    """The living processes of the leader's group and session."""
    if leader.pid <= 1:
        return []
    led = leader.alive()
    members = []
    for pid in all_pids() or ([leader.pid] if led else []):
        facts = process_facts(pid)
        if facts is None:
            if pid == leader.pid and led and not os.path.exists("/proc/self/stat"):
                members.append(pid)
        elif leader.pid in facts[:2] and (led or (facts[2] >= leader.ticks and _mark(pid) is not None)):
            members.append(pid)
    return members


def _kill_group(leader: ProcessId) -> None:
    for pid in _members(leader):
        _send(pid, signal.SIGKILL)
    if leader.alive():
        signal_group(leader.pid, signal.SIGKILL)


def _end(find: Callable[[], list[int]], grace: float) -> bool:
    """TERM, `grace` seconds, KILL to whatever `find` gives, asked again and again: what dies may fork first."""
    for pid in find():
        _send(pid, signal.SIGTERM)
        _send(pid, signal.SIGCONT)
    if _gone(lambda: bool(find()), grace):
        return True

    def still() -> bool:
        left = find()
        for pid in left:
            _send(pid, signal.SIGKILL)
        return bool(left)

    return _gone(still, _KILLED_BY)


def _gone(there: Callable[[], bool], seconds: float) -> bool:
    """Wait until `there` is false, at most so long; whether it came to that."""
    until = SYSTEM.monotonic() + seconds
    while there():
        if SYSTEM.monotonic() >= until:
            return False
        SYSTEM.sleep(_TICK)
    return True


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _mark(pid: int) -> tuple[str, int, int, str] | None:
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    prefix = f"{MARK}=".encode()
    for entry in content.split(b"\0"):
        if entry.startswith(prefix):
            parts = entry[len(prefix) :].decode("utf-8", "replace").rsplit(":", 3)
            if len(parts) == 4 and parts[1].isdecimal() and parts[2].isdecimal():
                return parts[0], int(parts[1]), int(parts[2]), parts[3]
    return None


def _command_line(pid: int) -> str:
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return content.replace(b"\0", b" ").decode("utf-8", "replace").strip()
