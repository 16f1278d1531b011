"""The dry run against the real thing: whatever happened before, what the plan says is what then happens."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from respool.batch import sources
from respool.batch.adopt import adopt_leftovers
from respool.batch.blocks import cut
from respool.batch.declaration import Command, Mode, Task
from respool.batch.forecast import Action, Forecast, expected_seconds, plan
from respool.batch.model import Attempt, Done, Failed, Kind, Later, Outcome, Output, Skipped
from respool.batch.places import Places
from respool.batch.policy import Retry
from respool.batch.settle import Settled, settle
from respool.batch.sources import Source, from_values
from respool.batch.spool import Spool
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.intake import Wishes, cancel
from respool.batch.store.ledger import Ledger
from respool.batch.submission import apply, declaration_of
from respool.batch.tasks import task, task_of
from respool.clock import SYSTEM, FakeClock
from respool.errors import JobNotFound, UsageError
from respool.pace import Limit

TASK = Task("tests:double", Mode.THREAD, source_digest="code-1")
WINDOW = 3


def judge(attempt: Attempt) -> Outcome:
    """What becomes of an attempt: its payload decides."""
    value = json.loads(attempt.payload)
    if value % 5 == 0:
        return Failed(Kind.RAISED, "no multiples of five", final=True)
    if value == 7:
        return Skipped("seven")
    if value == 8 and attempt.number == 1:
        return Later(60.0, "not before a minute")
    if value % 3 == 1:
        return Done(str(2 * value), (Output(f"out/{value}", 1, "d"),))
    return Done(str(2 * value)) if value % 2 else Done()


@dataclass
class House:
    """A spool with its own clock, and a runner that goes through the ledger as the real one does."""

    database: Database
    clock: FakeClock
    broken: set[str] = field(default_factory=set)
    nonce: int = 0

    def intact(self, outputs: Sequence[Output]) -> bool:
        return not any(output.path in self.broken for output in outputs)

    def forecast(
        self, name: str, task: Task, items: object, wishes: Wishes, only: Sequence[str] = (), workers: int = 1
    ) -> Forecast:
        with given(items) as source, Database.open(self.database.places, read_only=True, clock=self.clock) as reader:
            return plan(
                reader, name, task, source, wishes, only=only, workers=workers, now=self.clock.now(), intact=self.intact
            )

    def submit(self, name: str, task: Task, items: object, wishes: Wishes) -> int:
        with given(items) as source:
            declared = declaration_of(task, name, source)
            return apply(self.database, declared, task, source, wishes, self.intact, self.clock).job

    def run(
        self, job: int, task: Task, only: Sequence[str] = (), *, no_cache: bool = False, stop_after: int = 1 << 30
    ) -> tuple[set[str], set[str]]:
        """Run what is due; (keys that were started, keys that were answered without). Dies after `stop_after` items."""
        database = self.database
        started: set[str] = set()
        began = self.clock.now()
        self.adopt()
        self.nonce += 1
        ledger = Ledger(database, str(self.nonce))
        ledger.begin_session("1", self.clock.now())
        before = set(reading.keys(database, job, reading.ItemState.CACHED))
        chosen = [row[1] for row in database.all("item_ids", job, json.dumps(list(only)))]
        generation = reading.job(database, job).generation
        while True:
            now = self.clock.now()
            candidates = ledger.due_of(chosen, WINDOW, now) if only else ledger.due(job, WINDOW, now)
            if not candidates:
                break
            plan = ledger.plan(candidates, job, generation, anew_since=began if no_cache else None, intact=self.intact)
            with database.write():
                attempts = ledger.claim(job, plan, now)
            started |= {attempt.key for attempt in attempts}
            if len(started) >= stop_after:
                return started, set()
            standings = {candidate.item: candidate.standing for candidate in candidates}
            ended = []
            for attempt in attempts:
                outcome = judge(attempt)
                verdict = settle(standings[attempt.item], attempt.number, outcome, task.retry, now, 0.5)
                ended.append(Settled(attempt, outcome, verdict, now))
            self.clock.advance(1)
            with database.write():
                ledger.settle(ended)
        return started, set(reading.keys(database, job, reading.ItemState.CACHED)) - before

    def adopt(self) -> None:
        """What the next runner does with what a dead one left running."""
        adopt_leftovers(self.database, self.clock, lambda: 0.5, grace=0)


class given:  # noqa: N801 (reads as a step of the story)
    """A source that is closed at the end of the block."""

    def __init__(self, items: object) -> None:
        self.source: Source = from_values(items)  # type: ignore[arg-type]

    def __enter__(self) -> Source:
        return self.source

    def __exit__(self, *_: object) -> None:
        self.source.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = FakeClock()
    with Database.open(Places.at(tmp_path / "spool.db"), create=True, clock=clock) as database:
        yield House(database, clock)


def edited(items: dict[str, int], chance: random.Random) -> dict[str, int]:
    """The items after a morning's work of their owner."""
    pairs = list(items.items())
    for _ in range(chance.choice([0, 0, 1, 3])):
        what, value = chance.choice(["edit", "insert", "remove", "move"]), chance.randrange(30)
        if what == "insert" or not pairs:
            pairs.insert(chance.randint(0, len(pairs)), (f"k{chance.randrange(40)}", value))
        else:
            place = chance.randrange(len(pairs))
            key, _ = pair = pairs.pop(place)
            if what == "edit":
                pairs.insert(place, (key, value))
            elif what == "move":
                pairs.insert(chance.randint(0, len(pairs)), pair)
    return dict(pairs)


