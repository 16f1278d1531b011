"""What a killed runner leaves behind, as the next run finds it: processes that still work, and items that may have been
what killed it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from program import LOGGING, Folder, Said, Until

# Asked to end, each waits for the others to have been asked as well; `go` ends them in any case.
STUBBORN = """
trap 'echo "asked $1 $$" >>effects
      until [ -e go ] || [ $(grep -c ^asked effects) -ge "$2" ]; do sleep 0.02; done
      echo "ended $1 $$" >>effects; exit 3' TERM
echo "begun $1 $$" >>effects
until [ -e go ]; do sleep 0.02; done
"""
TASKS = LOGGING + '''
import signal

def work(payload, context):
    log(f"+{context.key} {os.getpid()}")
    if payload.get("kills"):
        time.sleep(0.1)
        log(f"-{context.key} {os.getpid()}")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    log(f"-{context.key} {os.getpid()}")
    return os.getpid()

@task(mode="thread")
def in_thread(payload, context):
    return work(payload, context)

@task
async def in_async(payload, context):
    return work(payload, context)

@task(mode="process")
def stubborn(payload, context):
    log(f"begun {context.key} {os.getpid()}")
    while not (HERE / "go").exists():
        time.sleep(0.02)
'''


@pytest.fixture
def work(folder: Folder) -> Folder:
    folder.write("work.py", TASKS)
    folder.write("stubborn.sh", STUBBORN)
    return folder


def effects(work: Folder, first: str = "") -> list[list[str]]:
    log = work.path / "effects"
    return [line.split() for line in log.read_text().splitlines() if line.startswith(first)] if log.exists() else []


def stubborn_commands(work: Folder, until: Until, number: int, wanted: int) -> tuple[str, ...]:
    """Start `number` commands that end when `wanted` of them were asked to, and kill their runner."""
    for n in range(number):
        work.write(f"inputs/{n}", "")
    command = ("--each", "inputs/*", "--no-tui", "--workers", str(number), "--", "sh", "stubborn.sh", "{}", str(wanted))
    runner = Said(work.start("run", *command))
    until(lambda: len(effects(work, "begun")) == number)
    runner.process.kill()
    runner.ended()
    return ("run", *command)


def test_several_are_ended_at_the_same_time(work: Folder, until: Until) -> None:
    again = stubborn_commands(work, until, 4, wanted=4)
    said = Said(work.start(*again))
    until(lambda: len(effects(work, "begun")) == 8)
    assert len(effects(work, "ended")) == 4, "each waited for all to be asked"
    work.write("go", "")
    assert said.ended() == 0, said.text


def test_ctrl_c_while_they_are_being_ended(work: Folder, until: Until) -> None:
    again = stubborn_commands(work, until, 2, wanted=99)
    said = Said(work.start(*again))
    until(lambda: len(effects(work, "asked")) == 2)
    said.process.send_signal(signal.SIGINT)
    said.process.send_signal(signal.SIGTERM)
    assert said.ended() in (130, 143), said.text
    for _, _, pid in effects(work, "asked"):
        os.kill(int(pid), 0)  # still there: the run has ended without waiting for them
    assert not effects(work, "ended")
    work.write("go", "")
    work.run(*again, code=0)
    assert len(effects(work, "begun")) == 4
    assert set(work.states().values()) == {"done"}


@pytest.mark.parametrize("mode", ["thread", "async"])
def test_an_item_that_kills_its_runner_ends_up_alone_in_a_process(work: Folder, mode: str) -> None:
    items = [f'{{"key": "k{n}", "n": {n}, "kills": {"true" if n == 1 else "false"}}}\n' for n in range(60)]
    work.write("items.jsonl", "".join(items))
    run = ("run", f"work.py:in_{mode}", "--items", "items.jsonl", "--no-tui", "--workers", "2")
    codes, runners = [], []
    while not codes or codes[-1] == -signal.SIGKILL:
        assert len(codes) < 6
        said = Said(work.start(*run))
        runners.append(str(said.process.pid))
        codes.append(said.ended())
    assert codes == [-signal.SIGKILL] * 3 + [1], said.text
    assert work.states() == {f"k{n}": "failed" if n == 1 else "done" for n in range(60)}
    failed = work.run("jobs", "items", "1", "--state", "failed", "--json", code=0).data["items"]
    assert [(one["key"], one["kind"]) for one in failed] == [("k1", "crashed")]
    assert "its worker process was ended by SIGKILL" in failed[0]["message"]
    assert sum(key == "+k1" and pid not in runners for key, pid in effects(work)) == 2
    last = [(key, pid) for key, pid in effects(work) if pid not in runners[:-1]]
    assert any(pid == runners[-1] for _, pid in last), "there is nothing that it could have run beside"
    under_way: set[tuple[str, str]] = set()
    for key, pid in last:
        if key[0] == "-":
            under_way.discard((key[1:], pid))
            continue
        assert all(pid == other == runners[-1] for _, other in under_way), f"{key} began beside {under_way}"
        under_way.add((key[1:], pid))


SCRIPT = """
import os, signal, sys
from respool import Spool, task

def make():
    @task(mode="thread")
    def deadly(payload):
        os.kill(os.getpid(), signal.SIGKILL)
    return deadly

if __name__ == "__main__":
    spool = Spool("spool.db")
    job = spool.submit(make(), {"a": 1}, name="deadly")
    job.run()
    (item,) = job.items()
    print(item.state, item.kind, item.message)
"""


def test_what_no_process_can_load_fails_and_says_why(work: Folder) -> None:
    script = work.write("script.py", SCRIPT)
    done = []
    while not done or done[-1].returncode == -signal.SIGKILL:
        assert len(done) < 6
        done.append(subprocess.run(
            [sys.executable, str(script)], cwd=work.path, capture_output=True, text=True, timeout=60, check=False
        ))  # fmt: skip
    assert [one.returncode for one in done] == [-signal.SIGKILL] * 3 + [0], done[-1].stderr
    assert done[-1].stdout.startswith("failed crashed it was running whenever its runner died")
    assert "make.<locals>.deadly cannot be loaded" in done[-1].stdout
