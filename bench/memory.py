"""Memory of a process and of all that it started, from /proc."""

from __future__ import annotations

from pathlib import Path


def tree(root: int) -> list[int]:
    """`root` and its living descendants, parents first; empty if it is gone."""
    if not Path(f"/proc/{root}").exists():
        return []
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop(0)
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def field_kb(pid: int, file: str, name: str) -> int:
    """A figure in kB out of /proc/PID/`file` ("smaps_rollup" or "status"); 0 if the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0


def pss_mb(root: int, *, with_root: bool = True) -> float:
    """PSS of the process tree in MB: pages that several share are divided among them."""
    pids = tree(root)
    return sum(field_kb(pid, "smaps_rollup", "Pss") for pid in (pids if with_root else pids[1:])) / 1024


def rss_mb(pid: int) -> float:
    """Resident memory of one process in MB."""
    return field_kb(pid, "status", "VmRSS") / 1024
