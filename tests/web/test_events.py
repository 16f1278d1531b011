"""The stream of events over real HTTP: it goes on where a client left it, and says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from served import Server, project, serving, until

from respool.batch.places import Places
from respool.batch.store.connection import Database


def messages(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream as they come."""
    found: dict[str, Any] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            found[name] = value
        elif "event" in found:
            yield {"id": int(found["id"]), "event": found["event"], "data": json.loads(found["data"])}
            found = {}


def read(server: Server, last: str, headers: dict[str, str] | None = None, **query: Any) -> list[dict[str, Any]]:
    """What the stream tells, up to the first event named `last`."""
    found = []
    with server.client.stream("GET", "/events", params=query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for each in messages(answer):
            found.append(each)
            if each["event"] == last:
                break
    return found


def test_from_the_beginning_and_from_where_one_was(server: Server) -> None:
    job = server.submit("square", {"a": 1, "b": 2}, name="followed").json()["id"]
    server.ended(job)
    told = read(server, "job_ended", after=0, job=job)
    assert [each["event"] for each in told] == ["job_created", "job_sealed", "item_done", "item_done", "job_ended"]
    numbers = [each["id"] for each in told]
    assert numbers == sorted(set(numbers))
    assert told[2]["data"]["key"] == "a"
    assert told[2]["data"]["at"].endswith("Z")
    rest = read(server, "job_ended", headers={"Last-Event-ID": str(numbers[2])}, job=job)
    assert rest == told[3:]


def test_what_happens_while_one_listens(server: Server) -> None:
    with server.client.stream("GET", "/events", params={"brief": "true"}) as answer:
        told = messages(answer)
        job = server.submit("square", {"c": 3}).json()["id"]
        assert next(each for each in told if job in each["data"]["jobs"])["event"] == "changed"


def test_the_payload_of_an_event_is_redacted(server: Server) -> None:
    secret = {"name": "Zx81hd72jsoqp1", "api_key": "Zx81hd72jsoqp1", "fail": True}
    job = server.submit("describe", {"e": secret}).json()["id"]
    server.ended(job, "failed")
    (failed,) = [each for each in read(server, "job_ended", after=0, job=job) if each["event"] == "item_failed"]
    assert failed["data"]["data"]["message"].startswith("no such city: __redacted")


def test_what_was_missed_and_is_gone_is_said(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as server:
        assert read(server, "reset", headers={"Last-Event-ID": "7"})[0]["data"] == {"first": None, "last": None}
        job = server.submit("square", {"a": 1, "b": 2}).json()["id"]
        server.ended(job)
        until(lambda: server.client.get("/health").json()["runner"] == "idle")
        with Database.open(Places.chosen(str(tmp_path / ".respool" / "spool.db"))) as database, database.write():
            database.run("prune_job_events", job)
        (reset,) = read(server, "reset", headers={"Last-Event-ID": "1"})
        last = reset["data"]["last"]
        assert reset == {"id": last, "event": "reset", "data": {"first": last, "last": last}}
        (ahead,) = read(server, "reset", headers={"Last-Event-ID": "999"})
        assert ahead["id"] == last
        answer = server.client.get("/events", headers={"Last-Event-ID": "soon"})
        assert answer.status_code == 422


def test_streams_do_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as server, server.client.stream("GET", "/events") as answer:
        assert answer.status_code == 200
        assert server.stop() == 143
