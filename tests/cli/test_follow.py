"""Following what somebody else runs."""

from __future__ import annotations

from collections.abc import Callable

from program import Folder

Until = Callable[[Callable[[], bool]], None]


def test_it_ends_with_the_job_and_its_followups(folder: Folder, until: Until) -> None:
    folder.write("items.jsonl", '{"key": "a", "n": 1, "wait_for": "go"}\n')
    runner = folder.start("run", "tasks.py:square", "--items", "items.jsonl", "--then", "tasks.py:publish")
    until(lambda: folder.calls == ["a"])
    watching = folder.start("jobs", "watch", "1", "--json", "--tui-debug", "log")
    until(lambda: (folder.path / "log").exists() and '"running": 1' in (folder.path / "log").read_text())
    folder.write("go", "")
    out, err = watching.communicate(timeout=60)
    runner.communicate(timeout=60)
    assert watching.returncode == 0, out + err
    assert "tasks.py:square items.jsonl #1: 1 done" in err
    assert "publish #2: " in err


def test_it_ends_when_nobody_runs_the_spool_any_more(folder: Folder, until: Until) -> None:
    folder.write("items.jsonl", '{"key": "a", "n": 1, "wait_for": "go"}\n')
    runner = folder.start("run", "tasks.py:square", "--items", "items.jsonl")
    until(lambda: folder.calls == ["a"])
    watching = folder.start("jobs", "watch", "1")
    runner.kill()
    runner.communicate(timeout=60)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 6, err
    assert "nobody runs this spool any more" in err
    assert folder.run("jobs", "show", "1", "--json", code=0).data["job"]["state"] == "interrupted"
