"""Recording is serial: two workers would pay twice, race for rate limits and interleave what depends on order."""

from __future__ import annotations

import shlex
import sys

import pytest


def refuse_recording(config: pytest.Config) -> None:
    """Raise pytest.UsageError if this run is distributed, in the controller and in a worker alike."""
    if not distributed(config):
        return
    raise pytest.UsageError(
        f"--cassettes={config.getoption('--cassettes')} records, and recording is serial: this run is spread over several "
        f"processes\n  next: {serial_command()}"
    )


def distributed(config: pytest.Config) -> bool:
    """Is this a worker of pytest-xdist, or the controller of some?"""
    if hasattr(config, "workerinput"):
        return True
    spread = config.getoption("dist", "no") != "no" and bool(config.getoption("numprocesses", 0))
    return spread or bool(config.getoption("tx", None))


def serial_command() -> str:
    """The command line of this run with `-n 0` at its end, which wins over what is before it."""
    return shlex.join(["pytest", *sys.argv[1:], "-n", "0"])
