"""What follows a job: made with its end, once for each change of its results, from exactly those results."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from respool import Retry, SkipItem, Spool, task
from respool.batch.model import ItemState, JobState
from respool.batch.store import reading
from respool.batch.store.followups import EXPANSION_KEY, deliver_followups, end_if_finished
from respool.batch.store.intake import Wishes
from respool.batch.tasks import task_of
from respool.errors import UsageError

BROKEN: set[Any] = set()
MADE: list[Any] = []


@task(retry=Retry(attempts=1), mode="thread")
def work(payload: Any) -> Any:
    if payload in BROKEN:
        raise ValueError("broken")
    if payload == "skip":
        raise SkipItem("no")
    return {"of": payload}


@task(mode="thread")
def after(one: Any) -> None:
    MADE.append((one["key"], one["result"]))


@task(mode="thread")
def later(one: Any) -> None: ...


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    BROKEN.clear()
    MADE.clear()
    with Spool(tmp_path / "spool.db") as made:
        yield made


def children(spool: Spool) -> list[str]:
    return [job.name.split(":")[-1] for job in spool.jobs() if job.parent is not None]


def created(spool: Spool) -> int:
    return sum(event.type == "followup_created" for event in spool.events())


def test_one_child_for_each_rule_and_one_creation_for_each_change(spool: Spool) -> None:
    rules = [(after, "success"), (later, "finish")]
    for number, items in enumerate(({"a": 1}, {"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2}, {"b": 2}), 1):
        spool.submit(work, items, name="p", then=rules).run()
        assert children(spool) == ["after", "later"], number
    assert sorted(MADE, key=str) == [("a", {"of": 1}), ("b", {"of": 2})], "and no item is made twice"
    assert created(spool) == 2 * 3, "at first, with b, without a"
    child = spool.job("p > " + after_name())
    assert {item.key: str(item.state) for item in child.items() if item.key != EXPANSION_KEY} == {
        "a": "cancelled", "b": "done",
    }  # fmt: skip


def after_name() -> str:
    return f"{after.__module__}:after"


@pytest.mark.parametrize(("on", "broken", "cancelled", "made"), [
    ("success", False, False, True), ("success", True, False, False), ("success", False, True, False),
    ("finish", False, False, True), ("finish", True, False, True), ("finish", False, True, True),
])  # fmt: skip
def test_success_means_no_failure_and_no_cancel_and_finish_means_always(
    spool: Spool, on: str, broken: bool, cancelled: bool, made: bool
) -> None:
    BROKEN.update({2} if broken else ())
    job = spool.submit(work, {"a": 1, "b": 2, "s": "skip"}, name="p", then=[(after, on)])
    if cancelled:
        job.cancel()
    spool.run()
    assert children(spool) == (["after"] if made else [])


def test_a_child_that_is_brought_up_to_date_is_open_again(spool: Spool) -> None:
    spool.submit(work, {"a": 1}, name="p", then=[(after, "success")]).run()
    assert spool.jobs()[1].ended_at is not None
    spool.submit(work, {"a": 1, "b": 2}, name="p", then=[(after, "success")]).run(at_most=1)
    assert spool.jobs()[1].ended_at is None
    assert spool.jobs()[1].state() is not JobState.DONE


def test_a_job_that_was_cancelled_is_no_success_whatever_it_had_reached(spool: Spool) -> None:
    job = spool.submit(work, {"a": 1}, name="p")
    job.run()
    assert job.cancel() == 0
    assert children(job.then(after, on="success").spool) == []
    assert children(job.then(later, on="finish").spool) == ["later"]


def test_what_succeeds_at_last_is_followed_then(spool: Spool) -> None:
    BROKEN.add(2)
    job = spool.submit(work, {"a": 1, "b": 2}, name="p", then=[(after, "success")])
    job.run()
    assert children(spool) == []
    BROKEN.clear()
    job.retry()
    job.run()
    assert sorted(key for key, _ in MADE) == ["a", "b"]


def test_a_rule_that_comes_late_is_delivered_at_once(spool: Spool) -> None:
    job = spool.submit(work, {"a": 1}, name="p")
    job.run()
    job.then(after)
    job.then(after)
    assert children(spool) == ["after"]
    spool.run()
    assert MADE == [("a", {"of": 1})]
    assert created(spool) == 1


def test_a_fresh_generation_is_followed_even_if_its_results_are_the_same(spool: Spool) -> None:
    spool.submit(work, {"a": 1}, name="p", then=[(after, "success")]).run()
    spool.submit(work, {"a": 1}, name="p", then=[(after, "success")], wishes=Wishes(fresh=True)).run()
    assert created(spool) == 2
    assert len(MADE) == 1, "equal results are equal work"


def test_the_end_and_what_follows_are_one_transaction(spool: Spool) -> None:
    job = spool.submit(work, {"a": 1}, name="p", then=[(after, "finish")])
    database = spool.database()
    with database.write():
        database.connection.execute("UPDATE items SET state = 'cancelled'")
    database.connection.execute(
        "CREATE TEMP TRIGGER no_child BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'no child'); END"
    )

    def end() -> bool:
        with database.write():
            return end_if_finished(database, job.id, 5)

    with pytest.raises(sqlite3.IntegrityError, match="no child"):
        end()
    assert (job.read().ended_at, children(spool)) == (None, [])
    database.connection.execute("DROP TRIGGER no_child")
    assert end()
    assert (job.read().ended_at, children(spool)) == (5, ["after"])


def test_a_job_with_open_items_or_an_open_submission_does_not_end(spool: Spool) -> None:
    job = spool.submit(work, {"a": 1}, name="p", then=[(after, "finish")])
    database = spool.database()
    with database.write():
        assert not end_if_finished(database, job.id, 5)
        database.connection.execute("UPDATE items SET state = 'cancelled'")
        database.connection.execute("UPDATE jobs SET sealed_at = NULL")
        assert not end_if_finished(database, job.id, 5)
        assert not end_if_finished(database, 99, 5)
        assert deliver_followups(database, 99, 5) == []


def test_a_childs_child_follows_too(spool: Spool) -> None:
    spool.submit(work, {"a": 1}, name="p").then(after).run()
    spool.job(f"p > {after_name()}").then(later)
    spool.submit(work, {"a": 1, "b": 2}, name="p").then(after).run()
    last = spool.jobs()[-1]
    assert (last.parent, last.state()) == (2, JobState.DONE)
    assert [item.key for item in reading.items(spool.database(), last.id) if item.key != EXPANSION_KEY] == ["a", "b"]


EXPANDING: list[Path] = []


def change_the_parent_meanwhile(results: list[Any]) -> list[Any]:
    """Makes items of results that, before they are taken in, are no longer the parent's."""
    if EXPANDING:
        with Spool(EXPANDING.pop()) as other:
            submitted = other.submit(work, {"a": 1, "b": 2}, name="p", then=[(expanded, "success")])
            assert submitted.stored_for_live_runner
            deadline = time.monotonic() + 30
            while submitted.read().counts != {ItemState.DONE: 2} and time.monotonic() < deadline:
                time.sleep(0.01)
    return [(one["key"], one["result"]) for one in results]


