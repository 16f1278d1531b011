"""Following what somebody else runs."""

from __future__ import annotations

import pexpect
import pytest
from program import PROGRAM, Folder, Until


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


NOTING = '''
import time
from pathlib import Path
from respool import task

@task(mode="{mode}")
def read(payload, context):
    for page in range(1, 4):
        context.note(f"page {{page}} of 9")
    while not (Path(__file__).parent / "go").exists():
        time.sleep(0.02)
'''


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_what_a_task_notes_is_seen_from_other_processes(folder: Folder, until: Until, mode: str) -> None:
    folder.write("noting.py", NOTING.format(mode=mode))
    runner = folder.start("run", "noting.py:read", "--items", "items.jsonl")
    until(lambda: "running    a  page 3 of 9" in folder.run("jobs", "items", "1").out)
    watching = pexpect.spawn(PROGRAM, ["jobs", "watch", "1"], cwd=str(folder.path), timeout=30)
    watching.expect("page 3 of 9")
    folder.write("go", "")
    watching.expect("3 done in")
    watching.expect(pexpect.EOF)
    watching.close()
    runner.communicate(timeout=60)
    assert (watching.exitstatus, runner.returncode) == (0, 0)
    assert not list((folder.path / ".respool").rglob("notes.json"))
