"""Commands: what a real program comes to, with a living runner."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from command_bench import SPOOL, Bench, attempt, python, run, shell, task

from respool import canonical
from respool.batch.model import Done, Failed, Interrupted, Kind
from respool.batch.places import Places
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.receipt import read_receipt
from respool.batch.workers.remains import ProcessId, end_strays, stray
from respool.files import file_digest

ONE = attempt()


def pid_in(path: Path) -> int:
    return int(path.read_text())


def written(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")


def dead(pid: int) -> bool:
    return start_ticks(pid) is None


# -- outcomes --


def test_exit_code_0_is_done(tmp_path: Path) -> None:
    outcome, bench = run(tmp_path, shell("echo out; echo err >&2"))
    assert isinstance(outcome, Done)
    assert outcome.outputs == ()
    assert outcome.note is None
    result = json.loads(outcome.result or "")
    assert result["exit_code"] == 0
    assert canonical.encode(result) == outcome.result
    assert (bench.places.files / result["output"]).read_text() == "out\nerr\n"


def test_an_exit_code_is_a_failure_with_the_end_of_its_output(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, shell("seq 1 100; echo 'no such gene ä' >&2; exit 3"))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.message, outcome.final) == (Kind.RAISED, "exit code 3", False)
    assert outcome.detail is not None
    assert outcome.detail.splitlines() == [*map(str, range(82, 101)), "no such gene ä"]


def test_ex_tempfail_is_unavailable(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, shell("exit 75"))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.UNAVAILABLE


def test_death_by_a_signal_is_a_crash(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, shell("kill -SEGV $$"))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.message) == (Kind.CRASHED, "ended by SIGSEGV")


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-program"])
def test_a_missing_program_is_final(tmp_path: Path, program: str) -> None:
    outcome, _ = run(tmp_path, task(program))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.final) == (Kind.RAISED, True)
    assert program in outcome.message
    assert "No such file" in outcome.message


def test_a_missing_folder_is_final(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, shell("true", cwd=str(tmp_path / "nowhere")))
    assert isinstance(outcome, Failed)
    assert outcome.final
    assert "nowhere" in outcome.message


def test_a_timeout_ends_a_stubborn_family(tmp_path: Path) -> None:
    script = f"""
        trap '' TERM
        sh -c 'trap "" TERM; echo $$ > {tmp_path}/grandchild; while :; do sleep 0.05; done' &
        echo $$ > {tmp_path}/child; while :; do sleep 0.05; done
    """
    outcome, _ = run(tmp_path, shell(script, timeout=0.5), grace=0.2)
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.TIMEOUT
    assert "0.5 s" in outcome.message
    assert dead(pid_in(tmp_path / "child"))
    assert dead(pid_in(tmp_path / "grandchild"))


def test_a_command_that_heeds_sigterm_still_timed_out(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 0' TERM; while :; do sleep 0.02; done"
    outcome, _ = run(tmp_path, shell(script, timeout=0.3), grace=20)
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.TIMEOUT
    assert (outcome.detail or "").splitlines()[-1] == "bye"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA")
def test_the_memory_limit_holds(tmp_path: Path) -> None:
    eater = python("x = bytearray(300_000_000); print(len(x))", memory=100_000_000)
    outcome, _ = run(tmp_path, eater)
    assert isinstance(outcome, Failed)
    assert "MemoryError" in (outcome.detail or "")
    outcome, _ = run(tmp_path / "b", python("x = bytearray(30_000_000); print(len(x))", memory=100_000_000))
    assert isinstance(outcome, Done)


# -- output --


def test_the_tail_of_a_large_output_is_kept(tmp_path: Path) -> None:
    outcome, bench = run(tmp_path, shell("seq 1 20000"), output_cap=10_000)
    assert isinstance(outcome, Done)
    header, _, kept = bench.output(ONE).partition("\n")
    whole = "".join(f"{number}\n" for number in range(1, 20001))
    assert whole.endswith(kept)
    assert 5_000 <= len(kept) <= 10_000
    assert header == f"[the first {len(whole) - len(kept)} bytes of the output were dropped]"
    assert sorted(path.name for path in bench.places.attempt(1, 1).iterdir()) == [
        "output.log", "payload.json", "result.json", "spec", "started",
    ]  # fmt: skip


def test_an_output_of_just_the_cap_is_kept_whole(tmp_path: Path) -> None:
    _, bench = run(tmp_path, python("print('x' * 9_999)"), output_cap=10_000)
    assert bench.output(ONE) == "x" * 9_999 + "\n"


@pytest.mark.parametrize(("script", "good"), [
    ("printf 'all d'; sleep 0.1; echo one", True), ("echo all; echo done", False),
    ("seq 1 9999; echo all done; seq 1 9999", True),
])  # fmt: skip
def test_a_marker_must_be_in_the_output(tmp_path: Path, script: str, good: bool) -> None:
    outcome, _ = run(tmp_path, shell(script, marker="all done"), output_cap=1000)
    if good:
        assert isinstance(outcome, Done)
    else:
        assert isinstance(outcome, Failed)
        assert outcome.kind is Kind.INVALID
        assert "'all done'" in outcome.message


def test_declared_outputs_are_recorded(tmp_path: Path) -> None:
    job = task("/bin/sh", "-c", "echo 1 > $1; cp a.out /$PWD/b.out", "-", "{}.out", cwd=str(tmp_path),
               outputs=("{}.out", str(tmp_path / "b.out")))  # fmt: skip
    outcome, _ = run(tmp_path, job)
    assert isinstance(outcome, Done), outcome
    for output, name in zip(outcome.outputs, ["a.out", "b.out"], strict=True):
        path = tmp_path / name
        assert tuple(output) == (str(path), 2, file_digest(path))


@pytest.mark.parametrize("script", ["true", "touch -r a.out a.out", "cat a.out", "rm a.out", "rm a.out; mkdir a.out"])
def test_an_output_that_was_not_written_is_none(tmp_path: Path, script: str) -> None:
    (tmp_path / "a.out").write_text("of an earlier run")
    outcome, _ = run(tmp_path, shell(script, cwd=str(tmp_path), outputs=("a.out",)))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.INVALID
    assert "'a.out'" in outcome.message


def test_an_output_that_was_replaced_counts(tmp_path: Path) -> None:
    (tmp_path / "a.out").write_text("same")
    script = "printf same > new; touch -r a.out new; mv new a.out"
    outcome, _ = run(tmp_path, shell(script, cwd=str(tmp_path), outputs=("a.out",)))
    assert isinstance(outcome, Done)


# -- what it leaves behind --


def test_a_daemon_left_behind_is_ended(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, shell(f"sleep 1000 & echo $! > {tmp_path}/daemon"))
    assert isinstance(outcome, Done)
    assert outcome.note is not None
    assert "1 running" in outcome.note
    assert dead(pid_in(tmp_path / "daemon"))


def test_what_ends_by_itself_in_a_moment_is_no_daemon(tmp_path: Path) -> None:
    outcome, bench = run(tmp_path, shell("(sleep 0.05; echo late) &"))
    assert isinstance(outcome, Done)
    assert outcome.note is None
    assert bench.output(ONE) == "late\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_daemon_with_a_session_of_its_own_is_found(tmp_path: Path) -> None:
    daemon = f"setsid sh -c 'echo $$ > {tmp_path}/daemon; exec sleep 1000' &"
    outcome, _ = run(tmp_path, shell(f"{daemon} while ! [ -s {tmp_path}/daemon ]; do sleep 0.01; done"))
    assert isinstance(outcome, Done), "a stray that holds the output open does not hold the attempt"
    pid = pid_in(tmp_path / "daemon")
    found = stray(SPOOL)
    assert [(one.process.pid, one.item, one.number, one.nonce, one.command) for one in found] == [
        (pid, 1, 1, "nonce", "sleep 1000")
    ]
    assert stray(SPOOL, live={(1, 1)}) == []
    assert stray("another") == []
    assert end_strays(SPOOL, grace=5) == found
    assert dead(pid)


# -- the workers --


def test_interrupt_ends_the_family(tmp_path: Path) -> None:
    async def go() -> None:
        bench = Bench(Places.at(tmp_path / "spool.db"), grace=0.2)
        script = f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/child; while :; do sleep 0.05; done"
        bench.workers.put(ONE, shell(script))
        await bench.until(lambda: written(tmp_path / "child"))
        assert len(bench.workers.pids()) == 1
        assert all(ProcessId(*pair).alive() for pair in bench.workers.pids().items())
        bench.workers.interrupt(ONE, "job cancelled")
        bench.workers.interrupt(ONE, "again")
        assert await bench.wait(ONE) == Interrupted("job cancelled")
        assert dead(pid_in(tmp_path / "child"))
        assert isinstance(read_receipt(bench.places.attempt(1, 1), SPOOL, ONE), Interrupted), "the shim did it itself"
        assert bench.workers.pids() == {}
        bench.workers.interrupt(ONE, "too late")
        await bench.workers.close()
        assert len(bench.reports) == 1

    asyncio.run(go())


def test_interrupt_at_once_and_while_queued(tmp_path: Path) -> None:
    async def go() -> None:
        bench = Bench(Places.at(tmp_path / "spool.db"), size=1)
        other = attempt(2)
        bench.workers.put(ONE, shell("sleep 1000"))
        bench.workers.put(other, shell("true"))
        bench.workers.interrupt(other, "no more")
        bench.workers.interrupt(ONE, "at once")
        assert bench.reports == [], "never from within a call"
        assert await bench.wait(other) == Interrupted("no more")
        assert await bench.wait(ONE) == Interrupted("at once")
        await bench.workers.close()

    asyncio.run(go())


def test_close_interrupts_all(tmp_path: Path) -> None:
    async def go() -> None:
        bench = Bench(Places.at(tmp_path / "spool.db"), size=2)
        for item in (1, 2, 3):
            bench.workers.put(attempt(item), shell(f"echo x > {tmp_path}/{item}; sleep 1000"))
        await bench.until(lambda: written(tmp_path / "1") and written(tmp_path / "2"))
        await bench.workers.close()
        assert sorted(one.item for one, _ in bench.reports) == [1, 2, 3]
        assert all(isinstance(outcome, Interrupted) for _, outcome in bench.reports)
        assert not (tmp_path / "3").exists()
        await bench.until(lambda: not stray(SPOOL))

    asyncio.run(go())


def test_no_more_than_size_run_at_once(tmp_path: Path) -> None:
    async def go() -> None:
        bench = Bench(Places.at(tmp_path / "spool.db"), size=2)
        script = f"cd {tmp_path}; touch on.$$; set -- on.*; echo $#; sleep 0.05; rm on.$$"
        tried = [attempt(item) for item in range(1, 9)]
        for one in tried:
            bench.workers.put(one, shell(script))
        for one in tried:
            assert isinstance(await bench.wait(one), Done)
        await bench.workers.close()
        assert max(int(bench.output(one)) for one in tried) <= 2

    asyncio.run(go())


def test_a_killed_shims_command_is_ended_and_counts_as_a_crash(tmp_path: Path) -> None:
    async def go() -> None:
        bench = Bench(Places.at(tmp_path / "spool.db"))
        bench.workers.put(ONE, shell(f"sleep 1000 & echo $$ $! > {tmp_path}/pids; wait"))
        await bench.until(lambda: written(tmp_path / "pids"))
        [shim] = bench.workers.pids()
        os.kill(shim, signal.SIGKILL)
        outcome = await bench.wait(ONE)
        assert isinstance(outcome, Failed)
        assert outcome.kind is Kind.CRASHED
        assert "SIGKILL" in outcome.message
        assert all(dead(int(pid)) for pid in (tmp_path / "pids").read_text().split())
        await bench.workers.close()

    asyncio.run(go())


def test_a_shim_that_cannot_write_its_receipt_says_so(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, shell('rm -r "$(dirname "$RESPOOL_PAYLOAD")"'))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.CRASHED
    assert "FileNotFoundError" in (outcome.detail or "")


def test_a_folder_of_a_forgotten_attempt_is_no_obstacle(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path, shell("exit 3"))[0], Failed)
    assert isinstance(run(tmp_path, shell("true"))[0], Done)