@task(mode="thread", expand=change_the_parent_meanwhile)
def expanded(one: Any) -> None: ...


def test_a_parent_that_changes_while_its_child_is_made_is_not_missed(spool: Spool) -> None:
    EXPANDING.append(spool.places.database)
    spool.submit(work, {"a": 1}, name="p", then=[(expanded, "success")]).run(workers=2)
    child = spool.job(2)
    made = {item.key: str(item.state) for item in child.items() if item.key != EXPANSION_KEY}
    assert made == {"a": "done", "b": "done"}


@task(mode="thread", follows_as="reports on {parent}")
def report(one: Any) -> Any:
    return one["key"]


def test_a_task_says_what_its_jobs_are_called_where_they_follow(spool: Spool) -> None:
    spool.submit(work, {"a": 1}, name="p", then=[(report, "success")]).run()
    assert [job.name for job in spool.jobs()] == ["p", "reports on p"]
    spool.submit(work, {"a": 1, "b": 2}, name="p", then=[(report, "success")]).run()
    assert [job.name for job in spool.jobs()] == ["p", "reports on p"]
    assert spool.job("reports on p").results() == {"a": "a", "b": "b"}


def test_a_job_that_has_the_name_of_a_follow_up_stays_what_it_is(spool: Spool) -> None:
    spool.submit(later, {"x": 1}, name="reports on p").run()
    before = spool.job("reports on p").results()
    spool.submit(work, {"a": 1}, name="p", then=[(report, "success")]).run()
    assert [(job.name, job.parent is None) for job in spool.jobs()] == [
        ("reports on p", True), ("p", True), ("reports on p (2)", False),
    ]  # fmt: skip
    assert spool.job("reports on p").results() == before


def test_a_name_without_its_parents_is_refused() -> None:
    with pytest.raises(UsageError, match=r"follows_as must hold \{parent\}, not 'reports'"):
        task(follows_as="reports")(report)


def test_the_code_of_a_follow_up_is_known_from_its_beginning(spool: Spool) -> None:
    """A later submission of the same code to the child finds nothing that other code has made."""
    spool.submit(work, {"a": 1}, name="p", then=[(report, "success")]).run()
    child = spool.job("reports on p")
    spool.submit(report, {key: item.payload for item in child.items() for key in [item.key] if key == "a"}, name=child.name)
    facts = spool.database().one("job_facts", child.id)
    assert facts is not None
    assert facts[6] is None


def test_a_follow_up_whose_code_changed_says_so(spool: Spool) -> None:
    spool.submit(work, {"a": 1}, name="p", then=[(report, "success")]).run()
    other = replace(task_of(report), source_digest="other")
    spool.submit(work, {"a": 2}, name="p", then=[(other, "success")]).run()
    facts = spool.database().one("job_facts", spool.job("reports on p").id)
    assert facts is not None
    assert facts[6] is not None
