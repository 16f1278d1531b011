"""What a killed runner left behind: adopted, or ended and run again; never invented."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_bench import SPOOL, Bench, attempt, run, shell, until

from respool.batch.model import Done, Failed, Interrupted, Kind
from respool.batch.places import Places
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.receipt import write_receipt
from respool.batch.workers.remains import ProcessId, Stray, abandon, adopt, end_group, stray

ONE = attempt()
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    yield
    # A shim that has just written its receipt is still on its way out.
    until(lambda: stray(SPOOL) == [])


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.at(tmp_path / "spool.db")


def left_behind(tmp_path: Path, script: str, grace: float = 0.3) -> None:
    """Start a command under a runner of its own, and kill that runner when the command runs."""
    program = textwrap.dedent(f"""
        import asyncio
        from pathlib import Path
        from command_bench import Bench, Places, attempt, shell
        async def go():
            bench = Bench(Places.at(Path({str(tmp_path)!r}) / "spool.db"), grace={grace})
            bench.workers.put(attempt(), shell({script!r}))
            await asyncio.sleep(1000)
        asyncio.run(go())
    """)
    runner = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parent)
    try:
        until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith("\n"))
    finally:
        runner.kill()
        runner.wait()


def living(tmp_path: Path) -> list[int]:
    return [pid for pid in map(int, (tmp_path / "pids").read_text().split()) if start_ticks(pid) is not None]


def test_a_command_ends_without_its_runner_and_is_adopted(tmp_path: Path, places: Places) -> None:
    left_behind(tmp_path, f"echo $$ > {tmp_path}/pids; while ! [ -e {tmp_path}/go ]; do sleep 0.02; done; echo after")
    assert living(tmp_path)
    (tmp_path / "go").touch()
    until(lambda: (places.attempt(1, 1) / "result.json").exists())
    outcome = adopt(places, SPOOL, ONE, grace=1)
    assert isinstance(outcome, Done)
    assert (places.attempt(1, 1) / "output.log").read_text() == "after\n"
    assert adopt(places, SPOOL, ONE, grace=1) == outcome, "as often as one asks"
    for other in (ONE._replace(nonce="n2"), ONE._replace(fingerprint="0" * 32)):
        assert adopt(places, SPOOL, other, grace=1) is None


def test_a_failure_without_its_runner_is_adopted_too(tmp_path: Path, places: Places) -> None:
    left_behind(tmp_path, f"echo $$ > {tmp_path}/pids; sleep 0.2; exit 3")
    until(lambda: (places.attempt(1, 1) / "result.json").exists())
    assert adopt(places, SPOOL, ONE, grace=1) == Failed(Kind.RAISED, "exit code 3")


@pytest.mark.parametrize("manners", ["", "trap '' TERM;", "trap 'exit 0' TERM;"], ids=["plain", "stubborn", "polite"])
def test_a_command_still_running_is_ended_and_runs_again(tmp_path: Path, places: Places, manners: str) -> None:
    script = f"{manners} sleep 1000 & echo $$ $! > {tmp_path}/pids; while :; do sleep 0.02; done"
    left_behind(tmp_path, script, grace=0.2)
    assert len(living(tmp_path)) == 2
    assert adopt(places, SPOOL, ONE, grace=0.3) is None
    assert living(tmp_path) == []
    assert stray(SPOOL) == []


def test_a_shim_that_does_not_react_is_ended(tmp_path: Path, places: Places) -> None:
    left_behind(tmp_path, f"echo $$ > {tmp_path}/pids; sleep 1000")
    shim = int((places.attempt(1, 1) / "started").read_text().splitlines()[1].split()[0])
    os.kill(shim, signal.SIGSTOP)
    assert adopt(places, SPOOL, ONE, grace=0.1) is None
    assert living(tmp_path) == []
    assert start_ticks(shim) is None


def test_runner_and_shim_killed(tmp_path: Path, places: Places) -> None:
    left_behind(tmp_path, f"sleep 1000 & echo $$ $! > {tmp_path}/pids; wait")
    os.kill(int((places.attempt(1, 1) / "started").read_text().splitlines()[1].split()[0]), signal.SIGKILL)
    assert adopt(places, SPOOL, ONE, grace=1) is None
    assert living(tmp_path) == []


def test_runner_shim_and_the_commands_own_leader_killed(tmp_path: Path, places: Places) -> None:
    left_behind(tmp_path, f"sleep 1000 & echo $$ $! > {tmp_path}/pids; wait")
    command, shim = (int(line.split()[0]) for line in (places.attempt(1, 1) / "started").read_text().splitlines())
    os.kill(shim, signal.SIGKILL)
    os.kill(command, signal.SIGKILL)
    until(lambda: len(living(tmp_path)) == 1)
    assert adopt(places, SPOOL, ONE, grace=1) is None
    assert living(tmp_path) == []


def test_an_attempt_that_had_not_begun_is_given_up(tmp_path: Path, places: Places) -> None:
    assert adopt(places, SPOOL, ONE, grace=1) is None
    assert (places.attempt(1, 1) / "started").exists()
    assert not abandon(places.attempt(1, 1))
    assert adopt(places, SPOOL, ONE, grace=1) is None


def test_an_interrupted_attempt_runs_again(places: Places) -> None:
    write_receipt(places.attempt(1, 1), SPOOL, ONE, Interrupted("stop"))
    assert adopt(places, SPOOL, ONE, grace=1) is None


@pytest.mark.parametrize("garbage", [
    b"", b"\xff\0\n", b"1 1\n1 1\n", b"0 0\n0 0\n", b"-1 5\n-1 5\n", b"999999999999999999999 1\n", b"12\n", b"1 2 3\n4",
    b"ME 5\nME 0\n", b"PARENT 1\nPARENT 1\n",
])  # fmt: skip
def test_garbage_ends_nobody(tmp_path: Path, places: Places, garbage: bytes) -> None:
    garbage = garbage.replace(b"ME", b"%d" % os.getpid()).replace(b"PARENT", b"%d" % os.getppid())
    folder = places.attempt(1, 1)
    folder.mkdir(parents=True)
    (folder / "started").write_bytes(garbage)
    (folder / "result.json").write_bytes(garbage)
    assert adopt(places, SPOOL, ONE, grace=0) is None


def test_a_reused_number_is_left_alone() -> None:
    """Somebody else's process that has the recorded number, but not the recorded start."""
    bystander = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        ticks = start_ticks(bystander.pid)
        assert ticks is not None
        assert ProcessId(bystander.pid, ticks).alive()
        for wrong in (ticks - 1, ticks + 1, 0):
            assert not ProcessId(bystander.pid, wrong).alive()
            assert end_group(bystander.pid, wrong, 0)
            assert bystander.poll() is None
        assert end_group(bystander.pid, ticks, 5)
        assert bystander.wait(timeout=30) == -signal.SIGTERM
    finally:
        bystander.kill()
        bystander.wait()


def test_end_group_takes_a_running_shims_command_along(tmp_path: Path, places: Places) -> None:
    async def go() -> None:
        bench = Bench(places, grace=30)
        bench.workers.put(ONE, shell(f"trap '' TERM; echo $$ > {tmp_path}/pids; while :; do sleep 0.02; done"))
        await bench.until(lambda: (tmp_path / "pids").exists())
        [(pid, ticks)] = bench.workers.pids().items()
        assert await asyncio.to_thread(end_group, pid, ticks, 0.1)
        assert isinstance(await bench.wait(ONE), Failed)
        assert living(tmp_path) == []
        await bench.workers.close()

    asyncio.run(go())


def test_a_finished_command_leaves_no_stray(tmp_path: Path) -> None:
    run(tmp_path, shell("true"))
    assert stray(SPOOL) == []


def test_a_stray_is_told_in_a_few_words() -> None:
    told = str(Stray(ProcessId(12, 34), 5, 1, "nonce", "python " + "x" * 500))
    assert told.startswith("process 12 of item 5 (python xxx")
    assert len(told) < 100
