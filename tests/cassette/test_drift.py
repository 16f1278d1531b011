"""What changed between two recordings."""

from __future__ import annotations

from respool.cassette.drift import Change, Drift, drift
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Interaction, Request, Response


def tape(*answers: tuple[str, Response | Failure]) -> Cassette:
    return Cassette(tuple(Interaction(Request("GET", f"http://a/{path}"), response) for path, response in answers))


def told(change: Change) -> list[tuple[str, str, str]]:
    return [tuple(field) for field in change.fields]  # type: ignore[misc]


def test_the_same_is_no_drift_whatever_the_date() -> None:
    old = tape(("x", Response(200, headers=(("Date", "Mon"),), body=b'{"a": 1, "b": 2}')))
    new = tape(("x", Response(200, headers=(("Date", "Tue"),), body=b'{"b":2,"a":1}')))
    assert drift(old, new, Matching()) == Drift()
    assert not drift(old, new, Matching())


def test_fields_that_came_went_or_changed() -> None:
    was, now = b'{"n": 1, "gone": true, "t": "1", "list": [1]}', b'{"n": 2, "t": 1, "list": [1, 2], "new": {}}'
    old = tape(("x", Response(200, headers=(("Content-Type", "a/b"),), body=was)))
    new = tape(("x", Response(201, headers=(("Content-Type", "a/c"),), body=now)))
    (change,) = drift(old, new, Matching()).changed
    assert (change.method, change.url) == ("GET", "http://a/x")
    assert told(change) == [
        ("status", "200", "201"),
        ("header content-type", "'a/b'", "'a/c'"),
        ("body $.n", "1", "2"),
        ("body $.gone", "true", "nothing"),
        ("body $.t", "'1'", "1"),
        ("body $.list", "1 elements", "2 elements"),
        ("body $.new", "nothing", "{}"),
    ]


def test_paths_that_always_change_can_be_ignored() -> None:
    old, new = (tape(("x", Response(200, body=b'{"at": %d, "n": 1}' % at))) for at in (1, 2))
    assert drift(old, new, Matching(), ignore_json=["$.at"]) == Drift()


def test_requests_that_came_and_went_are_named_and_repeated_ones_compared_in_order() -> None:
    ok, other = Response(200, body=b"1"), Response(200, body=b"2")
    found = drift(tape(("x", ok), ("x", ok), ("y", ok)), tape(("x", ok), ("x", other), ("z", ok)), Matching())
    assert (found.added, found.removed) == (("GET http://a/z",), ("GET http://a/y",))
    assert [told(change) for change in found.changed] == [[("body", "'1'", "'2'")]]


def test_a_failure_that_became_an_answer() -> None:
    found = drift(tape(("x", Failure("read_timeout"))), tape(("x", Response(200))), Matching())
    assert told(found.changed[0]) == [("outcome", "read_timeout", "200")]
