"""What changed between two recordings."""

from __future__ import annotations

from respool.cassette.drift import Change, Drift, drift
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Interaction, Request, Response


def tape(*answers: tuple[str, Response | Failure], **header: object) -> Cassette:
    interactions = tuple(Interaction(Request("GET", f"http://a/{path}"), response) for path, response in answers)
    return Cassette(interactions, **header)  # type: ignore[arg-type]


def plain(*paths: str) -> Cassette:
    return tape(*((path, Response(200)) for path in paths))


def json(text: str, status: int = 200, **headers: str) -> Response:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, headers=named, body=text.encode())


def told(change: Change) -> list[tuple[str, str]]:
    return [(each.path, each.kind) for each in change.paths]


def test_the_same_is_no_drift_whatever_the_date_and_the_blanks() -> None:
    old = tape(("x", json('{"a": 1, "b": 2}', Date="Mon", X_Request_Id="1")))
    new = tape(("x", json('{"b":2,"a":1}', Date="Tue", X_Request_Id="2")))
    found = drift(old, new)
    assert found == Drift(1, 1)
    assert not found
    assert found.summary() == "no change"


def test_status_headers_that_matter_and_paths() -> None:
    old = tape(("x", json('{"n": 1, "gone": true, "t": "1"}', Content_Type="a/b", RateLimit_Policy="10;w=1")))
    new = tape(("x", json('{"n": 2, "t": 1, "new": {}}', 201, Content_Type="a/c", RateLimit_Policy="5;w=1")))
    (change,) = drift(old, new).changed
    assert (change.was, change.now, change.request) == (1, 1, "GET http://a/x")
    assert change.fields == (
        ("status", "200", "201"), ("header content-type", "a/b", "a/c"), ("header ratelimit-policy", "10;w=1", "5;w=1"),
    )  # fmt: skip
    assert told(change) == [("$.n", "value"), ("$.gone", "removed"), ("$.t", "type"), ("$.new", "added")]


def test_a_location_that_differs_in_an_id_only_is_the_same() -> None:
    ids = ("0195d2c4-8c1e-7b1a-a6b5-3f2f7e1f9a10", "0195d2c4-8c1e-7b1a-a6b5-3f2f7e1f9a11")
    old, new = (tape(("x", json("", 202, Location=f"/jobs/{each}"))) for each in ids)
    assert not drift(old, new)
    assert drift(old, tape(("x", json("", 202, Location=f"/tasks/{ids[0]}")))).changed[0].fields[0].name == "header location"


def test_requests_that_came_and_went_are_named_with_their_places() -> None:
    found = drift(plain("x", "x", "y"), plain("z", "x", "x"))
    assert [tuple(each) for each in found.added] == [(1, "GET http://a/z")]
    assert [tuple(each) for each in found.removed] == [(3, "GET http://a/y")]
    assert (found.moved, found.changed) == ((), ())
    assert found.summary() == "1 call added, 1 call removed"


def test_repeated_requests_are_compared_in_their_order() -> None:
    old = tape(("x", json('{"n": 1}')), ("x", json('{"n": 2}')))
    new = tape(("x", json('{"n": 1}')), ("x", json('{"n": 3}')))
    assert [(each.was, each.now) for each in drift(old, new).changed] == [(2, 2)]


def test_what_moved_is_as_little_as_can_be() -> None:
    assert [each.request[-1] for each in drift(plain(*"abcd"), plain(*"dabc")).moved] == ["d"]
    assert [each.request[-1] for each in drift(plain(*"abcd"), plain(*"bcda")).moved] == ["a"]
    assert len(drift(plain(*"abcd"), plain(*"dcba")).moved) == 3
    assert not drift(plain(*"abcd"), plain(*"axbcyd")).moved


def test_a_request_whose_parameter_changed_is_one_that_changed_not_two() -> None:
    (change,) = drift(plain("list?limit=50"), plain("list?limit=100")).changed
    assert change.fields == (("query limit", "'50'", "'100'"),)
    jobs = [f"jobs/0195d2c4-8c1e-7b1a-a6b5-3f2f7e1f9a1{n}" for n in range(2)]
    found = drift(plain(jobs[0]), plain(jobs[1]))
    assert (len(found.changed), found.added, found.removed) == (1, (), ())


def test_the_rule_is_the_cassettes_own() -> None:
    old, new = tape(("x?ts=1", Response(200))), tape(("x?ts=2", Response(200)), matching={"ignore_query": ["ts"]})
    assert not drift(old, new)
    assert drift(old, new, matching=Matching()).changed
    assert not drift(old, tape(("x?ts=1", Response(200)), matching={"custom": ["suite.same_user"]}))


def test_a_volatile_path_counts_for_nothing_while_it_is_there() -> None:
    old, new = (tape(("x", json(f'{{"at": "{at}", "n": 1}}'))) for at in ("2026-01-01", "2026-01-02"))
    assert drift(old, new).changed
    assert not drift(old, new, ["$.at"])
    (change,) = drift(old, tape(("x", json('{"at": null, "n": 1}'))), ["$.at"]).changed
    assert told(change) == [("$.at", "type")]
    (change,) = drift(old, tape(("x", json('{"n": 1}'))), ["$.at"]).changed
    assert told(change) == [("$.at", "removed")]


def test_what_always_changes_is_proposed() -> None:
    old, new = (
        tape(*((f"{n}", json(f'{{"at": "2026-01-0{day}", "kept": "2026-01-01", "n": {n + day}}}')) for n in range(3)))
        for day in (1, 2)
    )  # fmt: skip
    assert drift(old, new).proposals == (("$.at", "date", 3), ("$.n", "counter", 3))
    assert drift(old, new, ["$.at", "$.n"]).proposals == ()


def test_earlier_recordings_are_evidence_too() -> None:
    first, second, third = (
        tape(("a", json(f'{{"mood": "{mood}", "at": "{at}"}}')), ("b", json(f'{{"mood": "{mood}!"}}')))
        for mood, at in (("sunny", "2026-01-01"), ("rainy", "2026-01-01"), ("grey", "2026-01-02"))
    )
    assert [each.path for each in drift(second, third).proposals] == ["$.at"]
    assert [(each.path, each.shape) for each in drift(second, third, earlier=[first]).proposals] == [("$.mood", "other")]


def test_text_by_its_lines_and_a_body_that_became_something_else() -> None:
    (change,) = drift(tape(("x", Response(200, body=b"a\nb\n"))), tape(("x", Response(200, body=b"a\nc\n")))).changed
    assert change.lines == ("@@ line 1", " a", "-b", "+c")
    (change,) = drift(tape(("x", json('{"a": 1}'))), tape(("x", Response(200, body=b"<html>")))).changed
    assert change.fields == (("body", "JSON", "text"),)
    (change,) = drift(tape(("x", json('{"a": 1}'))), tape(("x", Response(204)))).changed
    assert change.fields == (("status", "200", "204"), ("body", "JSON", "no body"))


def test_a_failure_that_became_an_answer() -> None:
    found = drift(tape(("x", Failure("read_timeout"))), tape(("x", Response(200))))
    assert found.changed[0].fields == (("outcome", "read_timeout", "200"),)
    assert not drift(tape(("x", Failure("read_timeout"))), tape(("x", Failure("read_timeout"))))


def test_a_recording_that_is_the_first_or_the_last() -> None:
    assert drift(None, plain("x")).summary() == "new, 1 call"
    assert drift(plain("x", "y"), None).summary() == "gone, 2 calls"
    assert drift(None, Cassette())
    assert len(drift(None, plain("x", "y")).added) == 2
