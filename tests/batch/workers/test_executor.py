"""Work past this process: a cluster of real processes that are killed, and what an executor cannot do.

What all workers promise is tested in test_contract.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from test_contract import DEADLINE, IMPLEMENTATIONS, Bench, scenario

from respool.batch.declaration import Command, Mode, Task
from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind, Outcome
from respool.batch.places import Places
from respool.batch.spool import JobHandle, Spool
from respool.batch.store import reading
from respool.batch.workers.executor import ExecutorWorkers, check, connect
from respool.errors import BatchError, UsageError

EXECUTOR = IMPLEMENTATIONS["executor"]

FAR = """
import asyncio, os, time
from pathlib import Path
from respool.batch.policy import Retry
from respool.batch.tasks import task

def begin(payload):
    with open(Path(__file__).with_name("begun"), "a") as begun:
        begun.write(f"{payload['n']} {os.getpid()}\\n")

@task(mode="thread", retry=Retry(base=0.0))
def square(payload):
    begin(payload)
    time.sleep(payload.get("seconds", 0))
    return payload["n"] ** 2

@task
async def cube(payload, context):
    await asyncio.sleep(0)
    return [context.key, payload["n"] ** 3]
"""


@dataclass
class Cluster:
    """A scheduler and workers, each a process of its own."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "0"}
        with (self.folder / f"log-{len(self.processes)}").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard", "--host", "127.0.0.1"],
                stdout=log, stderr=log, cwd=self.folder, env=environment, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def address(self) -> str:
        """Where the scheduler answers, in our own form."""
        text = wait_for(lambda: (self.folder / "log-0").read_bytes().partition(b"tcp://127.0.0.1:")[2].split())
        return "dask://127.0.0.1:" + str(text[0].decode())

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE)


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    (tmp_path / "far.py").write_text(FAR)
    found = Cluster(tmp_path)
    try:
        found.start("scheduler", "--port", "0")
        place = found.address().removeprefix("dask://")
        for _ in range(2):
            found.start("worker", f"tcp://{place}", "--no-nanny", "--nthreads", "2", "--local-directory", str(tmp_path))
        yield found
    finally:
        found.end()


def begun(folder: Path) -> list[tuple[int, int]]:
    """(item's number, pid) of everything that was begun on the cluster."""
    lines = (folder / "begun").read_text().splitlines() if (folder / "begun").exists() else []
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


def run_on(cluster: Cluster, spool: Spool, handle: JobHandle, at_ten: Callable[[], None] = lambda: None) -> int:
    """Run the job on the cluster, calling `at_ten` when ten items have settled; the size that the cluster has."""
    called: list[bool] = []

    def watch(snapshot: Any) -> None:
        if not called and sum(job.settled for job in snapshot.jobs) >= 10:
            called.append(True)
            at_ten()

    with connect(cluster.address()) as far:
        wait_for(lambda: len(far.threads()) == 2)
        make = far.make(reading.spool_id(spool.database()), spool.places, cluster.folder)
        size = far.size
        spool.run([handle.id], workers=size, instead=make, watcher=watch)
        return size


def assert_each_is_done_once(spool: Spool, handle: JobHandle, number: int) -> None:
    assert {item.key: (item.state, item.result) for item in handle.items()} == {
        f"k{n}": ("done", n * n) for n in range(number)
    }
    done = Counter(event.item for event in spool.events(job=handle.id, limit=10_000) if event.type == "item_done")
    assert len(done) == number
    assert set(done.values()) == {1}


def test_a_killed_worker_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        handle = spool.submit("far:square", {f"k{n}": {"n": n, "seconds": 0.15} for n in range(40)}, folder=tmp_path)

        def kill_one() -> None:
            os.kill(cluster.processes[1].pid, signal.SIGKILL)

        assert run_on(cluster, spool, handle, kill_one) == 8, "twice the threads"
        assert_each_is_done_once(spool, handle, 40)
        started = begun(tmp_path)
        assert {pid for _, pid in started} == {process.pid for process in cluster.processes[1:]}
        assert max(Counter(n for n, _ in started).values()) == 2, "what the killed one was doing ran again"

        cubes = spool.submit("far:cube", {"three": {"n": 3}}, folder=tmp_path)
        with connect(cluster.address()) as far:
            assert far.size == 4
            make = far.make(reading.spool_id(spool.database()), spool.places, tmp_path)
            spool.run([cubes.id], workers=far.size, instead=make)
        assert [item.result for item in cubes.items()] == [["three", 27]]


