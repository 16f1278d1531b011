"""Submissions, whole, broken off, staged and overtaken: in the end a job holds its input, and no finished work is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respool.batch import sources
from respool.batch.blocks import cut
from respool.batch.declaration import Mode, Task
from respool.batch.model import ItemState, Output
from respool.batch.places import Places
from respool.batch.reconcile import Change
from respool.batch.sources import from_values
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.intake import Wishes
from respool.batch.submission import Report, apply, apply_staged, declaration_of, stage
from respool.clock import FakeClock
from respool.errors import UsageError

TASK = Task("m:f", Mode.THREAD)


class Killed(BaseException):
    """The end of the submitting process."""


class Desk:
    """A spool to submit to. Blocks are a few rows long."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.database = Database.open(Places.at(folder / "spool.db"), create=True, clock=self.clock)
        self.broken: set[str] = set()

    def apply(self, items: Any, wishes: Wishes | None = None, kill_after: int = 1 << 30, task: Task = TASK) -> Report:
        steps: list[int] = []

        def progress(done: int, total: int) -> None:
            assert 0 < done <= total
            steps.append(done)
            if len(steps) > kill_after:
                raise Killed

        with contextlib.closing(from_values(items)) as source:
            return apply(
                self.database, declaration_of(task, "job", source), task, source, wishes or Wishes(), self.intact,
                self.clock, progress,
            )  # fmt: skip

    def stage(self, items: Any, wishes: Wishes | None = None) -> int:
        with contextlib.closing(from_values(items)) as source:
            declaration = declaration_of(TASK, "job", source)
            return stage(self.database, declaration, TASK, source, wishes or Wishes(), self.clock)[1]

    def grant(self) -> list[Report]:
        reports = []
        for request, verb, _, arguments in self.database.all("open_requests"):
            assert verb == "submit"
            reports.append(apply_staged(self.database, request, arguments, self.intact, self.clock))
            with self.database.write():
                self.database.run("drop_staged", request)
                self.database.run("close_request", self.clock.now(), request)
        return reports

    def intact(self, outputs: Sequence[Output]) -> bool:
        return not any(output.path in self.broken for output in outputs)

    def held(self) -> list[tuple[str, Any]]:
        items = reading.items(self.database, 1)
        return [(item.key, item.payload) for item in items if item.reason != "withdrawn"]

    def finish_all(self) -> None:
        """Every item is done, with a file that it produced; by hand, for what is tested here is not the runner."""
        with self.database.write():
            sql = self.database.connection.execute
            sql("INSERT OR IGNORE INTO sessions (id, nonce, pid, host, workers, started_at) VALUES (1, 'n', 1, 'h', '1', 1)")
            sql("""INSERT INTO attempts (item_id, number, session_id, started_at, ended_at, outcome)
                   SELECT id, attempts + 1, 1, 1, 1, 'done' FROM items WHERE state = 'pending'""")
            sql("""INSERT INTO results (item_id, number, outputs)
                   SELECT id, attempts + 1, json_array(json_array('/' || key, 1, 'd')) FROM items WHERE state = 'pending'""")
            sql("""UPDATE items SET state = 'done', attempts = attempts + 1, result_item = id, result_attempt = attempts + 1,
                   ended_at = 1 WHERE state = 'pending'""")

    def states(self) -> dict[str, str]:
        return {item.key: str(item.state) for item in reading.items(self.database, 1)}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(sources, "cut", partial(cut, mask=3))
    made = Desk(tmp_path)
    with made.database:
        yield made


keys = st.sampled_from([f"k{number}" for number in range(40)])
inputs = st.dictionaries(keys, st.integers(0, 1), max_size=40).map(lambda items: list(items.items()))


