"""What is submitted twice: once. One identity for the check and for the insert, whoever submits at the same moment."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path

import httpx
import pytest
from served import Server, project, serving, until

from respool.batch.places import Places
from respool.batch.spool import Spool
from respool.files import FileLock
from respool.web.problems import Problem
from respool.web.registered import RegisteredTasks
from respool.web.submissions import Submission, Submissions, read_body


def test_the_same_content_while_it_is_open(server: Server) -> None:
    items = {"a": {"name": "Oslo", "wait_for": "twice"}, "b": {"name": "Lima"}}
    first = server.submit("describe", items)
    again = server.submit("describe", dict(reversed(items.items())))
    assert (first.status_code, again.status_code) == (202, 200)
    job = first.json()["id"]
    assert again.json()["id"] == job
    assert again.headers["location"] == f"/jobs/{job}"
    other = server.submit("describe", items | {"b": {"name": "Quito"}})
    assert other.status_code == 202
    server.let("twice")
    server.ended(job)
    later = server.submit("describe", items)
    assert later.status_code == 202  # that one has ended: this is a new job, answered from what is known
    assert later.json()["id"] not in (job, other.json()["id"])
    server.ended(later.json()["id"])
    assert server.get(f"/jobs/{later.json()['id']}")["counts"]["cached"] == 2


def test_an_idempotency_key(server: Server) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = server.submit("square", {"i": 1}, headers=key)
    server.ended(first.json()["id"])
    again = server.submit("square", {"i": 1}, headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])  # also when the job has ended
    other = server.submit("square", {"i": 2}, headers=key)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:respool:problem:idempotency-key-reused"
    assert server.submit("square", {"i": 2}, headers={"Idempotency-Key": "k-2"}).status_code == 202
    assert server.submit("square", {"i": 3}, headers={"Idempotency-Key": ""}).status_code == 422


def test_no_name_changes_a_job_that_has_it(server: Server) -> None:
    names = [server.submit("square", {"n": n}, name="nightly").json()["name"] for n in range(3)]
    assert names == ["nightly", "nightly (2)", "nightly (3)"]


def test_many_at_the_same_moment_are_one_job(server: Server) -> None:
    items = {"m": {"name": "Oslo", "wait_for": "crowd"}}
    codes: list[tuple[int, int]] = []

    def submit() -> None:
        answer = server.submit("describe", items)
        codes.append((answer.status_code, answer.json()["id"]))

    crowd = [threading.Thread(target=submit) for _ in range(12)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert sorted(code for code, _ in codes) == [200] * 11 + [202]
    assert len({job for _, job in codes}) == 1
    server.let("crowd")


def test_full(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with (folder / "pyproject.toml").open("a") as file:
        file.write("capacity = 2\nmax_body = '2kB'\n")
    with serving(folder) as server:
        jobs = [server.submit("describe", {f"f{n}": {"wait_for": "room"}}).json()["id"] for n in range(2)]
        full = server.submit("describe", {"f2": {"wait_for": "room"}})
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) > 0
        assert full.json()["type"] == "urn:respool:problem:capacity"
        same = server.submit("describe", {"f1": {"wait_for": "room"}})
        assert (same.status_code, same.json()["id"]) == (200, jobs[1])  # needs no room
        assert server.submit("describe", {"long": {"name": "x" * 3000}}).status_code == 413
        server.let("room")
        for job in jobs:
            server.ended(job)
        until(lambda: server.submit("describe", {"f2": {"wait_for": "room"}}).status_code in (200, 202))


@pytest.fixture
def tasks(tmp_path: Path) -> RegisteredTasks:
    return RegisteredTasks(["serving_tasks:square"], project(tmp_path))


def body(tasks: RegisteredTasks, text: str) -> Submission:
    return read_body(text.encode(), tasks)


def test_the_identity_is_of_what_is_said(tasks: RegisteredTasks) -> None:
    said = '{"task":"serving_tasks:square","items":{"a":1,"b":2}}'
    one = body(tasks, said).identity
    assert one == body(tasks, '{ "items": {"b": 2, "a": 1}, "task": "serving_tasks:square" }').identity
    others = [
        '{"task":"serving_tasks:square","items":{"a":1,"b":3}}',
        '{"task":"serving_tasks:square","items":{"a":1}}',
        '{"task":"serving_tasks:square","items":{"a":1,"b":2},"name":"x"}',
        '{"task":"serving_tasks:square","items":{"a":1,"b":2},"job_timeout":9}',
        '{"task":"serving_tasks:square","items":{"a":1,"b":2},"then":[{"task":"serving_tasks:square"}]}',
        '{"task":"serving_tasks:square","items":{"a":1,"b":2},"then":[{"task":"serving_tasks:square","on":"finish"}]}',
    ]
    assert len({one, *(body(tasks, other).identity for other in others)}) == 1 + len(others)


def test_two_servers_of_one_spool(tmp_path: Path, tasks: RegisteredTasks) -> None:
    said = body(tasks, '{"task":"serving_tasks:square","items":{"a":1}}')
    with Spool(tmp_path / "s.db") as one, Spool(tmp_path / "s.db") as other:
        first, new = Submissions(one, 9).submit(said, "key")
        again, new_again = Submissions(other, 9).submit(said, None)
        assert (new, new_again, first.id) == (True, False, again.id)
        with pytest.raises(Problem, match="another submission"):
            Submissions(other, 9).submit(body(tasks, '{"task":"serving_tasks:square","items":{}}'), "key")


def test_the_server_answers_while_it_takes_a_submission_in(tmp_path: Path) -> None:
    """One that takes long: another server of the spool has its turn, and keeps it."""
    with serving(project(tmp_path)) as server:
        others_turn = FileLock(Places.at(tmp_path / ".respool").files / "submissions.lock")
        answers: list[int] = []
        with others_turn.hold():
            waiting = [
                threading.Thread(target=lambda n=n: answers.append(server.submit("square", {"n": n}).status_code))
                for n in range(3)
            ]  # fmt: skip
            for thread in waiting:
                thread.start()
            for _ in range(20):
                assert server.bare.get(f"{server.url}/health").json()["status"] == "ok"
            assert server.get("/jobs")["jobs"] == []
            assert answers == []
        for thread in waiting:
            thread.join()
        assert answers == [202] * 3
        assert len(server.get("/jobs")["jobs"]) == 3


def test_a_submission_under_way_is_taken_in_before_the_server_ends(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as server:
        others_turn = FileLock(Places.at(tmp_path / ".respool").files / "submissions.lock")
        with others_turn.hold():
            client = httpx.Client(base_url=server.url, headers=server.client.headers, timeout=60, trust_env=False)

            def submit() -> None:
                with contextlib.suppress(httpx.HTTPError), client:  # it may be cut off: it is in, all the same
                    client.post("/jobs", json={"task": "serving_tasks:square", "items": {f"k{n}": n for n in range(2000)}})

            waiting = threading.Thread(target=submit)
            waiting.start()
            until(lambda: server.get("/health")["runner"] == "idle")
            server.process.send_signal(signal.SIGTERM)
        waiting.join()
        assert server.process.wait(60) == 143
    with Spool(tmp_path / ".respool") as spool:
        assert [(job.sealed_at is not None, sum(job.counts.values())) for job in spool.jobs()] in ([], [(True, 2000)])
