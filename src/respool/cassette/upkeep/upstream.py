"""The version of a service, as a command that the project declares prints it."""

from __future__ import annotations

import os
import shlex
import subprocess
from functools import lru_cache
from pathlib import Path

LONGEST = 60.0  # seconds; it is asked once in a run


@lru_cache
def version_of(command: str, folder: Path) -> str | None:
    """The last line that `command` (run in `folder`, without a shell) prints; None if it fails, prints nothing or hangs."""
    words = shlex.split(command, posix=os.name != "nt")
    try:
        done = subprocess.run(
            words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    lines = done.stdout.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), None)
