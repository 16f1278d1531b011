"""A cluster whose scheduler and workers are processes of their own: placed work, deaths, limits, refusals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from respool.batch.model import Item
from respool.batch.spool import JobHandle, Spool
from respool.batch.store import reading
from respool.batch.workers import cluster as clusters
from respool.batch.workers.cluster import connect
from respool.errors import BatchError, UsageError

DEADLINE = 60.0  # only so that a failing test ends
PROGRAM = str(Path(sys.executable).parent / "respool")

FAR = """
import asyncio, os, time
from pathlib import Path
from respool.batch.policy import Retry
from respool.batch.tasks import task
from respool.pace import Limit

HERE = Path(__file__).parent

def begin(payload):
    with open(HERE / "begun", "a") as begun:
        begun.write(f"{payload['n']} {os.getpid()} {time.time()}\\n")

@task(mode="thread", retry=Retry(base=0.0, crashes=3))
def square(payload):
    begin(payload)
    time.sleep(payload.get("seconds", 0))
    return payload["n"] ** 2

@task(mode="thread", retry=Retry(base=0.0, crashes=9), limit=Limit("api", "5/0.3s"))
def call(payload):
    begin(payload)
    time.sleep(0.01)
    return payload["n"] ** 2

@task(mode="thread", retry=Retry(base=0.0, crashes=1))
def poison(payload):
    begin(payload)
    os._exit(1)

@task(mode="thread", retry=Retry(base=0.0, crashes=1))
def wait(payload):
    begin(payload)
    while not (HERE / "go").exists():
        time.sleep(0.01)

@task
async def cube(payload, context):
    context.note("on its way")
    while not (HERE / "seen").exists():
        await asyncio.sleep(0.01)
    return [context.key, payload["n"] ** 3]

@task(timeout=0.1, retry=Retry(attempts=1))
async def hang(payload):
    await asyncio.sleep(DEADLINE)

DEADLINE = 60

def timed(payload): pass
timed = task(timeout=5)(timed)

def sized(payload): pass
sized = task(memory="1GB")(sized)
"""


@dataclass
class Cluster:
    """A scheduler and workers, each a process of its own."""

    folder: Path
    allowed_failures: int = 3  # what Dask itself does about a death, unless it is told otherwise
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "0",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(self.allowed_failures),
        }
        with (self.folder / f"log-{len(self.processes)}").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard", "--host", "127.0.0.1"],
                stdout=log, stderr=log, cwd=self.folder, env=environment, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def start_worker(self, *options: str) -> subprocess.Popen[bytes]:
        place = self.address().removeprefix("dask://")
        return self.start(
            "worker", f"tcp://{place}", "--no-nanny", "--nthreads", "2", "--local-directory", str(self.folder), *options
        )

    def address(self) -> str:
        """Where the scheduler answers, in our own form."""
        text = wait_for(lambda: (self.folder / "log-0").read_bytes().partition(b"tcp://127.0.0.1:")[2].split())
        return "dask://127.0.0.1:" + str(text[0].decode())

    def kill(self, number: int) -> None:
        os.kill(self.processes[number].pid, signal.SIGKILL)

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


@contextlib.contextmanager
def started(folder: Path, workers: int, allowed_failures: int = 3) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    (folder / "far.py").write_text(FAR)
    found = Cluster(folder, allowed_failures)
    try:
        found.start("scheduler", "--port", "0")
        for _ in range(workers):
            found.start_worker()
        yield found
    finally:
        found.end()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One that nobody kills."""
    with started(tmp_path_factory.mktemp("calm"), 1) as found:
        yield found


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with started(tmp_path, 2) as found:
        yield found


def begun(folder: Path) -> list[tuple[int, int, float]]:
    """(item's number, pid, when) of everything that was begun."""
    lines = (folder / "begun").read_text().splitlines() if (folder / "begun").exists() else []
    return [(int(number), int(pid), float(at)) for number, pid, at in map(str.split, lines)]


def run_on(
    cluster: Cluster, spool: Spool, handle: JobHandle, *, workers: int = 2, watch: Callable[[Any], None] | None = None
) -> int:
    """Run the job on the cluster when that has so many workers; the size that it has then."""
    with connect(cluster.address()) as far:
        wait_for(lambda: len(far.threads()) == workers)
        size = far.size
        there = far.instead(reading.spool_id(spool.database()), spool.places)
        spool.run([handle.id], workers=size, instead=there, watcher=watch)
        return size


def settled_at(number: int, act: Callable[[], None]) -> Callable[[Any], None]:
    """A watcher that acts once, when so many items have settled."""
    acted: list[bool] = []

    def watch(snapshot: Any) -> None:
        if not acted and sum(job.settled for job in snapshot.jobs) >= number:
            acted.append(True)
            act()

    return watch


