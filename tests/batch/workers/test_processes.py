"""Poison: whatever one item does to its process, only that item fails, and nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_contract import DEADLINE, IMPLEMENTATIONS, NONCE, SPOOL, Bench, scenario

from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind
from respool.batch.places import Places
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.receipt import read_receipt, write_receipt

PROCESSES = IMPLEMENTATIONS["processes"]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("behaviour", "payload", "said"),
    [
        ("segfault", {}, "SIGSEGV"),
        ("killed", {}, "SIGKILL"),
        ("die", {"code": 3}, "exit code 3"),
        ("die", {"code": 0}, "exit code 0"),
        ("daemon", {"then": "die"}, "exit code 7"),
    ],
)
def test_the_death_of_a_worker_fails_its_own_item(
    tmp_path: Path, behaviour: str, payload: dict[str, object], said: str
) -> None:
    async def play(bench: Bench) -> None:
        before = [bench.put("echo") for _ in range(3)]
        poison = bench.put(behaviour, payload)
        after = [bench.put("echo") for _ in range(5)]
        await bench.all_done()
        outcome = bench.outcomes()[poison]
        assert isinstance(outcome, Failed)
        assert outcome.kind is Kind.CRASHED
        assert said in outcome.message
        assert all(isinstance(bench.outcomes()[attempt], Done) for attempt in before + after)

    scenario(PROCESSES, tmp_path, play)


def test_an_idle_worker_may_die(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        first = await bench.outcome(bench.put("pid"))
        assert isinstance(first, Done)
        os.kill(int(first.result or ""), signal.SIGKILL)
        second = await bench.outcome(bench.put("pid"))
        assert isinstance(second, Done)
        assert first.result != second.result

    scenario(PROCESSES, tmp_path, play, size=1)


def test_a_memory_hog_meets_its_limit(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        hog = await bench.outcome(bench.put("hog", {"megabytes": 4000}, memory=200_000_000))
        assert isinstance(hog, Failed)
        assert hog.kind is Kind.CRASHED
        assert hog.message == "exceeded its memory limit of 200,000,000 bytes"
        assert await bench.outcome(bench.put("hog", {"megabytes": 20}, memory=200_000_000)) == Done("20")
        # The limit is the try's, not the worker's: the next task of the same worker may use more.
        assert await bench.outcome(bench.put("hog", {"megabytes": 300})) == Done("300")

    scenario(PROCESSES, tmp_path, play, size=1)


def test_a_child_left_behind_ends_with_the_workers(tmp_path: Path) -> None:
    found: list[int] = []

    async def play(bench: Bench) -> None:
        outcome = await bench.outcome(bench.put("daemon", {"then": "return"}))
        assert isinstance(outcome, Done)
        found.append(int(outcome.result or ""))
        assert is_running(found[0])
        marks = [mark for mark in Path(f"/proc/{found[0]}/environ").read_bytes().split(b"\0") if b"RESPOOL_" in mark]
        assert marks == [f"RESPOOL_ATTEMPT={SPOOL}:0:0:{NONCE}".encode()]
        assert await bench.outcome(bench.put("echo")) == Done('{"n":2}')

    scenario(PROCESSES, tmp_path, play, size=1)
    wait_until(lambda: not is_running(found[0]), "the child is still there")


def test_a_forked_child_that_comes_back_says_nothing(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        attempt = bench.put("fork_and_return")
        assert await bench.outcome(attempt) == Done('"parent"')
        folder = bench.places.attempt(attempt.item, attempt.number)
        assert read_receipt(folder, SPOOL, attempt) == Done('"parent"')
        assert await bench.outcome(bench.put("echo")) == Done('{"n":2}')

    scenario(PROCESSES, tmp_path, play, size=1)


def test_signals_are_left_to_the_runner(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        started = tmp_path / "started"
        attempt = bench.put("slow", {"seconds": 0.3, "started": str(started)})
        await bench.until(started.exists)
        (pid,) = bench.workers.pids()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert await bench.outcome(attempt) == Done('"finished"')
        assert os.getpgid(pid) == pid != os.getpgid(0), "Ctrl-C goes to the terminal's group, where no worker is"

    scenario(PROCESSES, tmp_path, play, size=1)


def test_every_worker_is_registered_while_it_lives(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.outcome(bench.put("echo"))
        folder = bench.places.session(NONCE)
        records = [json.loads(file.read_text()) for file in folder.iterdir()]
        assert {record["pid"]: record["ticks"] for record in records} == bench.workers.pids()
        assert all(record["ticks"] == start_ticks(record["pid"]) != 0 for record in records)
        await bench.workers.close()
        assert list(folder.iterdir()) == []

    scenario(PROCESSES, tmp_path, play)


def test_an_outcome_is_on_disk_before_it_is_told(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        for behaviour in ("echo", "fail", "skip", "told"):
            attempt = bench.put(behaviour)
            outcome = await bench.outcome(attempt)
            folder = bench.places.attempt(attempt.item, attempt.number)
            assert read_receipt(folder, SPOOL, attempt) == outcome

    scenario(PROCESSES, tmp_path, play)


def test_one_that_finished_in_the_moment_of_its_death_keeps_its_answer(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        started = tmp_path / "started"
        attempt = bench.put("hang", {"started": str(started)})
        await bench.until(started.exists)
        write_receipt(bench.places.attempt(attempt.item, attempt.number), SPOOL, attempt, Done('"made it"'), False)
        bench.workers.interrupt(attempt, "stop")
        assert await bench.outcome(attempt) == Done('"made it"')

    scenario(PROCESSES, tmp_path, play)


def test_a_task_that_cannot_be_found_says_so(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        lost = Task("sample_tasks:ehco", Mode.PROCESS)
        attempt = Attempt(1, 1, 1, "k", "{}", "f", NONCE)
        bench.put_count += 1
        bench.workers.put(attempt, lost)
        outcome = await bench.outcome(attempt)
        assert isinstance(outcome, Failed)
        assert outcome.final
        assert "did you mean sample_tasks:echo?" in outcome.message

    scenario(PROCESSES, tmp_path, play)


def test_what_a_task_prints_does_not_reach_stdout(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "talker.py").write_text("def talk(payload): print('hello')\n")

    async def play(bench: Bench) -> None:
        task = Task(f"{tmp_path}/talker.py:talk", Mode.PROCESS)
        bench.put_count += 1
        bench.workers.put(Attempt(1, 1, 1, "k", "{}", "f", NONCE), task)
        await bench.all_done()

    scenario(PROCESSES, tmp_path, play)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err


RUNNER = """
import asyncio, json, sys
from pathlib import Path
from respool.batch.declaration import Mode, Task
from respool.batch.model import Attempt
from respool.batch.places import Places
from respool.batch.workers.processes import ProcessWorkers

