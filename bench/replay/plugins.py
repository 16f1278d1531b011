"""What a plugin adds to a run of pytest: per test, at import, and to a suite whose tests each make a client of their own."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.contest import scratch
from bench.figures import Broken, Json
from bench.replay.entries import entry
from bench.replay.tapes import written
from bench.rounds import progress

OFF = {"respool": "no:respool", "pytest-recording": "no:recording", "cassetter": "no:cassetter"}
"""The plugins beside each other → what switches each off."""

SUITES = ("nothing", "opened", "shared", "client")
"""Tests without a plugin; tests that open a cassette each; that all open one and the same; with a client of their own."""

_EACH_ITS_CLIENT = """
import httpx, pytest

@{mark}
@pytest.mark.parametrize("number", range({tests}))
def test_get(number):
    with httpx.Client() as client:
        assert client.get("{url}").status_code == 200
"""
_NOTHING = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_nothing(number):
    pass
"""
_OPENED = """
import pytest

@{mark}
@pytest.mark.parametrize("number", range({tests}))
def test_nothing(number):
    pass
"""

def measure(quick: bool, rounds: int) -> Json:
    """CPU seconds of each suite under each plugin, per round; and what importing each plugin takes, in ms."""
    tests = 100 if quick else 1_000
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for suite in SUITES:
            for who in ("none", *OFF):
                if (who == "none") != (suite == "nothing") or (suite == "shared" and who != "respool"):
                    continue
                seconds = _suite(suite, who, tests)
                found.setdefault(suite, {}).setdefault(who, []).append(seconds)
                progress(f"  round {number + 1} suite {suite} under {who}: {seconds:.2f} s")
    return {"tests": tests, "seconds": found, "import_ms": {who: _import(module) for who, module in _MODULES.items()}}


def _suite(suite: str, who: str, tests: int) -> float:
    text = {"nothing": _NOTHING, "client": _EACH_ITS_CLIENT}.get(suite, _OPENED)
    mark = 'pytest.mark.cassette("one.json")' if suite == "shared" else _MARKED.get(who, "pytest.mark.skip")
    with scratch() as folder:
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "pyproject.toml").touch()  # a project of its own: what a run notes down is not gathered in ours
        (folder / "test_it.py").write_text(text.format(mark=mark, tests=tests, url=entry(0).url), encoding="utf-8")
        _PREPARED.get(who, _nothing)(folder, tests)
        off = [argument for name, switch in OFF.items() if name != who for argument in ("-p", switch)]
        used = _cpu()
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *off, "--strict-markers", "test_it.py"],
            cwd=folder, env=_environ(), capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        seconds = _cpu() - used
        # Strict markers: where the plugin is not loaded, a marked test that asks for nothing would pass without it.
        if ended.returncode != 0 or f"{tests} passed" not in ended.stdout:
            advice = "where a mark is not found, the environment is older than the plugin: make bench renews it"
            raise Broken(f"{who}: {ended.stdout[-600:]}{ended.stderr[-600:]}\n{advice}")
    return seconds


def _environ() -> dict[str, str]:
    """Without what steers pytest, or forbids to keep compiled code: else compiling would be measured in every run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONDONT"))}


def _cpu() -> float:
    """CPU seconds of the processes that were waited for: who else uses the machine hardly shows in them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _nothing(folder: Path, tests: int) -> None:
    """No cassette."""


def _one_each(format_: str, named: str) -> Callable[[Path, int], None]:
    """A cassette for each test, where its player looks for it by itself."""

    def prepared(folder: Path, tests: int) -> None:
        one = written(format_, 1, folder)
        cassettes = folder / "cassettes" / "test_it"
        cassettes.mkdir(parents=True)
        for test in ("test_get", "test_nothing"):
            for number in range(tests):
                shutil.copy(one, cassettes / named.format(test=test, number=number))
        one.rename(folder / "cassettes" / f"one{one.suffix}")

    return prepared


_MARKED = {
    "respool": "pytest.mark.cassette", "pytest-recording": "pytest.mark.vcr", "cassetter": "pytest.mark.vcr",
}  # fmt: skip
_PREPARED: dict[str, Callable[[Path, int], None]] = {
    "respool": _one_each("respool", "{test}-{number}.json"),
    "pytest-recording": _one_each("vcrpy", "{test}[{number}].yaml"),
    "cassetter": _one_each("cassetter", "{test}[{number}].yaml"),
}  # fmt: skip
_MODULES = {
    "respool": "respool.pytest_plugin", "pytest-recording": "pytest_recording.plugin",
    "cassetter": "cassetter.pytest_plugin",
}  # fmt: skip
_TIMED = re.compile(r"^import time:\s+\d+ \|\s+(\d+) \| (\S+)$", re.MULTILINE)  # what is imported at the top, not within


def _import(module: str) -> float:
    """ms that importing the module takes behind pytest: median of nine fresh processes."""
    found = []
    for _ in range(10):
        told = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", f"import pytest; import {module}"], capture_output=True, text=True,
            check=True, env=_environ(),
        ).stderr  # fmt: skip
        names = [name for _, name in _TIMED.findall(told)]
        behind = _TIMED.findall(told)[names.index("pytest") + 1 :]
        found.append(sum(int(us) for us, _ in behind) / 1000)
    return median(found[1:])  # the first run compiled it
