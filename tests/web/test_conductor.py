"""The server is the runner, or leaves the work to the live one; killed, it goes on where it stopped."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from program import PROGRAM
from served import Server, project, serving, until


def test_killed_and_started_again(tmp_path: Path) -> None:
    folder = project(tmp_path)
    items = {f"k{n}": {"name": str(n), **({"wait_for": "mended"} if n >= 5 else {})} for n in range(20)}
    follow = [{"task": "serving_tasks:publish"}]
    with serving(folder, "--workers", "2") as server:
        job = server.submit("describe", items, {"Idempotency-Key": "once"}, then=follow).json()["id"]
        until(lambda: server.get(f"/jobs/{job}")["counts"]["done"] == 5)
        until(lambda: len(server.calls) >= 7)
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    before = len(server.calls)
    server.let("mended")
    with serving(folder, "--workers", "2") as server:
        answer = server.submit("describe", items, {"Idempotency-Key": "once"}, then=follow)
        assert (answer.status_code, answer.json()["id"]) == (200, job)  # what was submitted is remembered, too
        server.ended(job)
        (child,) = server.get(f"/jobs/{job}")["children"]
        server.ended(child)
        assert server.get(f"/jobs/{job}")["counts"]["done"] == 20
        assert all(server.calls.count(f"k{n}") == 1 for n in range(5))  # what was done was not done again
        assert len(server.calls) <= before + 15


def test_it_ends_as_it_is_told(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with serving(folder) as server:
        assert server.stop(signal.SIGINT) == 130
    with serving(folder) as server:
        job = server.submit("describe", {"a": {"wait_for": "later"}, "b": {"wait_for": "x"}}).json()["id"]
        until(lambda: server.calls == ["a"])
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.get("/health")["status"] == "degraded")  # it still answers, and says what it does
        server.let("later")  # what runs may finish
        assert server.process.wait(60) == 143
    listed = json.loads(subprocess.check_output([PROGRAM, "jobs", "items", str(job), "--json"], cwd=folder, text=True))
    assert [item["state"] for item in listed["items"]] == ["done", "pending"]


def run(server: Server, *arguments: str) -> subprocess.Popen[bytes]:
    """`respool ...` in the server's project, as somebody else."""
    return subprocess.Popen([PROGRAM, *arguments], cwd=server.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_live_runner_gets_the_submissions(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "items.jsonl").write_text('{"id": "other", "name": "theirs", "wait_for": "end"}\n')
    with serving(folder) as server:
        with run(server, "run", "serving_tasks:describe", "--items", "items.jsonl", "--name", "theirs") as other:
            until(lambda: server.calls == ["other"])
            assert server.get("/health")["runner"] == "elsewhere"
            handed = server.submit("describe", {"mine": {"name": "mine", "wait_for": "end"}})
            assert handed.status_code == 202
            same = server.submit("describe", {"mine": {"name": "mine", "wait_for": "end"}})
            assert (same.status_code, same.json()["id"]) == (200, handed.json()["id"])
            asked = server.client.post(f"/jobs/{handed.json()['id']}/resume").json()
            assert asked == {"job": handed.json()["id"], "items": None, "asked_live_runner": True}
            server.let("end")
            server.ended(handed.json()["id"])
            assert other.wait(60) == 0
        again = server.submit("square", {"n": 4}).json()["id"]  # nobody else is there any more: the server runs it
        server.ended(again)


def test_jobs_of_the_command_line_are_run_too(tmp_path: Path) -> None:
    folder = project(tmp_path)
    from_here = "from respool import Spool\nSpool().submit('serving_tasks:describe', {'a': {'name': 'A'}})"
    with serving(folder) as server:
        subprocess.run([str(Path(PROGRAM).parent / "python"), "-c", from_here], cwd=folder, check=True)
        until(lambda: server.get("/jobs")["jobs"] and server.state(1) == "done")


def more(folder: Path, task: str, name: str) -> None:
    """Give the project one more task that may be submitted."""
    tasks, config = folder / "serving_tasks.py", folder / "pyproject.toml"
    tasks.write_text(tasks.read_text() + task)
    config.write_text(config.read_text().replace("tasks = [", f'tasks = ["serving_tasks:{name}", '))


LOCKED = '''
@task(mode="thread", retry=Retry(attempts=1), cache=False)
def locked(n):
    with open(HERE / "calls", "a") as file:
        file.write(f"locked{n}\\n")
    if not (HERE / "key").exists():
        error = PermissionError("401 Unauthorized")
        error.status_code = 401
        raise error
    return n
'''


def test_a_paused_job_waits_for_somebody(tmp_path: Path) -> None:
    folder = project(tmp_path)
    more(folder, LOCKED, "locked")
    with serving(folder) as server:
        job = server.submit("locked", {f"l{n}": n for n in range(9)}).json()["id"]
        server.ended(job, "paused")
        assert "401" in server.get(f"/jobs/{job}")["progress"]["message"]
        tried = len(server.calls)
        other = server.submit("square", {"n": 3}).json()["id"]
        server.ended(other)
        assert len(server.calls) == tried  # the runs for others do not spend its tries
        server.let("key")
        assert server.client.post(f"/jobs/{job}/resume").status_code == 202
        server.ended(job)


THROTTLED = '''
@task(mode="thread", max_pause=0.5, cache=False)
def throttled(n):
    with open(HERE / "calls", "a") as file:
        file.write(f"throttled{n}\\n")
    if not (HERE / f"asked{n}").exists():
        (HERE / f"asked{n}").touch()
        error = RuntimeError("429 Too Many Requests")
        error.status_code, error.retry_after = 429, 1.5
        raise error
    return n
'''


def test_a_job_goes_on_when_the_time_has_come_that_the_service_named(tmp_path: Path) -> None:
    folder = project(tmp_path)
    more(folder, THROTTLED, "throttled")
    with serving(folder, "--workers", "2") as server:
        alone = server.submit("throttled", {"t": 1}).json()["id"]
        server.ended(alone)
        assert server.calls == ["throttled1", "throttled1"]
        lasting = server.submit("describe", {"last": {"name": "last", "wait_for": "end"}}).json()["id"]
        beside = server.submit("throttled", {"t": 2}).json()["id"]
        server.ended(beside)  # also during a run that is kept going by another job
        assert server.state(lasting) == "running"
        events = [event["type"] for event in json.loads(subprocess.check_output(
            [PROGRAM, "jobs", "events", str(beside), "--json"], cwd=folder, text=True))["events"]]  # fmt: skip
        assert events.count("job_paused") == events.count("job_resumed") == 1
        server.let("end")


def test_a_foreign_writer_holds_nobody_up(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as server:
        done = server.submit("square", {"n": 1}).json()["id"]
        server.ended(done)
        with closing(sqlite3.connect(tmp_path / ".respool" / "spool.db", isolation_level=None)) as foreign:
            foreign.execute("BEGIN IMMEDIATE")
            refused = server.submit("square", {"n": 2})
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert server.state(done) == "done"
        job = until(lambda: server.submit("square", {"n": 2}).json().get("id"))
        server.ended(job)


def test_a_task_that_is_gone_pauses_its_job_only(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "gone.py").write_text("def task(value):\n    return value\n")
    submit = "from respool import Spool\nSpool().submit('gone:task', {'a': 1})\n"
    subprocess.run([str(Path(PROGRAM).parent / "python"), "-c", submit], cwd=folder, check=True)
    (folder / "gone.py").unlink()
    with serving(folder) as server:
        server.ended(1, "paused")
        assert "no module 'gone'" in server.get("/jobs/1")["paused"]["reason"]
        job = server.submit("square", {"n": 3}).json()["id"]
        server.ended(job)


def test_a_spool_that_takes_no_writes_is_told_at_once_and_gone_on_with(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as server:
        job = server.submit("describe", {"a": {"name": "A", "wait_for": "go"}, "b": {"name": "B"}}).json()["id"]
        until(lambda: server.calls == ["a"])
        with closing(sqlite3.connect(tmp_path / ".respool" / "spool.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            server.let("go")
            until(lambda: "another program keeps the database locked" in server.said)
            assert server.get("/health")["status"] == "degraded"
            other.execute("ROLLBACK")
        server.ended(job)
        assert server.said.count("another program keeps the database locked") == 1
        assert sorted(server.calls) == ["a", "b"]
