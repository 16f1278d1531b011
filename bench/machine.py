"""What the bench ran on, so that a figure can be told from another machine's."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bench.figures import Json

PACKAGES = ("respool", "joblib", "huey", "dbos", "click", "rich")


def describe(folder: Path, packages: Sequence[str] = PACKAGES) -> Json:
    """CPU, kernel, versions, the file system of `folder` and the load before the start; what is not there is None."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": _system(),
        "file_system": _file_system(folder),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "versions": {name: _version(name) for name in packages} | {"GNU parallel": _parallel()},
        "load_before": load(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def load() -> float:
    """The load of the last minute: much more than the bench's own means that the figures are somebody else's too."""
    return round(os.getloadavg()[0], 2)


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _file_system(folder: Path) -> str:
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        point, type_ = line.split(" ")[1:3]
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, type_
    return kind


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _parallel() -> str | None:
    if shutil.which("parallel") is None:
        return None
    found = subprocess.run(["parallel", "--version"], capture_output=True, text=True, check=False)
    return found.stdout.partition("\n")[0].removeprefix("GNU parallel ").strip() or None