def numbers(count: int, **rest: Any) -> dict[str, dict[str, Any]]:
    return {f"k{n}": {"n": n, **rest} for n in range(count)}


def assert_each_is_done_once(spool: Spool, handle: JobHandle, number: int) -> None:
    assert {item.key: (item.state, item.result) for item in handle.items()} == {
        f"k{n}": ("done", n * n) for n in range(number)
    }
    done = Counter(event.item for event in spool.events(job=handle.id, limit=10_000) if event.type == "item_done")
    assert len(done) == number
    assert set(done.values()) == {1}


def tries(spool: Spool, outcome: str, kind: str | None = None) -> Counter[str]:
    """How often each item was tried with this end."""
    rows = spool.database().connection.execute(
        "SELECT i.key FROM attempts a JOIN items i ON i.id = a.item_id WHERE a.outcome = ? AND a.kind IS ?",
        (outcome, kind),
    )
    return Counter(key for (key,) in rows)


@pytest.mark.parametrize("allowed_failures", [3, 0])
def test_a_killed_worker_loses_nothing_and_every_try_is_counted(tmp_path: Path, allowed_failures: int) -> None:
    with started(tmp_path, 2, allowed_failures) as cluster, Spool(tmp_path / "spool.db") as spool:
        handle = spool.submit("far.py:square", numbers(40, seconds=0.15), folder=tmp_path)
        assert run_on(cluster, spool, handle, watch=settled_at(10, lambda: cluster.kill(1))) == 8, "twice the threads"
        assert_each_is_done_once(spool, handle, 40)
        began = Counter(f"k{n}" for n, _, _ in begun(tmp_path))
        assert {pid for _, pid, _ in begun(tmp_path)} == {process.pid for process in cluster.processes[1:3]}
        again = {key for key, count in began.items() if count > 1}
        assert again, "what the killed one was doing ran again"
        crashed = tries(spool, "failed", "crashed")
        assert again <= set(crashed), "and each of these tries is in our books"
        assert began - tries(spool, "done") <= crashed
        assert len(crashed) <= 2, "what had not begun there is not to blame"


def test_limits_hold_when_a_worker_and_then_the_scheduler_die(cluster: Cluster, tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        handle = spool.submit("far.py:call", numbers(40), folder=tmp_path)
        kills = [settled_at(10, lambda: cluster.kill(1)), settled_at(20, lambda: cluster.kill(0))]
        with pytest.raises(BatchError, match="went away"):
            run_on(cluster, spool, handle, watch=lambda snapshot: [kill(snapshot) for kill in kills] and None)
        states = Counter(item.state for item in handle.items())
        assert 10 <= states["done"] < 40
        assert states["failed"] == 0
        spool.run([handle.id], workers=8)
        assert_each_is_done_once(spool, handle, 40)
    arrivals = sorted(at for _, _, at in begun(tmp_path))
    assert len(arrivals) >= 40
    gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[5:], strict=False)]
    assert min(gaps) > 0.3, "never more than 5 in any 0.3 s"


def test_what_kills_its_worker_kills_no_other(cluster: Cluster, tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        handle = spool.submit("far.py:poison", {"one": {"n": 1}}, folder=tmp_path)
        run_on(cluster, spool, handle)
        (item,) = handle.items()
        assert (item.state, item.kind, item.attempts) == ("failed", "crashed", 1)
        assert "died while it ran this" in (item.message or "")
        assert len(begun(tmp_path)) == 1
        fine = spool.submit("far.py:square", numbers(4), folder=tmp_path)
        run_on(cluster, spool, fine, workers=1)
        assert_each_is_done_once(spool, fine, 4)


def test_a_new_worker_at_the_old_address_refuses_what_was_sent_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path, 0) as cluster, Spool(tmp_path / "spool.db") as spool:
        cluster.start_worker("--worker-port", "0")
        handle = spool.submit("far.py:wait", {"one": {"n": 1}}, folder=tmp_path)
        replaced: list[bool] = []

        def replace(snapshot: Any) -> None:
            if begun(tmp_path) and not replaced:
                replaced.append(True)
                monkeypatch.setattr(clusters, "LOOK", DEADLINE)  # nobody looks: Dask finds the new one first
                time.sleep(0.5)
                cluster.kill(1)
                cluster.processes[1].wait(DEADLINE)
                cluster.start_worker("--worker-port", address.rpartition(":")[2])

        with connect(cluster.address()) as far:
            (address,) = wait_for(lambda: list(far.threads()))
        run_on(cluster, spool, handle, workers=1, watch=replace)
        (item,) = handle.items()
        assert replaced
        assert (item.state, item.kind, item.attempts) == ("failed", "crashed", 1)
        assert "died while it ran this" in (item.message or "")
        assert len(begun(tmp_path)) == 1


