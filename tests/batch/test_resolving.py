"""From what the spool holds of a job back to its task, and to the items that were chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from respool import Retry, Spool, task
from respool.batch.declaration import Command, Mode, Task
from respool.batch.resolving import chosen_items, remember, resolve_job
from respool.batch.tasks import task_of
from respool.errors import JobNotFound, TaskNotFound


@task(mode="thread", retry=Retry(attempts=7))
def work(payload: object) -> None: ...


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool.db") as made:
        yield made


def test_a_function_is_found_by_its_name_and_declared_as_it_was_stored(spool: Spool) -> None:
    job = spool.submit(work, {"a": 1}, name="job").read()
    found = resolve_job(job)
    assert found.function is work
    assert found == task_of(work)
    job.settings["retry"]["attempts"] = 2
    assert resolve_job(job).retry.attempts == 2, "until it is submitted again"


def test_a_closure_of_this_process_needs_no_import(spool: Spool) -> None:
    @task(name="nowhere:closure", mode="thread")
    def closure(payload: object) -> None: ...

    job = spool.submit(closure, {"a": 1}, name="job").read()
    assert resolve_job(job).function is closure
    remember(Task("nowhere:none", Mode.THREAD))
    job = spool.submit(Task("nowhere:other", Mode.THREAD), {"a": 1}, name="other").read()
    with pytest.raises(TaskNotFound, match="nowhere"):
        resolve_job(job)


def test_a_command_is_all_in_the_spool(spool: Spool) -> None:
    command = Task("cat {}", Mode.COMMAND, command=Command(("cat", "{}")))
    assert resolve_job(spool.submit(command, {"a": 1}, name="job").read()) == command


def test_items_are_chosen_by_key_in_the_jobs_that_are_asked_for(spool: Spool) -> None:
    one = spool.submit(work, {"a": 1, "b": 2}, name="one")
    two = spool.submit(work, {"b": 3}, name="two")
    ids = {(job.name, item.key): item.id for job in (one, two) for item in job.items()}
    database = spool.database()
    assert chosen_items(database, [one.id], []) == ()
    assert chosen_items(database, [one.id], ["b"]) == (ids["one", "b"],)
    assert set(chosen_items(database, None, ["b"])) == {ids["one", "b"], ids["two", "b"]}
    with pytest.raises(JobNotFound, match=f"no item 'a' in job {two.id}"):
        chosen_items(database, [one.id, two.id], ["a"])
