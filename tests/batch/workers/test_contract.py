"""One suite for everything that runs attempts: what contract.Workers promises, on each implementation.

To add an implementation, add an entry to IMPLEMENTATIONS: how to make the workers, and a Task for each behaviour of
sample_tasks.py that it can have (`task_for` may raise KeyError for the others; those cases are skipped).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sample_tasks

from respool.batch.declaration import Command, Mode, Task
from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind, Later, Outcome, Skipped
from respool.batch.places import Places
from respool.batch.rehearsal import Answer, RehearsalWorkers, Script
from respool.batch.workers.commands import CommandWorkers
from respool.batch.workers.contract import Note, Report, Workers
from respool.batch.workers.coroutines import CoroutineWorkers
from respool.batch.workers.executor import ExecutorWorkers, Heard
from respool.batch.workers.processes import ProcessWorkers
from respool.batch.workers.threads import ThreadWorkers

DEADLINE = 60.0  # only so that a failing test ends
HERE = Path(__file__).parent
SPOOL, NONCE = "spool-1", "nonce-1"


@dataclass(frozen=True)
class Implementation:
    make: Callable[[int, Report, Note, Places], Workers]
    task_for: Callable[..., Task]
    has_timeouts: bool = True
    read: Callable[[Outcome, Places], Outcome] = lambda outcome, places: outcome

    def can(self, behaviour: str) -> bool:
        try:
            return bool(self.task_for(behaviour))
        except KeyError:
            return False


def _function_task(mode: Mode, suffix: str = "") -> Callable[..., Task]:
    def task_for(behaviour: str, **options: Any) -> Task:
        function = vars(sample_tasks)[behaviour + suffix]
        return Task(name=f"sample_tasks:{behaviour}{suffix}", mode=mode, function=function, **options)

    return task_for


class DaemonThreads(Executor):
    """An executor whose threads do not keep the tests from ending."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            result = fn(*args, heard=self.heard)
            with contextlib.suppress(InvalidStateError):  # it was cancelled
                future.set_result(result)

        Thread(target=work, daemon=True).start()
        return future


def _remote_task(behaviour: str, **options: Any) -> Task:
    return Task(name=f"sample_tasks:{behaviour}_async", mode=Mode.ASYNC, **options)


class ByTask(Script):
    """Answers as the task's name says, so that a rehearsal can stand in the suite."""

    def answer(self, attempt: Attempt, task: Task) -> Answer:
        payload = json.loads(attempt.payload)
        if task.name == "rehearsed:hang":
            Path(payload["started"]).touch()
        return {
            "rehearsed:nothing": Answer(), "rehearsed:echo": Answer(result=attempt.payload),
            "rehearsed:hang": Answer(delay=60.0),
        }[task.name]  # fmt: skip


def _rehearsed_task(behaviour: str, **options: Any) -> Task:
    if behaviour not in ("nothing", "echo", "hang"):
        raise KeyError(behaviour)
    return Task(name=f"rehearsed:{behaviour}", mode=Mode.ASYNC, **options)


SCRIPTS = {
    "nothing": "true", "echo": 'cat "$RESPOOL_PAYLOAD"', "hang": 'touch "$1"; exec sleep 60',
    "crowd": 'touch "$1/$2"; sleep 0.02; ls "$1" | wc -l; rm "$1/$2"',
}  # fmt: skip
FIELDS = {"hang": ("{started}",), "crowd": ("{folder}", "{n}")}


def _command_task(behaviour: str, **options: Any) -> Task:
    words = ("/bin/sh", "-c", SCRIPTS[behaviour], "sh", *FIELDS.get(behaviour, ()))
    return Task("command:sh", Mode.COMMAND, command=Command(words), **options)


def _what_it_said(outcome: Outcome, places: Places) -> Outcome:
    """A command's result is where its output lies; the suite wants to see that output."""
    if not isinstance(outcome, Done) or outcome.result is None:
        return outcome
    said = (places.files / json.loads(outcome.result)["output"]).read_text().strip()
    return Done(said or None)