async def main(folder, here, seconds):
    done = asyncio.Event()
    workers = ProcessWorkers(
        2, lambda attempt, outcome: done.set(), lambda attempt, text: None, spool_id="spool-1",
        places=Places(folder / "spool.db"), nonce="nonce-1", folder=here,
    )
    for number, name in ((1, "a"), (2, "b")):
        payload = json.dumps({"seconds": seconds, "started": str(folder / name)})
        workers.put(Attempt(number, 1, 1, name, payload, "f", "nonce-1"), Task("sample_tasks:slow", Mode.PROCESS))
    await asyncio.sleep(0.01)
    await done.wait()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
"""


def test_workers_of_a_killed_runner_finish_leave_receipts_and_end(tmp_path: Path) -> None:
    here = Path(__file__).parent
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), str(here), "0.5"], cwd=tmp_path)
    try:
        wait_until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists(), "nothing was started")
        session = Places(tmp_path / "spool.db").session(NONCE)
        pids = [int(file.name) for file in session.iterdir() if file.name.isdigit()]
        assert len(pids) == 2
        assert all(is_running(pid) for pid in pids)
    finally:
        runner.kill()
        runner.wait()
    wait_until(lambda: not any(is_running(pid) for pid in pids), "a worker lives on without its runner")
    for number, name in ((1, "a"), (2, "b")):
        payload = json.dumps({"seconds": 0.5, "started": str(tmp_path / name)})
        attempt = Attempt(number, 1, 1, name, payload, "f", NONCE)
        folder = Places(tmp_path / "spool.db").attempt(number, 1)
        assert read_receipt(folder, SPOOL, attempt) == Done('"finished"')


SCRIPT = """
import asyncio, sys
from pathlib import Path
from respool.batch.model import Attempt
from respool.batch.places import Places
from respool.batch.tasks import stop_if_loading, task, task_of
from respool.batch.workers.processes import ProcessWorkers

