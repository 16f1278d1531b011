"""Turns to start are as many as processors, and no death keeps one; a replay that stands by is nobody's burden."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from recorded_suite import Project, Service, until

from respool.cassette.staging import VARIABLE, Orders
from respool.rerecord import programs, starts

pytestmark = pytest.mark.timeout(900)  # seconds on a machine of its own
HOLDS = """
import sys
from pathlib import Path
from respool.rerecord.starts import turn
with turn(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""
STARTS = """
import json, sys
from pathlib import Path
from respool.rerecord.programs import Tests
command, env, folder = json.loads(sys.argv[1])
with Tests(command, env, Path(folder), plays=True) as replay:
    while not replay.started():
        pass
    print("it stands by", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "processors", lambda: 2)


def test_whoever_finds_no_turn_waits_until_one_is_given_back(tmp_path: Path) -> None:
    got = threading.Event()

    def third() -> None:
        with starts.turn(tmp_path):
            got.set()

    thread = threading.Thread(target=third)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(starts.turn(tmp_path))
        with starts.turn(tmp_path, ahead=True):  # a line of its own
            thread.start()
            assert not got.wait(0.2)
    thread.join(60)
    assert got.is_set()


def test_the_turn_of_a_process_that_is_killed_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "processors", lambda: 1)
    only_one = f"import os\nos.sched_getaffinity = lambda _: [0]\n{HOLDS}"
    with subprocess.Popen(
        [sys.executable, "-c", only_one, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        holder.kill()
    with starts.turn(tmp_path):
        pass


def test_a_replay_stands_by_before_it_loads_anything_of_the_project(project: Project, service: Service) -> None:
    project.plain("test_a")
    project.run("rerecord", "--all", code=0)
    (project.path / "tests" / "conftest.py").write_text("open('loaded', 'w').close()\n")
    loaded = project.path / "loaded"
    with _replay(project) as replay:
        replay.started()
        assert replay.ended(lambda: 0.2).code is None
        assert not loaded.exists()
        replay.play()
        replay.started()
        assert replay.ended(lambda: 60.0) == (0, "")
    assert loaded.exists()
    assert service.paths() == ["/ok/test_a"]


def test_a_replay_that_nobody_wants_is_ended(project: Project) -> None:
    project.plain("test_a")
    with _replay(project) as replay:
        replay.started()
        assert _replays(project)
    assert not _replays(project)


def test_a_replay_that_stands_by_ends_with_whoever_started_it(project: Project) -> None:
    project.plain("test_a")
    with subprocess.Popen(
        [sys.executable, "-c", STARTS, json.dumps([*_command(project), str(project.path)])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as starter:  # fmt: skip
        assert starter.stdout is not None
        assert starter.stdout.readline() == "it stands by\n"
        assert _replays(project)
        starter.kill()
    until(lambda: not _replays(project))


def test_while_a_recording_waits_its_replay_stands_by_and_then_plays(project: Project, service: Service) -> None:
    project.plain("test_a", "/held/a")
    service.gate.clear()
    unit = _unit(project)
    until(lambda: service.asked["/held/a"] and _replays(project))
    ahead = _replays(project)
    service.gate.set()
    seen = set[int]()
    until(lambda: seen.update(_replays(project)) or unit.poll() is not None)
    assert unit.returncode == 0
    assert seen <= set(ahead), "no other one was started"
    assert project.versions() == {"test_a/test_it.json": {1}}
    assert service.paths() == ["/held/a"]


def test_a_unit_that_is_killed_leaves_no_replay(project: Project, service: Service) -> None:
    project.plain("test_a", "/held/a")
    service.gate.clear()
    unit = _unit(project)
    until(lambda: service.asked["/held/a"] and _replays(project))
    unit.kill()
    unit.wait()
    until(lambda: not _replays(project))
    service.gate.set()
    until(lambda: not _running(project))
    assert not project.cassettes


def _unit(project: Project) -> subprocess.Popen[bytes]:
    """The program that records tests/test_a.py."""
    attempt = project.path / "attempt"
    attempt.mkdir()
    (attempt / "payload.json").write_text('{"files": ["tests/test_a.py"]}')
    told = {"RESPOOL_PAYLOAD": str(attempt / "payload.json"), "RESPOOL_VERDICT": str(attempt / "verdict.json")}
    return subprocess.Popen(
        [sys.executable, "-m", "respool.rerecord.unit", "--root", str(project.path), "--run", "one", "--timeout", "600"],
        env={**project.environment(), **told}, cwd=project.path, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _replay(project: Project) -> programs.Tests:
    command, env = _command(project)
    return programs.Tests(command, env, project.path, plays=True)


def _command(project: Project) -> tuple[list[str], dict[str, str]]:
    """What plays what was recorded of tests/test_a.py: its command and its environment."""
    orders = project.path / "replay.json"
    Orders(
        str(project.path), str(project.path / "tapes"), False, str(project.path / "facts.json"), str(project.path / "waited"),
        str(project.path / "pace"),
    ).write(orders)  # fmt: skip
    command = programs.pytest_command(["tests/test_a.py"], project.path / "cache")
    return command, {**project.environment(), VARIABLE: str(orders)}


def _running(project: Project) -> dict[int, str]:
    """The processes in the folder of the project, and what RESPOOL_STAGING says to each."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(project.path) and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = process.environ().get(VARIABLE, "")
    return found


def _replays(project: Project) -> list[int]:
    return [pid for pid, told in _running(project).items() if told.endswith("replay.json")]
