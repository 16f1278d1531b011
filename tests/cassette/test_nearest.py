"""What a miss says: the closest recorded request, the field that differs, and never a secret."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.cassette.differences import differences
from respool.cassette.matching import Matching
from respool.cassette.model import Interaction, Request, Response
from respool.cassette.nearest import explained, nearest
from respool.cassette.redaction import Redaction


def get(url: str) -> Request:
    return Request("GET", url)


def post(value: Any, url: str = "https://api.example.com/search") -> Request:
    return Request("POST", url, (), value if isinstance(value, bytes) else json.dumps(value).encode())


def tape(*requests: Request) -> list[Interaction]:
    return [Interaction(request, Response(200)) for request in requests]


def told(recorded: Request, sent: Request, rule: Matching = Matching()) -> list[str]:  # noqa: B008
    return [str(each) for each in differences(recorded, sent, rule)]


@pytest.mark.parametrize(
    ("recorded", "sent", "expected"),
    [
        (get("http://a/x"), Request("PUT", "http://a/x"), ["method: GET recorded, PUT sent"]),
        (get("http://a/x"), get("https://b:81/x"), [
            "scheme: 'http' recorded, 'https' sent", "host: 'a' recorded, 'b' sent", "port: 80 recorded, 81 sent",
        ]),
        (get("http://a/x/1"), get("http://a/x/2"), ["path: '/x/1' recorded, '/x/2' sent"]),
        (get("http://a/?a=1&b=2&b=3"), get("http://a/?c=1&b=2&a=1"), [
            "query b: '2', '3' recorded, '2' sent", "query c: nothing recorded, '1' sent",
        ]),
        (post({"limit": 50, "a": [1, {"b": 2}]}), post({"limit": 100, "a": [1, {"b": 2.0}, 3], "c": None}), [
            "body $.limit: 50 recorded, 100 sent", "body $.a: 2 elements recorded, 3 elements sent",
            "body $.a[1].b: 2 recorded, 2.0 sent", "body $.c: nothing recorded, null sent",
        ]),
        (post(b"a=1&b=2"), post(b"b=3&a=1"), ["field b: '2' recorded, '3' sent"]),
        (post(b"once upon a time there was"), post(b"once upon a time there is"), [
            "body from character 23 on: 'ime there was' recorded, 'ime there is' sent",
        ]),
        (post(b"\xff\x00\x01"), post(b"\xff\x00\x02\x03"), ["body from byte 2 on: 3 bytes recorded, 4 bytes sent"]),
        (post(b"\xff"), post({"a": 1}), ["body: bytes (1 bytes) recorded, JSON (8 bytes) sent"]),
        (
            post(b'--x\r\nA: b; name="f"\r\n\r\none\r\n--x--\r\n'), post(b'--y\r\nA: b; name="f"\r\n\r\ntwo\r\n--y--\r\n'),
            ["part f: 'one' recorded, 'two' sent"],
        ),
        (post({"a": 1, "b": 2}), post(b'{"b":2,"a":1}'), []),
    ],
)  # fmt: skip
def test_field_by_field(recorded: Request, sent: Request, expected: list[str]) -> None:
    assert told(recorded, sent) == expected
    assert (Matching().key(recorded) == Matching().key(sent)) is (not expected)


def test_only_what_counts_is_told() -> None:
    rule = Matching(parts=("method", "path", "query"), ignore_query="ts", query_order=True, headers=["x-a"])
    one = Request("POST", "http://a/x?a=1&b=2&ts=1", (("X-A", "1"),), b"one")
    other = Request("POST", "https://b/x?b=2&a=1&ts=2", (), b"two")
    assert told(one, other, rule) == [
        "order of the query: 'a&b' recorded, 'b&a' sent", "header x-a: '1' recorded, nothing sent",
    ]  # fmt: skip
    assert told(post({"n": 1, "a": 1}), post({"n": 2, "a": 1}), Matching(ignore_json="$.n")) == []
    assert told(post({"a": 1}), post(b'{"a":1}'), Matching(parts=["raw_body"]))[0].startswith("body from character 5 on")


def test_the_closest_is_found() -> None:
    others = [get(f"https://other.example.com/{n}") for n in range(50)]
    wanted = post({"limit": 100, "q": "spools"})
    close = post({"limit": 50, "q": "spools"})
    found = nearest(wanted, tape(*others, post({"limit": 1, "q": "no"}), close, *others), Matching())
    assert found is not None
    assert (found.place, [str(each) for each in found.differences]) == (51, ["body $.limit: 50 recorded, 100 sent"])
    assert nearest(wanted, (), Matching()) is None


def test_the_message() -> None:
    error = explained(
        post({"limit": 100}), tape(post({"limit": 50})), Matching(),
        name="tests/cassettes/test_search.json", times=2,
        command="pytest --cassettes=fill tests/test_search.py::test_page_two",
    )  # fmt: skip
    assert str(error) == (
        "POST https://api.example.com/search is not on tests/cassettes/test_search.json (2nd time)\n"
        "  why:   closest is interaction 1 of 1, it differs in body $.limit: 50 recorded, 100 sent\n"
        "  next:  pytest --cassettes=fill tests/test_search.py::test_page_two"
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "nothing is recorded" in str(explained(get("http://a/"), (), Matching()))
    assert "has been played already" in str(explained(get("http://a/"), tape(get("http://a/")), Matching(), times=3))
    many = explained(post(dict.fromkeys("abcdefgh", 1)), tape(post(dict.fromkeys("abcdefgh", 2))), Matching())
    assert "and in 4 more" in str(many)


def test_no_secret_is_shown() -> None:
    secret = "k9Fz-Lq2" + "xT7vB4nW8mYc3RdP"
    redact = Redaction(environ={"SERVICE_TOKEN": secret}).request
    sent = redact(post({"note": secret, "password": "hunter22", "n": 1}, f"https://a/?token={secret}"))
    recorded = tape(post({"note": "x", "password": "hunter23", "n": secret}, f"https://a/{secret}?token=1"))
    message = str(explained(sent, recorded, Matching(), redact))
    assert secret not in message
    assert "hunter" not in message
    assert "$.note" in message


def test_many_candidates_cost_little() -> None:
    many = tape(*(post({"messages": [{"content": f"question {n} " * 50}]}) for n in range(10_000)))
    found = nearest(post({"messages": [{"content": "question 77 " * 50, "x": 1}]}), many, Matching())
    assert found is not None
    deep = [b"[" * 400 + b"1" + b"]" * 400, b"[" * 400 + b"2" + b"]" * 400]
    assert told(post(deep[0]), post(deep[1])) != []


@given(st.binary(), st.binary(), st.sampled_from(["", "?a=1", "?a=2&b"]))
def test_there_is_a_difference_exactly_if_the_keys_differ(one: bytes, other: bytes, query: str) -> None:
    recorded, sent = post(one, "http://a/?a=1"), post(other, f"http://a/{query}")
    assert bool(told(recorded, sent)) is (Matching().key(recorded) != Matching().key(sent))
