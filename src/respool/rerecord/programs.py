"""The programs that re-recording starts: the tests of a unit, and the project's probe."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from respool.clock import SYSTEM

LEFT_OUT = ("PYTEST_", "RESPOOL_PAYLOAD", "RESPOOL_VERDICT", "RESPOOL_KEY", "RESPOOL_ATTEMPT_NUMBER", "RESPOOL_STAGING")
PROBE_SECONDS = 120.0


class Ended(NamedTuple):
    """How a program ended: its exit code (None: it is still running), and what it said on stderr."""

    code: int | None
    errors: str


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
) -> Ended:  # fmt: skip
    """Run the command until it ends, or is still running after `seconds()`, which may grow meanwhile.

    What it prints goes to our own output; what it says on stderr is handed back, because a pytest that cannot begin says
    why there. What is still running is left to whoever ends our process group. `meanwhile` is called once it has started.
    """
    with TemporaryFile() as errors:
        process = subprocess.Popen(command, env=dict(env), cwd=root, stdin=subprocess.DEVNULL, stderr=errors)
        begun = SYSTEM.monotonic()
        meanwhile()
        code: int | None = None
        while code is None and (left := begun + seconds() - SYSTEM.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(left)
        errors.seek(0)
        return Ended(code, errors.read().decode("utf-8", "replace"))


def complaint(said: str) -> str:
    """The line that says most of what a program wrote before it gave up: the last one that tells of an error, else the last.

    >>> complaint("ImportError while loading conftest 'c.py'.\\nE   NameError: name 'x' is not defined\\n  rootdir: /x\\n")
    "NameError: name 'x' is not defined"
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("E  ") or "error" in line.lower()] or lines
    return telling[-1].removeprefix("E  ").strip()[:300] if telling else ""


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
