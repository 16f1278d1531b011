"""What is said at the end of a run."""

from __future__ import annotations

from program import Folder


def test_the_last_words_of_a_run(folder: Folder) -> None:
    folder.items(a=1, b=-1)
    said = folder.run("run", "tasks.py:square", "--items", "items.jsonl", code=1).err.splitlines()
    assert said[-3].startswith("tasks.py:square items.jsonl #1: 1 done, 1 failed (raised 1) in ")
    assert said[-2:] == [
        "  1 failed: respool jobs items 1 --state failed",
        "  to try them again: respool jobs retry 1, then respool run",
    ]


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