@given(st.lists(st.tuples(inputs, st.sampled_from([0, 1, 3, 1 << 30])), min_size=1, max_size=4), inputs)
@settings(max_examples=60)
def test_after_any_broken_submissions_the_next_whole_one_holds(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[list[tuple[str, int]], int]], last: list[tuple[str, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "cut", partial(cut, mask=3))
        desk = Desk(tmp_path_factory.mktemp("desk"))
        with desk.database:
            for items, kill_after in history:
                with contextlib.suppress(Killed):
                    desk.apply(items, kill_after=kill_after)
                    assert desk.held() == items
            # The history again: what was broken off may leave nothing behind that the next takes for whole.
            for items in (last, history[0][0], last):
                desk.apply(items)
                assert desk.held() == items


def test_a_submission_that_was_broken_off_takes_no_item_with_it(desk: Desk) -> None:
    desk.apply([("c", 0)])
    with pytest.raises(Killed):
        desk.apply([("a", 0), ("c", 0)], kill_after=0)
    desk.apply([("c", 0)])
    assert desk.states() == {"c": "pending", "a": "cancelled"}


def test_a_broken_submission_is_not_run_until_it_is_whole(desk: Desk) -> None:
    items = [(f"k{number}", number) for number in range(40)]
    with pytest.raises(Killed):
        desk.apply(items, kill_after=1)
    assert str(reading.job(desk.database, 1).state()) == "filling"
    assert desk.database.all("open_jobs") == []
    arrived = len(desk.held())
    report = desk.apply(items)
    assert 0 < arrived == 40 - report.changes[Change.NEW], "what had arrived is not taken in again"
    assert desk.database.all("open_jobs") == [(1,)]


@given(st.lists(inputs, min_size=1, max_size=4))
@settings(max_examples=40)
def test_staged_and_granted_is_the_same_as_applied(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[tuple[str, int]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "cut", partial(cut, mask=3))
        direct, through = Desk(tmp_path_factory.mktemp("direct")), Desk(tmp_path_factory.mktemp("through"))
        with direct.database, through.database:
            for items in history:
                direct.apply(items)
                through.stage(items)
                (report,) = through.grant()
                assert through.held() == direct.held() == items
                assert through.states() == direct.states()
                direct.finish_all()
                through.finish_all()
            assert report.job == 1
            assert through.database.one("staged_rows", 1, 0) is None


def test_what_is_unchanged_is_not_looked_at(desk: Desk) -> None:
    items = [(f"k{number}", number) for number in range(40)]
    first = desk.apply(items)
    assert (first.unchanged, first.changes[Change.NEW]) == (False, 40)
    assert desk.apply(items).unchanged
    again = desk.apply([*items, ("more", 1)])
    assert (again.unchanged, again.changes[Change.NEW]) == (False, 1)
    assert again.changes[Change.KEPT] < 40, "blocks that are the same are not read"


def test_the_order_holds_when_there_is_no_room_left_between_blocks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "cut", partial(cut, mask=0))  # every line is a block
    items = [("first", 0), ("last", 0)]
    for number in range(30):
        items.insert(1, (f"k{number}", number))
        report = desk.apply(items)
        assert desk.held() == items
        assert report.changes[Change.NEW] == (1 if number else 3)


def test_another_version_is_other_work(desk: Desk) -> None:
    desk.apply({"a": 1})
    desk.finish_all()
    report = desk.apply({"a": 1}, task=Task("m:f", Mode.THREAD, version="2"))
    assert (report.unchanged, report.changes[Change.CHANGED]) == (False, 1)
    assert desk.states() == {"a": "pending"}


@pytest.mark.parametrize("more", [{}, {"new": 1}])
def test_a_produced_file_that_is_gone_makes_its_item_run_again(desk: Desk, more: dict[str, int]) -> None:
    desk.apply({"a": 1, "b": 2})
    desk.finish_all()
    desk.broken = {"/a"}
    desk.apply({"a": 1, "b": 2} | more)
    assert desk.states() == {"a": "pending", "b": "done"} | dict.fromkeys(more, "pending")
    assert next(reading.items(desk.database, 1)).reason == "a file that it produced is missing or altered"


def test_a_bad_item_in_a_small_input_leaves_no_trace(desk: Desk) -> None:
    with pytest.raises(UsageError, match="control character"):
        desk.apply({"bad\n": 1})
    assert reading.jobs(desk.database) == []


def test_the_newest_submission_wins_over_one_that_nobody_granted(desk: Desk) -> None:
    """Its runner died before it looked: what was stored for it is older than what is submitted now."""
    desk.apply({"a": 1})
    desk.stage({"a": 2, "old": 1})
    desk.apply({"a": 3, "new": 1})
    assert desk.grant() == []
    assert desk.held() == [("a", 3), ("new", 1)]
    assert desk.database.one("staged_rows", 1, 0) is None, "nor do its rows stay"


def test_a_block_that_was_to_be_kept_and_is_gone_is_an_error(desk: Desk) -> None:
    desk.apply([(f"k{number}", number) for number in range(40)])
    request = desk.stage([(f"k{number}", number) for number in range(40)] + [("new", 1)])
    with desk.database.write():
        desk.database.connection.execute("UPDATE blocks SET digest = 'other' || id")
    with pytest.raises(LookupError, match="no longer in the spool"):
        desk.grant()
    assert request == 1


def test_what_runs_meanwhile_is_told(desk: Desk) -> None:
    desk.apply({"edited": 1, "gone": 1, "back": 1, "same": 1})
    with desk.database.write():
        desk.database.connection.execute("UPDATE items SET state = 'running'")
    ids = {item.key: item.id for item in reading.items(desk.database, 1)}
    report = desk.apply({"edited": 2, "same": 1})
    assert report.running_changed == {ids["edited"]}
    assert sorted(report.withdrawn_running) == sorted([ids["gone"], ids["back"]])
    assert set(desk.states().values()) == {"running"}, "who ends its attempt ends the item"
    report = desk.apply({"edited": 2, "same": 1, "back": 1})
    assert report.running_returned == {ids["back"]}
    assert {item.key for item in reading.items(desk.database, 1) if item.reason == "withdrawn"} == {"gone"}
    assert next(reading.items(desk.database, 1, key="edited")).state is ItemState.RUNNING


def test_the_sender_hears_of_a_key_twice_and_nothing_is_staged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(UsageError, match="'a' is there twice") as refused:
        desk.stage([("a", 1), ("b", 1), ("a", 2)])
    assert refused.value.where == "values, items 1 and 3"
    assert desk.database.all("open_requests") == reading.jobs(desk.database) == []
    desk.database.close()
