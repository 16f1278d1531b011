"""The server is the runner, or leaves the work to the live one; killed, it goes on where it stopped."""

from __future__ import annotations

import json
import signal
import subprocess
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
    (folder / "items.jsonl").write_text('{"id": "a", "name": "A"}\n')
    from_here = "from respool import Spool\nSpool().submit('serving_tasks:describe', {'a': {'name': 'A'}})"
    with serving(folder) as server:
        subprocess.run(["python", "-c", "pass"], check=True)
        subprocess.run([str(Path(PROGRAM).parent / "python"), "-c", from_here], cwd=folder, check=True)
        until(lambda: server.get("/jobs")["jobs"] and server.state(1) == "done")


def test_a_paused_job_waits_for_somebody(tmp_path: Path) -> None:
    folder = project(tmp_path)
    tasks = folder / "serving_tasks.py"
    tasks.write_text(tasks.read_text() + '''
@task(mode="thread", retry=Retry(attempts=1), cache=False)
def locked(n):
    with open(HERE / "calls", "a") as file:
        file.write(f"locked{n}\\n")
    if not (HERE / "key").exists():
        error = PermissionError("401 Unauthorized")
        error.status_code = 401
        raise error
    return n
''')  # fmt: skip
    config = folder / "pyproject.toml"
    config.write_text(config.read_text().replace('"serving_tasks:square"', '"serving_tasks:square", "serving_tasks:locked"'))
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
