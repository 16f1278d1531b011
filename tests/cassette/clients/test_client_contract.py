"""Every client against every case: recorded and replayed, an application sees what it sees without us."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import drivers_aiohttp
import drivers_http_client
import drivers_httpcore
import drivers_httpx
import drivers_urllib3
import pytest
from contract import CASES, Call, Case, Driver, Plan, calls, comparable, deck_open, no_network, stored
from server import LARGE, Server

from respool.cassette.deck import Observed
from respool.cassette.model import Cassette, Mode, Request
from respool.errors import RequestNotRecorded

DRIVERS: list[Driver] = [
    *drivers_httpx.DRIVERS, *drivers_httpcore.DRIVERS, *drivers_urllib3.DRIVERS, *drivers_http_client.DRIVERS,
    *drivers_aiohttp.DRIVERS,
]  # fmt: skip
if find_spec("niquests"):  # its fork of urllib3 takes urllib3's place: test_clients.py runs this file in its environment
    import drivers_niquests

    DRIVERS += drivers_niquests.DRIVERS
EACH = pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
CELLS = [
    pytest.param(driver, name, id=f"{driver.name}-{name}")
    for driver in DRIVERS
    for name in CASES
    if name not in driver.not_applicable
]


def test_what_is_not_applicable_is_a_case() -> None:
    unknown = {(driver.name, name) for driver in DRIVERS for name in driver.not_applicable if name not in CASES}
    assert not unknown


class Bench:
    """The servers, and the plan of a case made concrete."""

    def __init__(self, plain: Server, tls: Server, authority: Path) -> None:
        self.servers = {"plain": plain, "tls": tls}
        self.plain = plain
        self.authority = authority

    def plan(self, case: Case) -> Plan:
        plan = case.plan
        if plan.proxy:
            plan = replace(plan, proxy=self.plain.url)
        return replace(plan, trust=str(self.authority)) if plan.trust == "authority" else plan

    def reset(self) -> None:
        for server in self.servers.values():
            server.reset()

    @property
    def connections(self) -> int:
        return sum(server.connections for server in self.servers.values())


@pytest.fixture
def bench(plain: Server, tls: Server, authority: Path) -> Bench:
    return Bench(plain, tls, authority)


@pytest.mark.parametrize(("driver", "name"), CELLS)
def test_case(driver: Driver, name: str, bench: Bench) -> None:
    case = CASES[name]
    plan, root = bench.plan(case), bench.servers[case.server].url
    bench.reset()
    live = driver.run(root, plan)
    assert case.shown(live), live

    bench.reset()
    with deck_open(mode=Mode.FILL, keep_failures=case.keep_failures) as deck:
        recording = driver.run(root, plan)
    assert comparable(recording) == comparable(live)
    closed = deck.close()
    expected = getattr(driver, "more", {}).get(name) or case.recorded or len(plan.calls)
    assert (len(closed.fresh), closed.cut, closed.unfinished) == (expected, 0, 0)

    bench.reset()
    with no_network(), deck_open(stored(closed.fresh), Mode.REPLAY) as deck:
        replayed = driver.run(root, plan)
    assert comparable(replayed) == comparable(live)
    assert comparable(replayed, pieces=True) == comparable(recording, pieces=True)
    assert (deck.played, deck.unplayed, deck.live, deck.misses) == (len(closed.fresh), (), 0, [])
    assert bench.connections == 0


HELLO = Plan(calls("/hello"))


def recorded(driver: Driver, server: Server, plan: Plan = HELLO) -> Cassette:
    with deck_open(mode=Mode.FILL) as deck:
        driver.run(server.url, plan)
    return Cassette(deck.close().fresh)


@EACH
def test_without_a_deck_nothing_is_recorded(driver: Driver, plain: Server) -> None:
    plain.reset()
    assert driver.run(plain.url, HELLO)[0]["body"] == b"hello"
    assert plain.requests == [("GET", "/hello")]


@EACH
def test_fill_sends_only_what_is_missing(driver: Driver, plain: Server) -> None:
    plain.reset()
    tape = recorded(driver, plain, Plan(calls("/counted/x", "/hello")))
    plain.requests.clear()
    with deck_open(tape, Mode.FILL) as deck:
        seen = driver.run(plain.url, Plan(calls("/counted/x", "/json", "/counted/x")))
    assert [each["body"][:2] for each in seen] == [b"1", b'{"', b"2"]
    assert plain.requests == [("GET", "/json"), ("GET", "/counted/x")]
    assert (deck.played, deck.recorded, deck.live, deck.unplayed) == (1, 2, 2, (1,))


@EACH
def test_rerecord_asks_for_everything_anew(driver: Driver, plain: Server) -> None:
    plain.reset()
    tape = recorded(driver, plain, Plan(calls("/counted/y")))
    with deck_open(tape, Mode.RERECORD) as deck:
        assert driver.run(plain.url, Plan(calls("/counted/y")))[0]["body"] == b"2"
    assert [each.response.body for each in deck.fresh] == [b"2"]
    assert deck.played == 0


@EACH
def test_bypass_keeps_nothing(driver: Driver, plain: Server) -> None:
    plan = Plan((*calls("/hello", "/large", "/gzip", "/chunked"), Call("/sse", read="stream"), Call("/hello", read="close")))
    tape = recorded(driver, plain)
    live = driver.run(plain.url, plan)
    plain.reset()
    with deck_open(tape, Mode.BYPASS) as deck:
        assert comparable(driver.run(plain.url, plan)) == comparable(live)
    assert plain.requests == [("GET", call.path) for call in plan.calls]
    assert (deck.played, deck.recorded, deck.live) == (0, 0, len(plan.calls))


@EACH
def test_what_is_throttled_is_asked_for_again(driver: Driver, plain: Server) -> None:
    """Of the two answers that said "not now" neither the application nor the tape sees anything."""

    def throttle(request: Request, observed: Observed | None) -> float | None:
        return 0.001 if observed is not None and observed.status == 503 else None

    plain.reset()
    plan = Plan(calls("/flaky/2", "/large"))
    with deck_open(mode=Mode.FILL, throttle=throttle) as deck:
        seen = driver.run(plain.url, plan)
    assert [each["body"] for each in seen] == [b"now", LARGE]
    assert [path for _, path in plain.requests] == ["/flaky/2"] * 3 + ["/large"]
    closed = deck.close()
    assert ([each.response.status for each in closed.fresh], closed.cut, closed.unfinished) == ([200, 200], 0, 0)


@EACH
def test_a_miss_is_no_failure_of_the_network(driver: Driver, plain: Server) -> None:
    """RequestNotRecorded goes through the client and its retries as it is, and is remembered."""
    plain.reset()
    tape = recorded(driver, plain)
    retrying = Plan(calls("/json"), retries=3 if "the client's own retries" not in driver.not_applicable else 0)
    with no_network(), deck_open(tape, Mode.REPLAY) as deck, pytest.raises(RequestNotRecorded, match="/json"):
        driver.run(plain.url, retrying)
    assert [miss.request.url for miss in deck.misses] == [f"{plain.url}/json"]


@EACH
def test_a_closed_deck_refuses(driver: Driver, plain: Server) -> None:
    """What a test left running does not fall through to the network."""
    tape = recorded(driver, plain)
    plain.reset()
    with deck_open(tape, Mode.BYPASS) as deck:
        deck.close()
        with pytest.raises(RequestNotRecorded, match="after its cassette had been closed"):
            driver.run(plain.url, HELLO)
    assert plain.requests == []


@EACH
def test_failures_are_not_recorded_unless_asked_for(driver: Driver, plain: Server) -> None:
    with deck_open(mode=Mode.FILL) as deck:
        seen = driver.run(plain.url, Plan(calls("/reset", "/hello")))
    assert "error" in seen[0]
    closed = deck.close()
    assert [each.request.url for each in closed.fresh] == [f"{plain.url}/hello"]
    assert (closed.cut, closed.unfinished) == (getattr(driver, "more", {}).get("reset", 1), 0)


@EACH
def test_a_small_rest_is_read_for_the_tape_a_large_one_is_not(driver: Driver, plain: Server) -> None:
    with deck_open(mode=Mode.FILL) as deck:
        driver.run(plain.url, Plan((Call("/binary", read="part"), Call("/large", read="part"))))
    closed = deck.close()
    assert [(each.request.url, len(each.response.body)) for each in closed.fresh] == [(f"{plain.url}/binary", 256)]
    assert (closed.cut, closed.unfinished) == (1, 0)


@EACH
def test_events_are_kept_as_far_as_they_were_read(driver: Driver, plain: Server) -> None:
    """An application that has seen enough closes the stream, and leaves its end on the wire."""
    plan = Plan((Call("/sse", read="part"),))
    with deck_open(mode=Mode.FILL) as deck:
        live = driver.run(plain.url, plan)
    closed = deck.close()
    assert (len(closed.fresh), closed.cut, closed.unfinished) == (1, 0, 0)
    with no_network(), deck_open(Cassette(closed.fresh), Mode.REPLAY):
        assert comparable(driver.run(plain.url, plan)) == comparable(live)


@EACH
def test_the_chunks_of_a_stream_are_kept_with_their_timing(driver: Driver, plain: Server) -> None:
    tape = recorded(driver, plain, Plan(calls("/sse", read="stream")))
    (interaction,) = tape.interactions
    chunks = interaction.response.chunks
    assert sum(chunk.size for chunk in chunks) == len(interaction.response.body)
    assert 1 < len(chunks) <= 5
    assert all(chunk.after > 0 for chunk in chunks[1:])