with open("loaded.txt", "a") as log:
    log.write(__name__ + "\\n")

@task
def double(number):
    return 2 * number

def run():
    stop_if_loading()
    async def main():
        reports = []
        def report(attempt, outcome):
            reports.append(outcome)
            if len(reports) == 4:
                done.set()
        done = asyncio.Event()
        workers = ProcessWorkers(
            2, report, print, spool_id="s", places=Places(Path.cwd() / "spool.db"), nonce="n", folder=Path.cwd()
        )
        for number in range(4):
            workers.put(Attempt(number, 1, 1, str(number), str(number), "f", "n"), task_of(double))
        await done.wait()
        await workers.close()
        print(task_of(double).name, sorted(outcome.result for outcome in reports))
    asyncio.run(main())

"""


@pytest.mark.parametrize("ending", ["run()\n", 'if __name__ == "__main__":\n    run()\n'], ids=["bare", "guarded"])
@pytest.mark.parametrize("start", [["work.py"], ["-m", "work"]], ids=["file", "module"])
def test_a_script_runs_its_own_tasks(tmp_path: Path, ending: str, start: list[str]) -> None:
    if ending == "run()\n" and start[0] == "-m":
        pytest.skip("a module that starts a batch when imported is refused (see test_tasks.py)")
    (tmp_path / "work.py").write_text(SCRIPT + ending)
    done = subprocess.run(
        [sys.executable, *start], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
    name = "work:double" if start[0] == "-m" else "work.py:double"
    assert done.stdout == f"{name} ['0', '2', '4', '6']\n"
    assert done.stderr == ""
    assert (tmp_path / "loaded.txt").read_text().split().count("__main__") == 1, "the user's main ran again"


def test_interrupting_one_leaves_the_others_alone(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        slow = bench.put("slow", {"seconds": 0.3, "started": str(tmp_path / "slow")})
        hang = bench.put("hang", {"started": str(tmp_path / "hang")})
        await bench.until(lambda: (tmp_path / "slow").exists() and (tmp_path / "hang").exists())
        bench.workers.interrupt(hang, "stop")
        assert await bench.outcome(hang) == Interrupted("stop")
        assert await bench.outcome(slow) == Done('"finished"')

    scenario(PROCESSES, tmp_path, play)


def test_large_payloads_and_results_pass(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        text = "ä" * 2_000_000
        outcome = await bench.outcome(bench.put("echo", {"text": text}))
        assert isinstance(outcome, Done)
        assert json.loads(outcome.result or "") == {"text": text}

    scenario(PROCESSES, tmp_path, play)


def test_an_interpreter_that_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for executable, said in (("/bin/false", "exit code 1"), ("/no/such/python", "could be started")):
        monkeypatch.setattr(sys, "executable", executable)

        async def play(bench: Bench, said: str = said) -> None:
            outcome = await bench.outcome(bench.put("echo"))
            assert isinstance(outcome, Failed)
            assert said in outcome.message

        scenario(PROCESSES, tmp_path, play)


def test_a_worker_whose_runner_was_killed_while_it_started_ends(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), here, "0.1"], cwd=tmp_path)
    session = Places(tmp_path / "spool.db").session(NONCE)
    wait_until(lambda: session.is_dir() and any(file.name.isdigit() for file in session.iterdir()), "no worker")
    runner.kill()
    runner.wait()

    def living() -> list[int]:
        pids = [int(file.name) for file in session.iterdir() if file.name.isdigit()]
        return [pid for pid in pids if is_running(pid)]

    end = time.monotonic() + DEADLINE
    while living() and time.monotonic() < end:
        time.sleep(0.01)
    assert living() == [], "a worker lives on"


def test_a_module_that_kills_its_importer_fails_the_item(tmp_path: Path) -> None:
    (tmp_path / "bomb.py").write_text("import os\nos._exit(9)\ndef work(payload): pass\n")

    async def play(bench: Bench) -> None:
        attempt = Attempt(1, 1, 1, "k", "{}", "f", NONCE)
        bench.put_count += 1
        bench.workers.put(attempt, Task(f"{tmp_path}/bomb.py:work", Mode.PROCESS))
        outcome = await bench.outcome(attempt)
        assert isinstance(outcome, Failed)
        assert "loaded the task's module" in outcome.message
        assert await bench.outcome(bench.put("echo")) == Done('{"n":2}')

    scenario(PROCESSES, tmp_path, play)
