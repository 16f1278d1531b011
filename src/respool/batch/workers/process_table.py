"""Which processes there are: identity (pid and start time, never a name), groups, sessions.

The shim imports this file in every command's start, so it imports next to nothing itself.
"""

from __future__ import annotations

import os
import time


def process_facts(pid: int) -> tuple[int, int, int] | None:
    """(process group, session, start time in ticks) of a process that can still act, read from /proc; else None."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read(4096)
    except OSError:
        return None
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20 or fields[0] in b"ZX":
        return None
    return int(fields[2]), int(fields[3]), int(fields[19])


def start_ticks(pid: int) -> int | None:
    """The start time of a living process (with its pid: its identity), in a unit of the platform's choice; else None.

    On Linux the clock ticks of field 22 of /proc/PID/stat; elsewhere the epoch seconds that `ps` gives.
    """
    if os.path.exists("/proc/self/stat"):
        facts = process_facts(pid)
        return facts[2] if facts is not None else None
    return ps_start(pid)


def ps_start(pid: int) -> int | None:
    """`start_ticks` for platforms without /proc: epoch seconds."""
    with os.popen(f"LC_ALL=C ps -o stat= -o lstart= -p {pid:d} 2>/dev/null") as listing:
        fields = listing.read().split()
    if len(fields) != 6 or fields[0].startswith("Z"):
        return None
    return int(time.mktime(time.strptime(" ".join(fields[1:]), "%a %b %d %H:%M:%S %Y")))


def all_pids() -> list[int]:
    """Every process number that /proc shows; empty where there is no /proc."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def group_size(group: int) -> int:
    """How many processes of a process group can still act (1 for "some" where /proc does not tell)."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return 0
    except PermissionError:
        return 1
    pids = all_pids()
    # The dead whom nobody reaps (a container without an init) are still members for kill(), so look closer.
    return sum(facts is not None and facts[0] == group for facts in map(process_facts, pids)) if pids else 1


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group that may be gone."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
