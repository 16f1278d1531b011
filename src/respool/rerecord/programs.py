"""The programs that re-recording starts: the tests of a unit, and the project's probe."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from socket import socketpair
from typing import NamedTuple

from respool.cassette.staging import LINE
from respool.clock import SYSTEM
from respool.files import scratch_file

LEFT_OUT = ("PYTEST_", "RESPOOL_PAYLOAD", "RESPOOL_VERDICT", "RESPOOL_KEY", "RESPOOL_ATTEMPT_NUMBER", "RESPOOL_STAGING")
PROBE_SECONDS = 120.0
LONGEST_START = 1.0  # seconds; one that takes longer waits for something itself, or others keep the processors from it


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


class Tests:
    """A pytest that runs the tests of a unit. It tells over a line (see pytest_plugin/staged.py) how far its start has come.

    One that plays stands by once its plugins are loaded, until `play`: so its start costs no time while others wait for
    their service. What pytest prints goes to our own output; what it says on stderr is handed back, because a pytest that
    cannot begin says why there. Raises OSError if there is no room for a process.

        with Tests(command, env, root) as tests:
            tests.started()
            code, errors = tests.ended(lambda: 600.0)
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], root: Path, *, plays: bool = False) -> None:
        self._stands_by = plays
        self._line, theirs = socketpair()
        self._errors = scratch_file()
        with theirs:
            self._process = subprocess.Popen(
                command, env={**env, LINE: str(theirs.fileno())}, cwd=root, stdin=subprocess.DEVNULL, stderr=self._errors,
                pass_fds=[theirs.fileno()],
            )  # fmt: skip
        self._begun = SYSTEM.monotonic()

    def started(self) -> bool:
        """Wait until it stands by, has collected its tests, or has ended; False if that takes longer than a start does."""
        self._line.settimeout(LONGEST_START)
        try:
            self._line.recv(1)
        except TimeoutError:
            return False
        except OSError:  # it ended without having read what it was told
            pass
        return True

    def lasts(self, seconds: float) -> bool:
        """Whether it still runs so many seconds after its start."""
        return self._wait(self._begun + seconds) is None

    def play(self) -> None:
        """Tell one that stands by that there is something to play."""
        self._stands_by, self._begun = False, SYSTEM.monotonic()
        with contextlib.suppress(OSError):  # it has ended: `ended` says how
            self._line.send(b"!")

    def ended(self, seconds: Callable[[], float]) -> Ended:
        """Wait until it has ended, or is still running after `seconds()`, which may grow meanwhile.

        What is still running is left to whoever ends our process group.
        """
        code = self._process.poll()
        while code is None and (until := self._begun + seconds()) > SYSTEM.monotonic():
            code = self._wait(until)
        self._errors.seek(0)
        return Ended(code, self._errors.read().decode("utf-8", "replace"))

    def _wait(self, until: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(max(0.0, until - SYSTEM.monotonic()))
        return None

    def __enter__(self) -> Tests:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stands_by:  # nothing of the project's is loaded in it, so nothing is cut short
            self._process.kill()
            self._process.wait()
        self._line.close()
        self._errors.close()


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