IMPLEMENTATIONS = {
    "coroutines": Implementation(
        lambda size, report, note, places: CoroutineWorkers(size, report, note, spool_id=SPOOL, places=places),
        _function_task(Mode.ASYNC, "_async"),
    ),
    "threads": Implementation(
        lambda size, report, note, places: ThreadWorkers(size, report, note, spool_id=SPOOL, places=places),
        _function_task(Mode.THREAD),
        has_timeouts=False,
    ),
    "processes": Implementation(
        lambda size, report, note, places: ProcessWorkers(
            size, report, note, spool_id=SPOOL, places=places, nonce=NONCE, folder=HERE
        ),
        _function_task(Mode.PROCESS),
    ),
    "commands": Implementation(
        lambda size, report, note, places: CommandWorkers(size, report, note, spool_id=SPOOL, places=places),
        _command_task,
        read=_what_it_said,
    ),
    "executor": Implementation(
        lambda size, report, note, places: ExecutorWorkers(
            DaemonThreads, size, report, note, spool_id=SPOOL, places=places, folder=HERE
        ),
        _remote_task,
    ),
    "rehearsal": Implementation(
        lambda size, report, note, places: RehearsalWorkers(
            size, report, note, spool_id=SPOOL, places=places, script=ByTask()
        ),
        _rehearsed_task,
    ),
}


@dataclass
class Bench:
    """Workers under test, with all that they said."""

    implementation: Implementation
    folder: Path
    size: int = 2
    said: list[tuple[Attempt, Outcome | str]] = field(default_factory=list)
    put_count: int = 0

    async def __aenter__(self) -> Bench:
        self.loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()
        self.places = Places.at(self.folder / "spool.db")
        self.workers = self.implementation.make(self.size, self.say, self.say, self.places)
        return self

    async def __aexit__(self, *exception: object) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.workers.close()
        if exception[0] is None:
            assert len(self.outcomes()) == self.put_count
        assert not self.workers.pids()

    def say(self, attempt: Attempt, what: Outcome | str) -> None:
        assert asyncio.get_running_loop() is self.loop, "called on the runner's loop"
        self.said.append((attempt, what if isinstance(what, str) else self.implementation.read(what, self.places)))
        self.changed.set()

    def put(self, behaviour: str, payload: Any = None, **options: Any) -> Attempt:
        try:
            task = self.implementation.task_for(behaviour, **options)
        except KeyError:
            pytest.skip(f"cannot {behaviour}")
        self.put_count += 1
        number = self.put_count
        text = json.dumps({"n": number} if payload is None else payload, sort_keys=True, separators=(",", ":"))
        attempt = Attempt(1000 + number, 1 + number % 3, 12, f"key-{number}", text, f"{number:032x}", NONCE)
        self.workers.put(attempt, task)
        return attempt

    def outcomes(self) -> dict[Attempt, Outcome]:
        reports = [(attempt, what) for attempt, what in self.said if not isinstance(what, str)]
        found = dict(reports)
        assert len(found) == len(reports), "an attempt was reported twice"
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.01)  # files change without telling us

    async def all_done(self) -> None:
        await self.until(lambda: len(self.outcomes()) == self.put_count)

    async def outcome(self, attempt: Attempt) -> Outcome:
        await self.until(lambda: attempt in self.outcomes())
        return self.outcomes()[attempt]


@pytest.fixture(params=list(IMPLEMENTATIONS))
def implementation(request: pytest.FixtureRequest) -> Implementation:
    return IMPLEMENTATIONS[request.param]


def scenario(implementation: Implementation, folder: Path, play: Any, size: int = 2) -> None:
    async def run() -> None:
        async with Bench(implementation, folder, size) as bench:
            await play(bench)

    asyncio.run(run())


