"""What a dead runner left in the books: every row finds its end, whatever was asked of the spool before somebody came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respool import Spool, task
from respool.batch.adopt import adopt_leftovers
from respool.batch.model import Item
from respool.batch.store import reading
from respool.batch.store.intake import Wishes
from respool.batch.store.ledger import Ledger
from respool.clock import SYSTEM

CALLS: list[Any] = []


@task(mode="thread")
def work(payload: Any) -> Any:
    CALLS.append(payload)
    return payload


@task(mode="thread")
def after(one: Any) -> None: ...


class Dead:
    """A spool whose runner died with some items of job 1 running."""

    def __init__(self, path: Path) -> None:
        self.spool = Spool(path)
        CALLS.clear()

    def die(self, items: dict[str, Any], running: int = 100) -> None:
        """Submit, claim as a runner does, and be gone."""
        self.spool.submit(work, items, name="job", then=[(after, "finish")])
        database, now = self.spool.database(), SYSTEM.now()
        ledger = Ledger(database, "dead")
        ledger.begin_session("1", now)
        plan = ledger.plan(ledger.due(1, running, now), 1, 1, anew_since=None, intact=lambda _: True)
        with database.write():
            ledger.claim(1, plan, now)

    def adopt(self) -> tuple[int, int]:
        found = adopt_leftovers(self.spool.database(), SYSTEM, lambda: 0.5)
        return found.adopted, found.interrupted

    def items(self) -> dict[str, Item]:
        return {item.key: item for item in reading.items(self.spool.database(), 1)}

    def states(self) -> dict[str, str]:
        return {key: str(item.state) for key, item in self.items().items()}

    def tries(self, key: str) -> list[str]:
        return [one.outcome for one in reading.attempts(self.spool.database(), self.items()[key].id)]


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[Dead]:
    made = Dead(tmp_path / "spool.db")
    with made.spool:
        yield made


def test_what_was_running_runs_again_free_of_charge(dead: Dead) -> None:
    dead.die({"a": 1, "b": 2})
    assert str(dead.spool.job(1).read().state()) == "interrupted"
    assert dead.adopt() == (0, 2)
    used = {(str(one.state), one.attempts, one.failures, one.crashes) for one in dead.items().values()}
    assert used == {("pending", 1, 0, 0)}
    assert dead.items()["a"].reason == "interrupted: its runner died"
    dead.spool.run(workers=2)
    assert dead.tries("a") == ["interrupted", "done"]
    told = [event.type for event in dead.spool.events() if event.attempt == 1]
    assert told.count("item_interrupted") == 2


def test_who_finds_nothing_writes_nothing(dead: Dead) -> None:
    dead.spool.submit(work, {"a": 1}, name="job").run()
    version = dead.spool.database().connection.total_changes
    assert dead.adopt() == (0, 0)
    assert dead.spool.database().connection.total_changes == version


def test_what_is_no_longer_in_the_input_is_ended_and_its_followers_run(dead: Dead) -> None:
    dead.die({"leader": 1, "follower": 1, "other": 2})
    dead.spool.submit(work, {"follower": 1, "other": 2}, name="job")
    dead.adopt()
    assert dead.states() == {"leader": "cancelled", "follower": "pending", "other": "pending"}
    assert dead.items()["leader"].reason == "withdrawn"
    assert dead.tries("leader") == ["interrupted"]
    dead.spool.run(workers=2)
    assert sorted(CALLS) == [1, 2]
    assert dead.states() == {"leader": "cancelled", "follower": "done", "other": "done"}


def test_what_came_back_into_the_input_runs_again(dead: Dead) -> None:
    dead.die({"a": 1, "b": 2})
    dead.spool.submit(work, {"b": 2}, name="job")
    dead.spool.submit(work, {"a": 1, "b": 2}, name="job").run()
    assert dead.states() == {"a": "done", "b": "done"}


def test_what_changed_runs_with_what_it_is_now(dead: Dead) -> None:
    dead.die({"a": 1})
    dead.spool.submit(work, {"a": 5}, name="job").run()
    assert CALLS == [5]
    assert dead.spool.job(1).results() == {"a": 5}
    assert dead.tries("a") == ["interrupted", "done"]


def test_a_job_that_was_cancelled_meanwhile_ends_and_is_followed(dead: Dead) -> None:
    dead.die({"a": 1, "b": 2}, running=1)
    assert dead.spool.job(1).cancel() == 1
    assert dead.states() == {"a": "running", "b": "cancelled"}
    dead.adopt()
    assert dead.states() == {"a": "cancelled", "b": "cancelled"}
    job = dead.spool.job(1).read()
    assert (str(job.state()), job.ended_at is not None) == ("cancelled", True)
    assert [one.parent for one in dead.spool.jobs()] == [None, 1]
    assert CALLS == []


def test_the_sessions_of_the_dead_are_closed(dead: Dead) -> None:
    dead.die({"a": 1})
    dead.adopt()
    database = dead.spool.database()
    assert database.all("open_sessions", 0) == []
    assert (database.one("latest_session") or ())[-1] == "died"


def test_what_was_left_running_answers_for_its_equals_in_a_fresh_generation_too(dead: Dead) -> None:
    dead.die({"a": 7}, running=1)
    job = dead.spool.submit(work, {"a": 7}, name="job", then=[(after, "finish")], wishes=Wishes(fresh=True))
    dead.spool.run([job.id])
    assert dead.states() == {"a": "done"}
    dead.spool.submit(work, {"a": 7, "b": 7}, name="job", then=[(after, "finish")])
    dead.spool.run([job.id])
    assert (dead.states(), CALLS) == ({"a": "done", "b": "cached"}, [7])
