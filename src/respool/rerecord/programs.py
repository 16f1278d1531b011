"""The programs that re-recording starts: the tests of a unit, and the project's probe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from respool.clock import SYSTEM

LEFT_OUT = ("PYTEST_", "RESPOOL_PAYLOAD", "RESPOOL_VERDICT", "RESPOOL_KEY", "RESPOOL_ATTEMPT_NUMBER", "RESPOOL_STAGING")
PROBE_SECONDS = 120.0


def pytest_command(files: Sequence[str], cache: Path) -> list[str]:
    """The command line that runs these test files, serially and to the end, whatever the project's own options are."""
    serial = ["-n", "0"] if find_spec("xdist") is not None else []
    return [
        sys.executable, "-m", "pytest", *files, "-q", "--no-header", "--color=no", "--tb=short", "--maxfail=0", *serial,
        "-o", f"cache_dir={cache}",
    ]  # fmt: skip


def environment(**given: str) -> dict[str, str]:
    """The environment of the tests: ours, less what speaks to another pytest or to the unit itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)} | given


def run_tests(
    command: Sequence[str], env: Mapping[str, str], root: Path, seconds: Callable[[], float],
    meanwhile: Callable[[], object] = lambda: None,
) -> int | None:  # fmt: skip
    """The exit code of the command, or None if it is still running after `seconds()`, which may grow meanwhile.

    What it says goes to our own output. What is still running is left to whoever ends our process group. `meanwhile` is
    called once it has started.
    """
    process = subprocess.Popen(command, env=dict(env), cwd=root, stdin=subprocess.DEVNULL)
    begun = SYSTEM.monotonic()
    meanwhile()
    while True:
        left = begun + seconds() - SYSTEM.monotonic()
        if left <= 0:
            return None
        try:
            return process.wait(left)
        except subprocess.TimeoutExpired:
            continue


def probe(command: Sequence[str], root: Path) -> tuple[int | None, str]:
    """Run the project's probe: its exit code (None: it did not end, or there is no such program) and what it said."""
    try:
        done = subprocess.run(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=PROBE_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"it did not end within {PROBE_SECONDS:.0f} s"
    except OSError as error:
        return None, f"it cannot be started: {error.strerror}"
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()
