"""The dry run at the terminal: reasons, totals, the forecast."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from program import Folder

from respool.batch.model import Attempt, Done
from respool.batch.places import Places
from respool.batch.store.connection import Database
from respool.batch.store.reading import spool_id
from respool.batch.workers.receipt import write_receipt

RUN = ("run", "tasks.py:square", "--items", "items.jsonl")


def test_reasons_of_every_kind(folder: Folder) -> None:
    folder.items(a=1, b=-1, c=3)
    folder.run(*RUN, code=1)
    folder.items(a=1, b=-1, c=4, d=1)
    plan = folder.run(*RUN, "--dry-run", code=0)
    rows = {line.split()[1]: line for line in plan.out.splitlines()}
    assert rows["a"].startswith("keep")
    assert "--retry-failed" in rows["b"]
    assert "input changed" in rows["c"]
    assert rows["d"].endswith("new")
    assert "2 to run, 2 kept; nothing was written" in plan.err
    assert "with 1 at once, judged by earlier attempts" in plan.err


@pytest.mark.parametrize("flag", ["--no-resume", "--retry-failed", "--force", "--no-cache"])
def test_the_plan_is_what_the_run_does(folder: Folder, flag: str) -> None:
    folder.items(a=1, b=-1)
    folder.run(*RUN, code=1)
    planned = folder.run(*RUN, flag, "--dry-run", "--json", code=0).data["totals"]["run"]
    before = len(folder.calls)
    folder.run(*RUN, flag, code=1)
    assert len(folder.calls) - before == planned


def test_only_and_bad_input(folder: Folder) -> None:
    assert "1 to run" in folder.run(*RUN, "--dry-run", "--only", "b", code=0).err
    folder.run(*RUN, "--dry-run", "--only", "nope", code=3)
    folder.write("items.jsonl", "nonsense\n")
    folder.run(*RUN, "--dry-run", code=2)
    assert not (folder.path / ".respool").exists()


def test_it_may_be_asked_while_a_run_goes_on(folder: Folder) -> None:
    folder.run(*RUN, "--only", "a", code=0)
    assert "2 to run, 1 kept" in folder.run(*RUN, "--dry-run", code=0).err


@pytest.mark.parametrize("flag", ["--no-cache", "--force", "--no-resume"])
def test_equal_work_is_planned_and_done_once_whatever_is_made_anew(folder: Folder, flag: str) -> None:
    folder.write("pairs.py", '''
def pairs():
    return {"a": {"key": "x", "n": 1}, "b": {"key": "y", "n": 2}, "a2": {"key": "x", "n": 1}, "a3": {"key": "x", "n": 1}}
''')
    folder.write("b.toml", 'task = "tasks.py:square"\n[items]\nfrom = "pairs.py:pairs"\n')
    folder.run("run", "b.toml", "--name", "before", code=0)
    assert folder.calls == ["x", "y"]
    planned = folder.run("run", "b.toml", "--name", "before" if flag != "--no-cache" else "other", flag, "--dry-run")
    assert [line.split()[0] for line in planned.out.splitlines()] == ["run", "run", "cached", "cached"]
    folder.run("run", "b.toml", "--name", "before" if flag != "--no-cache" else "other", flag, code=0)
    assert folder.calls == ["x", "y"] * 2


def test_an_answer_that_came_before_its_runner_died_is_kept(folder: Folder) -> None:
    folder.write("pure.py", "def double(payload):\n    return 2 * payload['n']\n")
    run = ("run", "pure.py:double", "--items", "items.jsonl")
    folder.run(*run, code=0)
    # As if the runner had been killed between its workers' answers and its commit.
    places = Places.at(folder.path / ".respool")
    with closing(sqlite3.connect(places.database, isolation_level=None)) as database:
        database.execute("UPDATE items SET state = 'running', result_item = NULL, result_attempt = NULL, ended_at = NULL")
        database.execute("DELETE FROM results")
        database.execute("UPDATE attempts SET outcome = 'running', ended_at = NULL")
    with Database.open(places, read_only=True) as reader:
        for item, number, job, key, payload, fingerprint, nonce, *_ in reader.all("running_rows")[:2]:
            attempt = Attempt(item, number, job, key, payload, fingerprint, nonce)
            write_receipt(places.attempt(item, number), spool_id(reader), attempt, Done("5"))
    planned = folder.run(*run, "--dry-run", code=0).out.splitlines()
    assert sorted(line.split(maxsplit=2)[2] for line in planned) == [
        "its answer came before its runner died", "its answer came before its runner died", "was interrupted",
    ]  # fmt: skip
    assert "(now 3 done" not in folder.run(*run, code=0).err  # two of them were taken over before this run's work
    results = [item["result"] for item in folder.run("jobs", "items", "1", "--json", code=0).data["items"]]
    assert results == [5, 5, 6]


def test_what_a_live_runner_has_is_not_planned(folder: Folder, until: Callable[[Callable[[], bool]], None]) -> None:
    folder.write("items.jsonl", '{"key": "a", "n": 1, "wait_for": "go"}\n{"key": "b", "n": 2}\n')
    program = folder.start(*RUN)
    until(lambda: folder.calls == ["a"])
    plan = folder.run(*RUN, "--dry-run", code=0)
    assert plan.out.splitlines() == ["keep  a  the live runner has it", "run   b  new"]
    assert "a live runner holds the spool" in plan.err
    folder.write("go", "")
    program.communicate(timeout=60)


LIMITED = '''
from respool import task

class TooMany(Exception):
    status_code = 429
    retry_after = 1800

@task(mode="thread", max_pause="5s")
def ask(payload):
    if payload["n"] < 0:
        raise TooMany("slow down")
'''


def test_a_cooldown_is_part_of_the_forecast(folder: Folder) -> None:
    folder.write("limited.py", LIMITED)
    run = ("run", "limited.py:ask", "--items", "items.jsonl", "--limit", "service=100/s")
    folder.items(a=1, b=-1)
    folder.run(*run, code=6)
    folder.items(a=1, c=2)
    before = sorted((folder.path / ".respool" / "pace").iterdir())
    plan = folder.run(*run, "--dry-run", "--json", code=0).data
    assert plan["seconds"] > 1_700
    (note,) = plan["notes"]
    assert note.startswith("service is to be left alone for another ")
    assert note.endswith("the run would pause")
    assert sorted((folder.path / ".respool" / "pace").iterdir()) == before


def test_stored_requests_are_told(folder: Folder) -> None:
    folder.run(*RUN, "--only", "a", code=0)
    with closing(sqlite3.connect(folder.path / ".respool" / "spool.db", isolation_level=None)) as database:
        arguments = json.dumps({"kind": None, "keys": None})
        database.execute(
            "INSERT INTO requests (at, verb, job_id, arguments, ready_at) VALUES (1, 'retry', 1, ?, 1)", (arguments,)
        )
    (note,) = folder.run(*RUN, "--dry-run", "--json", code=0).data["notes"]
    assert note.startswith("1 request stored for this job will be taken up first")


def test_what_a_limit_has_given_already_is_waited_for(folder: Folder) -> None:
    folder.items(a=1, b=2, c=3)
    folder.run(*RUN, "--limit", "3/day", code=0)
    planned = folder.run(*RUN, "--limit", "3/day", "--dry-run", "--force", "--json", code=0).data
    assert 80_000 < planned["seconds"] < 90_000
