"""Whose turn it is: requests of one key in their order, bodies read only where they decide, threads at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from respool.cassette.index import Index
from respool.cassette.matching import Matching
from respool.cassette.model import Request


def at(path: str, body: bytes = b"") -> Request:
    return Request("POST" if body else "GET", f"http://a.test{path}", body=body)


def index_of(*requests: Request, matching: Matching | None = None, repeats: bool = False) -> Index:
    return Index(matching or Matching(), len(requests), requests.__getitem__, repeats=repeats)


def test_each_key_has_its_turns() -> None:
    index = index_of(at("/"), at("/b"), at("/"), at("/", b"1"))
    assert [index.turn(each) for each in (at("/"), at("/", b"1"), at("/"), at("/"), at("/c"))] == [0, 3, 2, None, None]
    assert list(index.played) == [0, 3, 2]


def test_with_repeats_the_last_comes_again() -> None:
    index = index_of(at("/"), at("/"), repeats=True)
    assert [index.turn(at("/")) for _ in range(4)] == [0, 1, 1, 1]


def test_of_an_empty_tape_nothing_is_given() -> None:
    assert index_of().turn(at("/")) is None


class Counting(Matching):
    """Tells whose full keys were made."""

    asked: list[bytes]

    def key(self, request: Request) -> Any:
        self.asked.append(request.body)
        return super().key(request)


def test_a_body_is_read_when_a_request_differs_in_nothing_else() -> None:
    counting = Counting()
    object.__setattr__(counting, "asked", [])
    tape = [at(f"/{n}", b"%d" % n) for n in range(50)] + [at("/7", b"another"), at("/7")]
    index = index_of(*tape, matching=counting)
    assert [index.turn(at("/7", b"another")), index.turn(at("/7")), index.turn(at("/7", b"7"))] == [50, 51, 7]
    assert sorted(counting.asked) == [b"7", b"7", b"another", b"another"]


@pytest.mark.parametrize("matching", [Matching(), Matching(headers=("Accept",)), Matching(parts=("path",))])
def test_turns_are_shared_by_all_spellings(matching: Matching) -> None:
    recorded = ["http://a.test/~me", "http://A.test:80/%7Eme", "http://a.test/%7eme", "http://a.test/~me"]
    index = index_of(*(Request("GET", url) for url in recorded), matching=matching)
    asked = ["http://a.test:80/%7Eme", recorded[1], recorded[0], "HTTP://a.test/~me", recorded[0]]
    assert [index.turn(Request("get", url)) for url in asked] == [0, 1, 2, 3, None]


@pytest.mark.parametrize("matching", [
    Matching(headers=("accept",)),
    Matching(normalise=lambda request: request._replace(url=request.url + request.headers[0][1])),
    Matching(custom=(lambda live, stored: live.headers == stored.headers,)),
], ids=["a header", "normalised", "custom"])  # fmt: skip
def test_what_else_counts_tells_requests_of_one_spelling_apart(matching: Matching) -> None:
    one, other = (Request("GET", "http://a.test/", (("Accept", value),)) for value in ("text/html", "text/plain"))
    index = index_of(one, other, matching=matching)
    assert [index.turn(each) for each in (other, one, other)] == [1, 0, None]


@pytest.mark.parametrize("body", [b"", b"x"])
def test_a_normalised_request_is_indexed_by_what_it_became(body: bytes) -> None:
    """Of two recorded ones that become the same, the first has the first turn, whatever bodies they had before."""
    matching = Matching(normalise=lambda request: request._replace(method="GET", body=b""))
    index = index_of(at("/", b"was one"), at("/"), at("/", b"more"), matching=matching)
    assert [index.turn(at("/", body)) for _ in range(4)] == [0, 1, 2, None]


def test_where_the_body_does_not_count_the_order_is_the_tapes() -> None:
    index = index_of(at("/", b"1"), at("/"), matching=Matching(parts=("path",)))
    assert [index.turn(at("/", body)) for body in (b"", b"2")] == [0, 1]


def test_a_request_without_a_body_is_none_with_one() -> None:
    bare, full = Request("POST", "http://a.test/"), Request("POST", "http://a.test/", body=b"1")
    index = index_of(full, bare, full)
    assert [index.turn(each) for each in (bare, bare, full, full, full)] == [1, None, 0, 2, None]


def test_custom_matchers_choose_among_equal_keys() -> None:
    matching = Matching(parts=("path",), custom=(lambda live, stored: live.body[:1] == stored.body[:1],))
    index = index_of(at("/", b"1 one"), at("/", b"2 two"), at("/", b"2 more"), matching=matching)
    assert [index.turn(at("/", body)) for body in (b"2", b"2", b"1", b"1")] == [1, 2, 0, None]


def test_threads_share_the_first_look_up_and_every_turn() -> None:
    count, workers = 400, 8
    index = index_of(*(at("/", b"same" if n % 2 else b"") for n in range(count)))
    given: list[int | None] = []
    start = threading.Barrier(workers)

    def ask(body: bytes) -> None:
        start.wait(60)
        for _ in range(count // workers):
            given.append(index.turn(at("/", body)))

    threads = [threading.Thread(target=ask, args=(b"same" if n % 2 else b"",)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(place for place in given if place is not None) == list(range(count))