def test_a_killed_scheduler_ends_the_run_and_the_next_one_finishes(cluster: Cluster, tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        handle = spool.submit("far:square", {f"k{n}": {"n": n, "seconds": 0.1} for n in range(40)}, folder=tmp_path)

        def kill_scheduler() -> None:
            os.kill(cluster.processes[0].pid, signal.SIGKILL)

        with pytest.raises(BatchError, match="went away"):
            run_on(cluster, spool, handle, kill_scheduler)
        states = Counter(item.state for item in handle.items())
        assert states["done"] >= 10
        assert states["failed"] == 0
        assert states["done"] < 40
        spool.run([handle.id], workers=8)
        assert_each_is_done_once(spool, handle, 40)


def test_a_cluster_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("respool.batch.workers.executor.CONNECT", 0.3)
    with pytest.raises(UsageError, match=r"no cluster answers at 'dask://127\.0\.0\.1:9'"):
        connect("dask://127.0.0.1:9")


def test_without_distributed_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError) as caught:
        connect("dask://127.0.0.1:9")
    assert caught.value.command == "pip install 'respool[dask]'"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task("m:f", Mode.PROCESS, timeout=5), "cannot declare a timeout"),
        (Task("m:f", Mode.PROCESS, memory=10**9), "cannot declare a memory limit"),
        (Task("command:x", Mode.COMMAND, command=Command(("x",))), "a command cannot run on a cluster"),
    ],
)
def test_what_no_executor_can_do_is_refused(tmp_path: Path, task: Task, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(task)

    async def play(bench: Bench) -> None:
        bench.put_count += 1
        attempt = Attempt(1, 1, 1, "k", "1", "f", "n")
        bench.workers.put(attempt, task)
        outcome = await bench.outcome(attempt)
        assert isinstance(outcome, Failed)
        assert outcome.final
        assert said in outcome.message

    scenario(EXECUTOR, tmp_path, play)
    check(Task("m:f", Mode.ASYNC, timeout=5))


class Fate(Executor):
    """An executor on which everything ends in the same way."""

    def __init__(self, end: BaseException | None) -> None:
        self.end = end

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.end is None:
            future.cancel()
        else:
            future.set_exception(self.end)
        return future


class KilledWorker(Exception):
    """Named like the one of dask.distributed."""


def fate(end: BaseException | None, gone: bool = False) -> tuple[Outcome, bool]:
    """What an attempt comes to that ends so, and whether the next one is refused."""
    reported: list[Outcome] = []

    async def play() -> bool:
        lost: list[bool] = []
        workers = ExecutorWorkers(
            lambda: Fate(end), 2, lambda attempt, outcome: reported.append(outcome), lambda *_: None,
            spool_id="s", places=Places.at("x.db"), gone=lambda: bool(lost),
        )  # fmt: skip
        task = Task("sample_tasks:nothing_async", Mode.ASYNC)
        workers.put(Attempt(1, 1, 1, "k", "1", "f", "n"), task)
        if gone:
            lost.append(True)
        while not reported:
            await asyncio.sleep(0.001)
        try:
            workers.put(Attempt(2, 1, 1, "k", "1", "f", "n"), task)
            return False
        except BatchError:
            return True
        finally:
            await workers.close()
            assert len(reported) == 2

    refused = asyncio.run(play())
    return reported[0], refused


def test_whose_fault_a_death_is() -> None:
    outcome, refused = fate(KilledWorker("4 of them"))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.CRASHED
    assert not refused
    assert isinstance(fate(None)[0], Interrupted)
    assert fate(None, gone=True)[1], "nothing more is put on a cluster that is gone"
    outcome, refused = fate(BrokenExecutor("one of many died"))
    assert isinstance(outcome, Interrupted)
    assert refused


def test_a_module_that_is_missing_over_there_fails_its_items(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        bench.put_count += 2
        lost, fine = Attempt(1, 1, 1, "k", "1", "f", "n"), Attempt(2, 1, 2, "k", "1", "f", "n")
        bench.workers.put(lost, Task("nowhere_to_be_found:f", Mode.ASYNC))
        bench.workers.put(fine, Task("sample_tasks:echo_async", Mode.ASYNC))
        outcome = await bench.outcome(lost)
        assert isinstance(outcome, Failed)
        assert "nowhere_to_be_found" in outcome.message
        assert await bench.outcome(fine) == Done("1")

    scenario(EXECUTOR, tmp_path, play)
