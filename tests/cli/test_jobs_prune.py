"""`respool jobs prune`: what is old goes, with its files; what somebody uses stays."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from program import Folder

from respool.batch.places import Places
from respool.files import FileLock

RUN = ("run", "tasks.py:square", "--items", "items.jsonl")


def test_nothing_goes_without_a_yes_or_in_a_dry_run(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    assert folder.run("jobs", "prune", "--older", "0s", "--dry-run", "--json", code=0).data["jobs"] == [1]
    assert "needs a yes" in folder.run("jobs", "prune", "--older", "0s", code=2).err
    folder.run("jobs", "prune", "--older", "90d", "--yes", code=0)
    folder.run("jobs", "show", "1", code=0)
    folder.run("jobs", "prune", "--older", "soon", "--yes", code=2)


def test_old_jobs_go_with_their_items_and_files(folder: Folder) -> None:
    folder.run("run", "--each", "*.jsonl", "--", "cat", "{}", code=0)
    folder.run(*RUN, "--only", "a", code=0)
    assert list((folder.path / ".respool").glob("spool.db.files/attempts/*/*"))
    data = folder.run("jobs", "prune", "--older", "0s", "--yes", "--json", code=0).data
    assert (data["deleted"], data["jobs"]) == (True, [1])  # job 2 has not ended
    assert not list((folder.path / ".respool").glob("spool.db.files/attempts/*/1-*"))
    assert [job["id"] for job in folder.run("jobs", "--json", code=0).data["jobs"]] == [2]
    assert folder.states("2") == {"a": "done", "b": "pending", "c": "pending"}


def test_nothing_is_kept_of_a_try_but_what_it_said(folder: Folder) -> None:
    folder.run("run", "--each", "*.jsonl", "--", "cat", "{}", code=0)
    attempts = folder.path / ".respool" / "spool.db.files" / "attempts"
    assert [path.name for path in attempts.glob("*/*/*")] == ["output.log"]
    (folder.path / "quick.py").write_text("def quick(payload): return 1\n")
    folder.run("run", "quick.py:quick", "--items", "items.jsonl", code=0)
    assert [path.name for path in attempts.glob("*/*/*")] == ["output.log"]
    assert len(list(attempts.glob("*/*"))) == 1, "functions in processes leave no folder behind"


def test_of_a_job_that_stays_old_tries_go(folder: Folder) -> None:
    for _ in range(3):
        folder.run(*RUN, "--only", "a", "--force", code=0)
    assert folder.run("jobs", "prune", "--older", "90d", "--dry-run", "--json", code=0).data["tries"] == 0
    said = folder.run("jobs", "prune", "--older", "0s", "--dry-run", code=0).err
    assert said.startswith("0 jobs, 2 superseded tries and ")
    data = folder.run("jobs", "prune", "--older", "0s", "--yes", "--json", code=0).data
    assert (data["deleted"], data["jobs"], data["tries"]) == (True, [], 2)
    assert folder.states("1") == {"a": "done", "b": "pending", "c": "pending"}


def test_a_job_whose_results_are_used_stays(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    folder.run(*RUN, "--name", "again", code=0)
    done = folder.run("jobs", "prune", "--older", "0s", "--yes", "--json", code=0)
    assert done.data["jobs"] == [2]
    assert "others use the results" in done.err
    assert folder.run("jobs", "prune", "--older", "0s", "--yes", "--json", code=0).data["jobs"] == [1]
    folder.run(*RUN, code=0)
    assert folder.calls == ["a", "b", "c"] * 2


def test_ctrl_c_tells_how_far_it_was(folder: Folder, until: Callable[[Callable[[], bool]], None]) -> None:
    folder.run(*RUN, code=0)
    places = Places.at(folder.path / ".respool")
    gate = FileLock(places.write_lock)
    gate.acquire()  # somebody writes: the deleting waits for its turn
    program = folder.start("jobs", "prune", "--older", "0s", "--yes")
    until(lambda: not FileLock(places.owner_lock).is_free())
    time.sleep(0.2)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=60)
    gate.release()
    assert program.returncode == 130
    assert said.splitlines()[1] == "deleted 0 of 1 job; the others are as they were"
    assert folder.states() == dict.fromkeys("abc", "done")
    assert folder.run("jobs", "prune", "--older", "0s", "--yes", "--json", code=0).data["jobs"] == [1]