def test_a_cluster_without_workers_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT", 1.0)
    monkeypatch.setattr(clusters, "FIRST", 0.1)
    with started(tmp_path, 0) as cluster, Spool(tmp_path / "spool.db") as spool:
        wait_for(lambda: cluster.address())
        handle = spool.submit("far.py:square", numbers(4), folder=tmp_path)
        with pytest.raises(BatchError, match="went away") as caught:
            run_on(cluster, spool, handle, workers=0)
        assert caught.value.why == "it has had no worker for 1 s"
        assert {item.state for item in handle.items()} == {"pending"}


def test_a_runner_that_dies_was_not_killed_by_what_ran_elsewhere(calm: Cluster, tmp_path: Path) -> None:
    with connect(calm.address()) as far:
        wait_for(far.threads)  # without any, the runner would send one item at a time
    with Spool(tmp_path / "spool.db") as spool:
        handle = spool.submit("far.py:wait", numbers(9, seconds=60), name="waiting", folder=calm.folder)
        program = "import sys; from respool.batch.spool import Spool; Spool(sys.argv[1]).run(workers=sys.argv[2])"
        arguments = [sys.executable, "-c", program, str(spool.places.database), calm.address()]
        runner = subprocess.Popen(arguments, cwd=tmp_path)
        try:
            wait_for(lambda: len(begun(calm.folder)) >= 2)
        finally:
            runner.kill()
            runner.wait(DEADLINE)
        deaths: list[int] = []

        def watch(snapshot: Any) -> None:
            if any(job.running for job in snapshot.jobs):
                query = "SELECT sum(runner_deaths) FROM items"
                deaths.extend(spool.database().connection.execute(query).fetchone())
                (calm.folder / "go").touch()

        spool.run([handle.id], workers=4, watcher=watch)
        assert [item.state for item in handle.items()] == ["done"] * 9
        assert set(deaths) == {0}
        sessions = spool.database().connection.execute("SELECT workers FROM sessions ORDER BY id").fetchall()
        assert sessions == [(calm.address(),), ("4",)]


def items_after(calm: Cluster, folder: Path, task: str, count: int, watch: Callable[[Any], None]) -> list[Item]:
    with Spool(folder / "spool.db") as spool:
        handle = spool.submit(task, numbers(count), folder=calm.folder)
        run_on(calm, spool, handle, workers=1, watch=watch)
        return list(handle.items())


def test_a_note_is_heard_from_there(calm: Cluster, tmp_path: Path) -> None:
    def watch(snapshot: Any) -> None:
        if [note for job in snapshot.jobs for _, _, note in job.running] == ["on its way"]:
            (calm.folder / "seen").touch()

    assert [item.result for item in items_after(calm, tmp_path, "far.py:cube", 1, watch)] == [["k0", 0]]


def test_a_timeout_holds_there(calm: Cluster, tmp_path: Path) -> None:
    items = items_after(calm, tmp_path, "far.py:hang", 3, lambda snapshot: None)
    assert [(item.state, item.kind) for item in items] == [("failed", "timeout")] * 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("far.py:timed", "--items", "items.jsonl"), "a plain function cannot declare a timeout on a cluster"),
        (("far.py:sized", "--items", "items.jsonl"), "a plain function cannot declare a memory limit on a cluster"),
        (("--each", "*.jsonl", "--", "cat", "{}"), "a command cannot run on a cluster"),
    ],
)
def test_what_cannot_work_there_is_refused_before_anything_starts(
    calm: Cluster, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "far.py").write_text(FAR)
    (tmp_path / "items.jsonl").write_text('{"key": "a", "n": 1}\n')
    ended = subprocess.run(
        [PROGRAM, "run", "--workers", calm.address(), *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    with Spool(tmp_path / ".respool" / "spool.db") as spool:
        assert [item.attempts for item in spool.job(1).items()] == [0]
        assert {item.state for item in spool.job(1).items()} == {"pending"}


def test_the_first_worker_of_a_cluster_that_has_just_been_started_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many items run at once is decided when it is connected to."""
    monkeypatch.setattr(clusters, "FIRST", DEADLINE)
    with started(tmp_path, 0) as cluster:
        address = cluster.address()
        cluster.start_worker()  # it needs a second before it says that it is there
        with connect(address) as far:
            assert far.size == clusters.AHEAD * 2


def test_a_cluster_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(clusters, "CONNECT", 0.3)
    with pytest.raises(UsageError, match=r"no cluster answers at 'dask://127\.0\.0\.1:9'"):
        connect("dask://127.0.0.1:9")


def test_without_distributed_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError) as caught:
        connect("dask://127.0.0.1:9")
    assert caught.value.command == "pip install 'respool[dask]'"
