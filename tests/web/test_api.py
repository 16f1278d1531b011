"""The API over real HTTP: what it takes, what it answers, and that errors are problems."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from served import Server, until

PROBLEM = "application/problem+json"


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["title"]
    return found


def test_a_job_from_its_submission_to_its_result(server: Server) -> None:
    answer = server.submit("square", {"a": 2, "b": 3}, name="squares")
    assert answer.status_code == 202
    job = answer.json()["id"]
    assert answer.headers["location"] == f"/jobs/{job}"
    server.ended(job)
    found = server.get(f"/jobs/{job}")
    assert (found["name"], found["total"], found["counts"]["done"]) == ("squares", 2, 2)
    assert found["progress"]["message"] == "Done: 2 succeeded, 0 failed, 0 cached"
    result = server.get(f"/jobs/{job}/result")
    assert result["results"] == [{"key": "a", "result": 4}, {"key": "b", "result": 9}]
    assert result["complete"]
    numbers = [result[name] for name in ("succeeded", "failed", "skipped", "rejected", "cancelled", "remaining")]
    assert (numbers, result["total"]) == ([2, 0, 0, 0, 0, 0], sum(numbers))
    attempts = server.get(f"/jobs/{job}/attempts", key="a")["attempts"]
    assert [(each["number"], each["outcome"]) for each in attempts] == [(1, "done")]
    assert {each["key"] for each in server.get(f"/jobs/{job}/attempts")["attempts"]} == {"a", "b"}


def test_one_payload_is_one_item(server: Server) -> None:
    answer = server.client.post("/jobs", json={"task": "serving_tasks:square", "payload": 7})
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    server.ended(job)
    assert server.get(f"/jobs/{job}/result")["results"] == [{"key": "item", "result": 49}]


def test_no_items_are_a_job_that_is_done(server: Server) -> None:
    job = server.submit("square", {}, name="none").json()["id"]
    server.ended(job)
    assert server.get(f"/jobs/{job}")["total"] == 0


def test_the_progress_of_a_running_job(server: Server) -> None:
    job = server.submit("describe", {"p": {"name": "Oslo"}, "q": {"name": "Lima", "wait_for": "progress"}}).json()["id"]
    until(lambda: server.get(f"/jobs/{job}")["progress"]["message"] == "asking about Lima (2/2)")
    items = server.get(f"/jobs/{job}/items", state="running")["items"]
    assert [item["key"] for item in items] == ["q"]
    server.let("progress")
    server.ended(job)


def test_follow_ups_are_children(server: Server) -> None:
    follow = [{"task": "serving_tasks:publish", "on": "success"}]
    job = server.submit("square", {"x": 5}, name="parent", then=follow).json()["id"]
    (child,) = until(lambda: server.get(f"/jobs/{job}")["children"])
    server.ended(child)
    assert server.get(f"/jobs/{child}")["parent"] == job
    assert server.get(f"/jobs/{child}/result")["results"] == [{"key": "x", "result": {"published": "x"}}]


def test_failures_are_told_and_retried(server: Server) -> None:
    items = {"r1": {"name": "Atlantis", "fail": True}, "r2": {"name": "Riga"}}
    job = server.submit("describe", items).json()["id"]
    server.ended(job, "failed")
    (failed,) = server.get(f"/jobs/{job}/items", state="failed")["items"]
    assert (failed["key"], failed["kind"], failed["message"]) == ("r1", "raised", "no such city: Atlantis")
    assert server.get(f"/jobs/{job}/items", kind="timeout")["items"] == []
    server.let("mended")
    answer = server.client.post(f"/jobs/{job}/retry", json={"kind": "raised"})
    assert answer.status_code == 202
    server.ended(job)
    assert server.calls.count("r1") == 2
    assert server.calls.count("r2") == 1


def test_cancelled(server: Server) -> None:
    items = {f"c{n}": {"name": f"never {n}", "wait_for": "never"} for n in range(40)}
    job = server.submit("describe", items).json()["id"]
    until(lambda: server.get(f"/jobs/{job}")["counts"]["running"])
    answer = server.client.post(f"/jobs/{job}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/jobs/{job}")
    until(lambda: server.get(f"/jobs/{job}")["counts"]["cancelled"])
    server.let("never")  # a thread cannot be ended
    server.ended(job, "cancelled")
    counts = server.get(f"/jobs/{job}")["counts"]
    assert counts["cancelled"] + counts["done"] == 40
    assert len([key for key in server.calls if key in items]) < 40


def test_pages_of_items_and_jobs(server: Server) -> None:
    job = server.submit("square", {f"n{n:02}": n for n in range(25)}, name="paged").json()["id"]
    server.ended(job)
    for number in range(4):
        server.submit("anything", {}, name=f"small {number}")
    keys, cursor = [], None
    while True:
        page = server.get(f"/jobs/{job}/items", limit=10, **({"cursor": cursor} if cursor else {}))
        keys += [item["key"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert keys == [f"n{n:02}" for n in range(25)]
    first = server.get("/jobs", name="SMALL", limit=3)
    rest = server.get("/jobs", name="SMALL", limit=3, cursor=first["next"])
    assert [each["name"] for each in first["jobs"] + rest["jobs"]] == [f"small {n}" for n in (3, 2, 1, 0)]
    assert rest["next"] is None
    done = server.get("/jobs", state="done", name="paged")["jobs"]
    assert [each["id"] for each in done] == [job]
    assert server.get("/jobs", state="running", name="paged")["jobs"] == []


def test_secrets_do_not_leave(server: Server) -> None:
    secret = "Zx81hd72jsoqp1"
    (server.folder / "mended").unlink(missing_ok=True)
    items = {"s1": {"name": "k", "api_key": secret}, "s2": {"name": f"quoting {secret}", "api_key": secret, "fail": True}}
    job = server.submit("describe", items).json()["id"]
    server.ended(job, "failed")
    told = [f"/jobs/{job}{part}" for part in ("", "/items", "/result", "/attempts", "/attempts?key=s2")]
    for path in [*told, f"/page/{job}", f"/page/{job}/item?key=s2"]:
        assert secret not in server.client.get(path).text, path
    assert "__redacted_api_key__" in server.client.get(f"/jobs/{job}/items").text
    assert "__redacted_api_key__" in server.client.get(f"/jobs/{job}/attempts").text


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"task": "serving_tasks:square", "items": {"a": "2"}}, "/items/a"),
        ({"task": "serving_tasks:square", "items": {"a/b~": True}}, "/items/a~1b~0"),
        ({"task": "serving_tasks:square", "payload": 1.5}, "/payload"),
        ({"task": "serving_tasks:describe", "items": {"a": {"name": 3}}}, "/items/a/name"),
        ({"task": "serving_tasks:unregistered", "items": {}}, "/task"),
        ({"task": ["serving_tasks:square"], "items": {}}, "/task"),
        ({"task": "serving_tasks:square", "items": {}, "then": [{"task": "os:system"}]}, "/then/0/task"),
        ({"task": "serving_tasks:square", "items": {}, "then": [{"task": "serving_tasks:square", "on": "x"}]}, "/then/0"),
        ({"task": "serving_tasks:square", "items": []}, "/items"),
        ({"task": "serving_tasks:square", "items": {"@items": 1}}, "/items/@items"),
        ({"task": "serving_tasks:square", "items": {"": 1}}, "/items/"),
        ({"task": "serving_tasks:square", "items": {"a\nb": 1}}, "/items/a\nb"),
        ({"task": "serving_tasks:square", "items": {}, "job_timeout": -1}, "/job_timeout"),
        ({"task": "serving_tasks:square", "items": {}, "name": ""}, "/name"),
        ({"task": "serving_tasks:square", "items": {}, "wishes": 1}, "/wishes"),
        ({"task": "serving_tasks:square"}, ""),
        ({"items": {}}, "/task"),
        ([], ""),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(server: Server, body: Any, pointer: str) -> None:
    before = server.get("/jobs", limit=1)["jobs"]
    found = problem(server.client.post("/jobs", json=body), 422)
    assert pointer in [error["pointer"] for error in found["errors"]]
    assert server.get("/jobs", limit=1)["jobs"] == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b"[" * 100_000],
    ids=["none", "half", "twice", "nan", "bytes", "deep"],
)  # fmt: skip
def test_what_is_no_json_is_refused(server: Server, content: bytes) -> None:
    answer = server.client.post("/jobs", content=content, headers={"content-type": "application/json"})
    assert "JSON" in str(problem(answer, 400))


def test_every_error_is_a_problem(server: Server) -> None:
    ask = server.client
    problem(ask.get("/jobs/99999"), 404)
    problem(ask.get("/jobs/0"), 422)
    problem(ask.get("/jobs/" + "9" * 30), 422)
    problem(ask.get("/jobs", params={"limit": "many"}), 422)
    problem(ask.get("/jobs", params={"state": "asleep"}), 422)
    problem(ask.get("/jobs", params={"cursor": "x"}), 422)
    job = server.submit("square", {"e": 1}).json()["id"]
    problem(ask.get(f"/jobs/{job}/items", params={"cursor": "9" * 19}), 422)
    problem(ask.get(f"/jobs/{job}/attempts", params={"key": "nobody"}), 404)
    problem(ask.get("/nowhere"), 404)
    assert problem(ask.delete("/jobs"), 405)["title"] == "Method Not Allowed"
    problem(ask.post("/jobs", content=b"{}", headers={"content-type": "text/plain"}), 415)
    problem(ask.post(f"/jobs/{job}/retry", json={"kind": "asleep"}), 422)
    problem(ask.post("/jobs/99999/cancel"), 404)
    half = ask.post("/jobs", content=b'{"task":"\\ud800","items":{}}', headers={"content-type": "application/json"})
    assert "ud800" in problem(half, 422)["detail"]


def test_the_tasks_and_their_schemas(server: Server) -> None:
    tasks = {task["name"]: task for task in server.get("/tasks")["tasks"]}
    assert tasks["serving_tasks:square"]["schema"] == {"type": "integer"}
    assert tasks["serving_tasks:anything"]["schema"] == {}
    assert tasks["serving_tasks:describe"]["summary"] == "Describe a city."
    assert "serving_tasks:unregistered" not in tasks


def test_health_needs_no_token_and_tells_nothing(server: Server) -> None:
    answer = server.bare.get(f"{server.url}/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert set(answer.json()) == {"status", "runner"}
