"""Summaries that somebody stops, and those whose time is over: the real command, and a provider that lets it wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gated import starting
from real_clusters import functional

sys.path.append(str(Path(__file__).parents[2] / "examples"))

from extractive_provider import Server

PROGRAM = str(Path(sys.executable).parent / "respool")
CLUSTERS = 4


class Waiting(Server):
    """Answers `quick` requests at once, and the others when the gate is opened."""

    def __init__(self, quick: int) -> None:
        super().__init__()
        self.quick, self.gate = quick, threading.Event()

    def next_fault(self) -> tuple[int, str | None]:
        number, fault = super().next_fault()
        if number > self.quick:
            self.gate.wait()
        return number, fault


@pytest.fixture
def waiting() -> Iterator[Callable[[int], Waiting]]:
    yield from starting(Waiting)


class Here:
    """A folder with clusters, and the command in it."""

    def __init__(self, folder: Path, server: Waiting) -> None:
        whole = functional()
        (folder / "clusters.json").write_text(replace(whole, clusters=whole.clusters[:CLUSTERS]).to_json())
        self.folder = folder
        asking = ["--provider", server.url, "--model", "m", "--concurrency", "1"]
        self.summarise = ["summarise", "clusters.json", *asking, "--json"]

    def start(self, *argv: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        return subprocess.Popen(
            [PROGRAM, *argv], cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(self, process: subprocess.Popen[str], code: int) -> Any:
        out, err = process.communicate(timeout=170)
        assert process.returncode == code, err
        return json.loads(out)

    def run(self, *argv: str, code: int = 0) -> Any:
        return self.end(self.start(*argv), code)


def counts(ended: Any) -> dict[str, int]:
    """What the result counts, without its zeros; all of it is the total."""
    result = dict(ended["result"])
    assert result.pop("total") == sum(result.values()) == CLUSTERS
    return {name: many for name, many in result.items() if many}


def until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 150
    while not is_true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.02)


def test_a_cancelled_job_ends_at_once_keeps_what_it_has_and_can_be_asked_for_again(
    tmp_path: Path, waiting: Callable[[int], Waiting]
) -> None:
    server = waiting(2)
    here = Here(tmp_path, server)
    running = here.start(*here.summarise)
    until(lambda: server.requests == 3)
    here.run("jobs", "cancel", "1", "--json")
    assert counts(here.end(running, 0)) == {"succeeded": 2, "cancelled": 2}
    assert server.requests == 3  # nothing was asked after that
    server.gate.set()
    assert counts(here.run(*here.summarise)) == {"succeeded": 2, "skipped": 2}
    assert server.requests == 2 + 1 + 2


def test_a_job_whose_time_is_over_pauses_and_goes_on(tmp_path: Path, waiting: Callable[[int], Waiting]) -> None:
    server = waiting(0)
    here = Here(tmp_path, server)
    first = here.run(*here.summarise, "--job-timeout", "2s", code=6)
    assert counts(first) == {"remaining": CLUSTERS}
    assert "time" in first["jobs"][0]["paused"]["reason"]
    server.gate.set()
    assert counts(here.run(*here.summarise, "--job-timeout", "10m")) == {"succeeded": CLUSTERS}
