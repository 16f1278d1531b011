"""What is said at the end of a run."""

from __future__ import annotations

import pytest
from program import Folder

from respool.batch.model import ItemState
from respool.cli.closing import now_and_before

RUN = ("run", "tasks.py:square", "--items", "items.jsonl")


def test_the_last_words_of_a_run(folder: Folder) -> None:
    folder.items(a=1, b=-1)
    said = folder.run("run", "tasks.py:square", "--items", "items.jsonl", code=1).err.splitlines()
    assert said[-3].startswith("tasks.py:square items.jsonl #1: 1 done, 1 failed (raised 1) in ")
    assert said[-2:] == [
        "  1 failed: respool jobs items 1 --state failed",
        "  to try them again: respool jobs retry 1, then respool run",
    ]


def test_what_this_run_did_and_what_was_done_before(folder: Folder) -> None:
    folder.items(a=1, b=2, c=-3)
    first = folder.run(*RUN, "--only", "a", "--json", code=0)
    assert "1 done, 2 pending in" in first.err
    assert "before" not in first.err  # there was nothing before
    second = folder.run(*RUN, "--json", code=1)
    assert "2 done, 1 failed (raised 1) in" in second.err
    assert "s (now 1 done, 1 failed; before 1 done)\n" in second.err
    (job,) = second.data["jobs"]
    assert (job["now"], job["before"]) == ({"done": 1, "failed": 1}, {"done": 1})
    third = folder.run(*RUN, "--json", code=1)
    assert "; nothing had to run\n" in third.err
    assert third.data["jobs"][0]["now"] == {}
    assert third.data["jobs"][0]["before"] == {"done": 2, "failed": 1}
    folder.items(a=1, b=2, c=-3, d=4)
    assert "(now 1 done; before 2 done, 1 failed)" in folder.run(*RUN, code=1).err
    watched = folder.run("jobs", "watch", "1", "--json", code=1).data["jobs"][0]
    assert watched["now"] == {}


@pytest.mark.parametrize(
    ("counts", "now", "expected"),
    [({"done": 3, "pending": 1}, {"done": 1}, ({"done": 1}, {"done": 2})),
     ({"done": 3, "cancelled": 4}, {}, ({}, {"done": 3})),
     # an item that failed and was then given back by the breaker is not among the failed any more
     ({"pending": 2}, {"failed": 2}, ({}, {}))],
)  # fmt: skip
def test_the_split(counts: dict[str, int], now: dict[str, int], expected: object) -> None:
    def states(of: dict[str, int]) -> dict[ItemState, int]:
        return {ItemState(state): many for state, many in of.items()}

    assert now_and_before(states(counts), states(now)) == expected


def test_respools_own_item_of_a_followup_is_not_counted(folder: Folder) -> None:
    done = folder.run(*RUN, "--then", "tasks.py:publish", "--json", code=0)
    child = done.data["jobs"][1]
    assert (child["counts"]["done"], child["total"], child["now"], child["before"]) == (3, 3, {"done": 3}, {})
    assert "publish #2: 3 done in" in done.err
    assert "3 done" in folder.run("jobs", code=0).out.splitlines()[-1]
    assert "@items" not in folder.run("jobs", "items", "2", code=0).out
    assert folder.run("jobs", "show", "2", "--keys", "--json", code=0).data["completed"] == ["a", "b", "c"]
    assert len(folder.run("jobs", "items", "2", "--limit", "2", code=0).out.splitlines()) == 2
    assert folder.run("jobs", "items", "2", "--all", code=0).out.startswith("done       @items")
    assert folder.run("jobs", "items", "2", "--key", "@items", code=0).out.startswith("done       @items")
    ended = [event for event in folder.run("jobs", "events", "2", "--json").data["events"] if event["type"] == "job_ended"]
    assert [event["data"] for event in ended] == [{"done": 3}]


def test_respools_own_item_is_shown_where_it_failed(folder: Folder) -> None:
    folder.write("broken.py", '''
from respool import task

def split(results):
    raise ValueError("cannot be split")

@task(mode="thread", expand=split)
def publish(payload):
    pass
''')
    folder.write("b.toml", 'task = "tasks.py:square"\nthen = ["broken.py:publish"]\n[items]\nfile = "items.jsonl"\n')
    assert "publish #2: 1 failed (raised 1) in" in folder.run("run", "b.toml", code=1).err
    (line,) = folder.run("jobs", "items", "2", code=0).out.splitlines()
    assert line.startswith("failed     @items  raised: ValueError: cannot be split")


def test_a_breaker_says_why_and_how_to_go_on(folder: Folder) -> None:
    folder.write("broken.py", '''
from respool import task

class Denied(Exception):
    status_code = 401

@task(mode="thread")
def ask(payload):
    raise Denied("bad key")
''')
    folder.items(**{f"k{number}": number for number in range(6)})
    done = folder.run("run", "broken.py:ask", "--items", "items.jsonl", "--retries", "0", "--json", code=6)
    assert "paused: 3 times in a row unauthorised" in done.err
    assert "then run the same command again" in done.err
    assert done.data["jobs"][0]["state"] == "paused"
    assert folder.run("jobs", "watch", "1", code=6).err.count("paused") >= 1


def test_a_followup_without_items_is_skipped_with_the_reason(folder: Folder) -> None:
    folder.items(a=-1)
    done = folder.run(
        "run", "tasks.py:square", "--items", "items.jsonl", "--then", "tasks.py:publish", "--then-on", "finish",
        "--json", code=1,
    )  # fmt: skip
    assert [job["state"] for job in done.data["jobs"]] == ["failed", "skipped"]
    assert "skipped: " in done.err