EXPECTED: dict[str, Callable[[Outcome, int], bool]] = {
    "nothing": lambda outcome, n: outcome == Done(),
    "echo": lambda outcome, n: outcome == Done(f'{{"n":{n}}}'),
    "fail": lambda outcome, n: (
        isinstance(outcome, Failed) and outcome.kind is Kind.RAISED and not outcome.final
        and outcome.message == f"ValueError: bad {n}" and "in fail" in (outcome.detail or "")
        and "execute.py" not in (outcome.detail or "")
    ),
    "invalid": lambda outcome, n: (
        isinstance(outcome, Failed) and outcome.kind is Kind.INVALID and outcome.final
        and "set" in outcome.message and "$.rows[1]" in outcome.message
    ),
    "skip": lambda outcome, n: outcome == Skipped("nothing to do"),
    "later": lambda outcome, n: outcome == Later(2.5, "not yet"),
    "give_up": lambda outcome, n: isinstance(outcome, Failed) and outcome.final and outcome.message == "hopeless",
    "leave": lambda outcome, n: isinstance(outcome, Failed) and outcome.message == "SystemExit: 3",
}  # fmt: skip


def test_every_kind_of_end(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        wanted = {}
        for n in range(1, 41):
            behaviour = list(EXPECTED)[n % len(EXPECTED)]
            wanted[bench.put(behaviour)] = (behaviour, n)
        await bench.all_done()
        for attempt, (behaviour, n) in wanted.items():
            outcome = bench.outcomes()[attempt]
            assert EXPECTED[behaviour](outcome, n), (behaviour, outcome)

    scenario(implementation, tmp_path, play, size=3)


def test_one_place_keeps_the_order(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        attempts = [bench.put("echo" if n % 3 else "nothing") for n in range(30)]
        await bench.all_done()
        assert list(bench.outcomes()) == attempts

    scenario(implementation, tmp_path, play, size=1)


@pytest.mark.parametrize("size", [1, 3])
def test_never_more_at_once_than_places(implementation: Implementation, tmp_path: Path, size: int) -> None:
    async def play(bench: Bench) -> None:
        crowd = tmp_path / "crowd"
        crowd.mkdir()
        for n in range(15):
            bench.put("crowd", {"folder": str(crowd), "n": n})
        await bench.all_done()
        counts = [int(outcome.result or 0) for outcome in bench.outcomes().values() if isinstance(outcome, Done)]
        assert len(counts) == 15
        assert max(counts) <= size
        assert size == 1 or max(counts) > 1, "the places are used side by side"

    scenario(implementation, tmp_path, play, size)


def test_what_a_task_may_know_and_say(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        attempt = bench.put("told")
        outcome = await bench.outcome(attempt)
        assert isinstance(outcome, Done), outcome
        key, number, job, idempotency, payload = json.loads(outcome.result or "")
        assert (key, number, job, payload) == (attempt.key, attempt.number, attempt.job, {"n": 1})
        assert idempotency.startswith(f"{SPOOL}:{attempt.item}:")
        assert bench.said[0] == (attempt, "half way")
        written = list(bench.places.attempt(attempt.item, attempt.number).rglob("mine.txt"))
        assert len(written) == 1

    scenario(implementation, tmp_path, play)


def test_every_item_has_a_context_of_its_own(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        attempts = [bench.put("remember") for _ in range(4)]
        await bench.all_done()
        assert [bench.outcomes()[attempt] for attempt in attempts] == [Done("0")] * 4
        assert sample_tasks.seen.get() == 0, "nor does the runner see what its tasks have set"

    scenario(implementation, tmp_path, play, size=1)


def test_a_running_one_can_be_interrupted_and_its_place_is_free_again(
    implementation: Implementation, tmp_path: Path
) -> None:
    async def play(bench: Bench) -> None:
        running = bench.put("hang", {"started": str(tmp_path / "started")})
        queued = bench.put("hang", {"started": str(tmp_path / "never")})
        following = bench.put("echo")
        await bench.until((tmp_path / "started").exists)
        bench.workers.interrupt(queued, "not wanted")
        bench.workers.interrupt(running, "asked for")
        bench.workers.interrupt(running, "asked again")
        assert await bench.outcome(following) == Done('{"n":3}')
        assert await bench.outcome(running) == Interrupted("asked for")
        assert await bench.outcome(queued) == Interrupted("not wanted")
        assert not (tmp_path / "never").exists()

    scenario(implementation, tmp_path, play, size=1)


def test_interrupting_what_is_over_or_unknown_does_nothing(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        attempt = bench.put("echo")
        await bench.outcome(attempt)
        bench.workers.interrupt(attempt, "too late")
        bench.workers.interrupt(attempt._replace(item=99), "never put")
        assert await bench.outcome(bench.put("echo")) == Done('{"n":2}')

    scenario(implementation, tmp_path, play)


def test_close_ends_everything_and_reports_it(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        starts = [tmp_path / "a", tmp_path / "b"]
        for start in starts:
            bench.put("hang", {"started": str(start)})
        for _ in range(5):
            bench.put("echo")
        await bench.until(lambda: all(start.exists() for start in starts))
        async with asyncio.timeout(DEADLINE):
            await bench.workers.close()
        assert [type(outcome) for outcome in bench.outcomes().values()] == [Interrupted] * 7
        await bench.workers.close()

    scenario(implementation, tmp_path, play)


def test_close_before_anything_began(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        attempts = [bench.put("echo") for _ in range(3)]
        await bench.workers.close()
        assert list(bench.outcomes()) == attempts
        closed = Interrupted("the workers were closed")
        for attempt, outcome in bench.outcomes().items():
            assert outcome in (closed, Done(attempt.payload)), "a thread may have been quicker"
        assert await bench.outcome(bench.put("echo")) == closed

    scenario(implementation, tmp_path, play)


def test_close_without_work(implementation: Implementation, tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        assert bench.workers.pids() == {}, "nothing is started before there is work"

    scenario(implementation, tmp_path, play)


def test_a_timeout_fails_its_own_item(implementation: Implementation, tmp_path: Path) -> None:
    if not implementation.has_timeouts:
        pytest.skip("declares no timeouts")

    async def play(bench: Bench) -> None:
        slow = bench.put("hang", {"started": str(tmp_path / "started")}, timeout=0.1)
        quick = bench.put("echo", timeout=DEADLINE)
        outcome = await bench.outcome(slow)
        assert isinstance(outcome, Failed)
        assert outcome.kind is Kind.TIMEOUT
        assert not outcome.final
        assert "0.1 s" in outcome.message
        assert await bench.outcome(quick) == Done('{"n":2}')
        assert await bench.outcome(bench.put("echo")) == Done('{"n":3}')

    scenario(implementation, tmp_path, play, size=1)


@pytest.mark.parametrize("seed", range(4))
def test_exactly_once_in_a_storm(implementation: Implementation, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    behaviours = [name for name in ("nothing", "echo", "fail", "hang", "told") if implementation.can(name)]

    async def play(bench: Bench) -> None:
        attempts: list[Attempt] = []
        for n in range(40):
            behaviour = chance.choice(behaviours)
            payload = {"started": str(tmp_path / str(n))} if behaviour == "hang" else None
            attempts.append(bench.put(behaviour, payload))
            if chance.random() < 0.5:
                bench.workers.interrupt(chance.choice(attempts), "storm")
            if chance.random() < 0.3:
                await asyncio.sleep(chance.choice([0, 0.001, 0.02]))
        if seed % 2:
            for attempt in attempts:
                bench.workers.interrupt(attempt, "the end")
            await bench.all_done()
        else:
            await bench.workers.close()
        outcomes = bench.outcomes()  # fails if one was reported twice
        assert set(outcomes) == set(attempts)
        hanging = [attempt for attempt in attempts if "started" in attempt.payload]
        assert all(isinstance(outcomes[attempt], Interrupted) for attempt in hanging)

    scenario(implementation, tmp_path, play, size=3)