def wishes_by(chance: random.Random, items: dict[str, int]) -> Wishes:
    some = tuple(chance.sample(sorted(items), min(2, len(items))))
    kinds = [
        Wishes(), Wishes(), Wishes(), Wishes(retry_failed=True), Wishes(fresh=True), Wishes(force=True),
        Wishes(force=some), Wishes(rerun_changed=True), Wishes(fresh=True, retry_failed=True), Wishes(no_cache=True),
        Wishes(retry_failed=True, rerun_changed=True),
    ]  # fmt: skip
    return chance.choice(kinds)


def sets_of(forecast: Forecast) -> dict[Action, set[str]]:
    return {action: {item.key for item in forecast.items if item.action is action} for action in Action}


@pytest.mark.parametrize("seed", range(40))
def test_the_plan_is_what_then_happens(house: House, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(sources, "cut", partial(cut, mask=3))  # small blocks: kept, moved and stale ones in every round
    chance = random.Random(seed)
    jobs = {name: {f"k{n}": chance.randrange(30) for n in range(chance.randrange(1, 16))} for name in ("one", "two")}
    tasks = dict.fromkeys(jobs, TASK)
    for _ in range(8):
        name = chance.choice(list(jobs))
        jobs[name] = items = edited(jobs[name], chance)
        if chance.random() < 0.3:
            digest, version = f"code-{chance.randrange(3)}", chance.choice(["1", "1", "2"])
            tasks[name] = replace(TASK, source_digest=digest, version=version)
        house.broken = {f"out/{chance.randrange(30)}"}
        house.clock.advance(chance.choice([1, 100]))
        wishes = wishes_by(chance, items)
        only = chance.sample(sorted(items), len(items) // 2) if chance.random() < 0.3 else []
        forecast = house.forecast(name, tasks[name], items, wishes, only)
        told = sets_of(forecast)
        assert [item.key for item in forecast.items if item.action is not Action.WITHDRAW] == list(items)
        before = states(house, name)

        job = house.submit(name, tasks[name], items, wishes)
        withdrawn = {key for key, state in states(house, name).items() if state == "withdrawn" != before.get(key)}
        assert told[Action.WITHDRAW] == withdrawn
        die = chance.random() < 0.3
        started, cached = house.run(
            job, tasks[name], only, no_cache=wishes.anew, stop_after=chance.randrange(1, 6) if die else 1 << 30
        )
        if die:
            assert started <= told[Action.RUN] | told[Action.CACHED]
        else:
            meant = told[Action.RUN] | told[Action.CACHED]
            assert meant <= started | cached <= meant | told[Action.WAIT]  # a wait can end while the others run
            assert told[Action.RUN] <= started
            assert {item.key for item in forecast.items if item.reason.startswith("same work")} <= cached - started
            followers = {item.key for item in forecast.items if item.reason.startswith("duplicate of")}
            assert started - told[Action.RUN] <= followers | told[Action.WAIT]  # their leader failed
            sound = {key for key in followers if items[key] % 5 and items[key] not in (7, 8)}
            sound -= {key for key in followers if f"out/{items[key]}" in house.broken}
            assert wishes.fresh or not started & sound, "equal work is done once, whatever else is asked for"
        if chance.random() < 0.1:
            with house.database.write():
                cancel(house.database, job, house.clock.now())


def states(house: House, name: str) -> dict[str, str]:
    """Key → state, with withdrawn items told from those that somebody cancelled."""
    row = house.database.one("job_by_name", name)
    found = reading.items(house.database, row[0]) if row else ()
    return {item.key: "withdrawn" if item.reason == "withdrawn" else str(item.state) for item in found}


def test_without_a_spool_everything_is_new() -> None:
    with given([("a", 1), ("b", 2), ("c", 1)]) as source:
        found = plan(None, "job", TASK, source, Wishes(), workers=2, now=0, intact=bool)
    assert [tuple(item) for item in found.items] == [
        ("a", "run", "new"), ("b", "run", "new"), ("c", "cached", "duplicate of a (follows it)"),
    ]  # fmt: skip
    assert found.totals == {
        Action.RUN: 2, Action.CACHED: 1, Action.KEEP: 0, Action.WAIT: 0, Action.WITHDRAW: 0,
    }  # fmt: skip
    assert found.seconds is None
    assert not found.code_changed


def reasons(forecast: Forecast) -> dict[str, str]:
    return {item.key: f"{item.action}: {item.reason}" for item in forecast.items}


def test_every_reason_is_told(house: House) -> None:
    items = {"done": 1, "edited": 2, "failed": 5, "gone": 3, "later": 8, "broken": 13, "skipped": 7, "dies": 11}
    job = house.submit("job", TASK, items, Wishes())
    house.run(job, TASK, stop_after=len(items))
    house.adopt()
    house.run(job, TASK, ["done", "edited", "failed", "gone", "later", "broken", "skipped"])
    house.broken = {"out/13"}
    del items["gone"]
    told = reasons(house.forecast("job", TASK, items | {"edited": 4, "new": 9, "twin": 9, "old": 3}, Wishes()))
    assert told.pop("later").startswith("wait: waiting until ")
    assert told == {
        "done": "keep: finished",
        "edited": "run: its input changed",
        "failed": "keep: failed (raised) and stays failed (use --retry-failed)",
        "gone": "withdraw: no longer in the input",
        "broken": "run: a file that it produced is missing or altered",
        "skipped": "keep: finished",
        "dies": "run: interrupted: its runner died",
        "new": "run: new",
        "twin": "cached: duplicate of new (follows it)",
        "old": f"cached: same work finished before in job {job}",
    }
    house.broken.clear()
    assert reasons(house.forecast("job", TASK, items, Wishes(retry_failed=True)))["failed"] == "run: retry asked for"
    fresh = reasons(house.forecast("job", TASK, items, Wishes(fresh=True)))
    assert set(fresh.values()) == {"run: a fresh generation", "withdraw: no longer in the input"}
    only = reasons(house.forecast("job", TASK, items | {"new": 9}, Wishes(), only=["new"]))
    assert only["new"] == "run: new"
    assert only["dies"] == "keep: not among --only"
    with house.database.write():
        cancel(house.database, job, house.clock.now())
    assert reasons(house.forecast("job", TASK, items, Wishes()))["dies"] == "run: was cancelled"


def test_running_rows_of_a_dead_runner_were_interrupted(house: House) -> None:
    job = house.submit("job", TASK, {"a": 1, "b": 2}, Wishes())
    house.run(job, TASK, stop_after=1)
    assert reasons(house.forecast("job", TASK, {"a": 1, "b": 2}, Wishes()))["a"] == "run: was interrupted"


def test_changed_code_is_told(house: House) -> None:
    job = house.submit("job", TASK, {"a": 1, "b": 5}, Wishes())
    house.run(job, TASK)
    assert not house.forecast("job", TASK, {"a": 1, "b": 5}, Wishes()).code_changed
    other = replace(TASK, source_digest="code-2")
    assert house.forecast("job", other, {"a": 1, "b": 5}, Wishes()).code_changed
    again = house.forecast("job", other, {"a": 1, "b": 5}, Wishes(rerun_changed=True))
    assert not again.code_changed
    assert again.items[1] == ("b", Action.RUN, "the task's code changed")


def test_the_input_is_refused_as_a_submission_refuses_it(house: House) -> None:
    for items, wrong in (([("a", 1), ("a", 2)], "'a' is there twice"), ([("@x", 1)], "respool's own")):
        with pytest.raises(UsageError, match=wrong):
            house.forecast("job", TASK, items, Wishes())
        with pytest.raises(UsageError, match=wrong):
            house.submit("job", TASK, items, Wishes())


def test_only_names_what_is_there(house: House) -> None:
    with pytest.raises(JobNotFound, match="no item 'z'"):
        house.forecast("job", TASK, {"a": 1}, Wishes(), only=["a", "z"])


def test_nothing_is_written(house: House) -> None:
    job = house.submit("job", TASK, {"a": 1}, Wishes())
    house.run(job, TASK)
    dump = list(house.database.connection.iterdump())
    house.forecast("job", TASK, {"a": 2, "b": 3}, Wishes(fresh=True, force=True))
    assert list(house.database.connection.iterdump()) == dump


def test_commands_that_declare_nothing_are_never_answered_from_finished_work(house: House) -> None:
    for outputs, action in (((), Action.RUN), (("{}.out",), Action.CACHED)):
        task = Task("command:x", Mode.COMMAND, version=str(outputs), command=Command(("x", "{}"), outputs=outputs))
        job = house.submit(f"one {outputs}", task, [("a", 2)], Wishes())
        house.run(job, task)
        assert house.forecast(f"two {outputs}", task, [("a", 2)], Wishes()).items[0].action is action


def test_equal_work_of_a_task_that_shares_nothing_runs_twice(house: House) -> None:
    told = reasons(house.forecast("job", replace(TASK, cache=False), {"a": 1, "b": 1}, Wishes()))
    assert told == {"a": "run: new", "b": "run: new"}


@pytest.mark.parametrize("seed", range(6))
def test_the_plan_is_what_a_real_runner_does(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    items: dict[str, int] = {f"k{n}": chance.randrange(30) for n in range(12)}
    with Spool(tmp_path / "spool.db") as spool:
        for _ in range(4):
            items, wishes = edited(items, chance), wishes_by(chance, items)
            only = chance.sample(sorted(items), len(items) // 2) if chance.random() < 0.3 else []
            with given(items) as source, Database.open(spool.places, create=True) as reader:
                forecast = plan(
                    reader, "job", task_of(doubled), source, wishes, only=only, workers=2, now=SYSTEM.now(), intact=all
                )
            told = sets_of(forecast)
            handle = spool.submit(doubled, items, name="job", wishes=wishes)
            mark = max((event.seq for event in spool.events(limit=100_000)), default=0)
            handle.run(workers=2, only=only) if only else handle.run(workers=2)
            ids = {item.id: item.key for item in handle.items()}
            acted = {ids[event.item] for event in spool.events(mark, limit=100_000) if event.item in ids}
            assert acted == told[Action.RUN] | told[Action.CACHED]


@task(mode="thread", retry=Retry(attempts=1))
def doubled(value: int) -> int:
    if value % 5 == 0:
        raise ValueError("no multiples of five")
    return 2 * value


def test_how_long_it_takes(house: House) -> None:
    assert expected_seconds(TASK, 0, None, 1) == 0.0
    assert expected_seconds(TASK, 5, None, 1) is None
    assert expected_seconds(TASK, 100, 2.0, 4) == 50.0
    assert expected_seconds(TASK, 1, 2.0, 4) == 2.0
    limited = replace(TASK, limits=(Limit("service", "30/min", "40/hour"),))
    assert expected_seconds(limited, 30, 2.0, 60) == 2.0
    assert expected_seconds(limited, 31, 2.0, 60) == 62.0
    assert expected_seconds(limited, 41, 2.0, 60) == 3602.0
    job = house.submit("job", TASK, {"a": 1}, Wishes())
    house.run(job, TASK)
    assert house.forecast("job", TASK, {"a": 1, "b": 2, "c": 3}, Wishes(), workers=2).seconds is not None


def test_what_is_left_of_a_limit_counts() -> None:
    limited = replace(TASK, limits=(Limit("api", "3/min"),))
    waits = {1: 0.0, 2: 20.0, 3: 50.0}  # two of three slots are used
    took = [expected_seconds(limited, runs, 1.0, 9, slots=lambda key, rate, many: waits[many]) for runs in range(1, 6)]
    assert took == [1.0, 21.0, 51.0, 61.0, 81.0]
