"""Waits around real requests, on a clock that is moved by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from respool.cassette.deck import Observed, Throttle
from respool.cassette.model import Request
from respool.cassette.throttle import Answer, Throttling
from respool.clock import FakeClock
from respool.errors import CassetteRefused
from respool.pace import Limit, Pace

ASKED = "https://api.example.com:8443/v1/oslo?key=secret"


class Desk:
    """The throttling of one process; `folder` is what it shares with others."""

    def __init__(self, folder: Path, clock: FakeClock | None = None, **options: Any) -> None:
        self.clock = clock or FakeClock()
        self.pace = Pace(folder, self.clock)
        self.waits: list[float] = []
        limits = {host: Limit(host, rates) for host, rates in options.pop("limits", {}).items()}
        given = {"transient": frozenset({429, 503}), "max_pause": 3600.0, **options}
        self.throttling = Throttling(
            self.pace, limits, clock=self.clock, chance=lambda: 0.5, waiting=self.waits.append, **given
        )  # fmt: skip

    def around(self, *declared: int) -> Throttle:
        return self.throttling.around(frozenset(declared))

    def send(self, request: Request, *answers: Observed, throttle: Throttle | None = None) -> tuple[list[float], int]:
        """As a deck does it: the waits, and how many of the answers were needed."""
        asks, waits, used = throttle or self.around(), [], 0
        seconds = asks(request, None)
        while True:
            while seconds is not None:
                waits.append(seconds)
                self.clock.advance(seconds)
                seconds = asks(request, None)
            if used == len(answers):
                return waits, used
            used += 1
            seconds = asks(request, answers[used - 1])
            if seconds is None:
                return waits, used


def asked(url: str = ASKED) -> Request:
    return Request("GET", url)


def throttled(seconds: str | None, status: int = 429, **headers: str) -> Observed:
    told = (("Retry-After", seconds),) if seconds is not None else ()
    return Observed(status, (*told, *((name.title(), value) for name, value in headers.items())))


OK = Observed(200)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_retry_after_is_kept(desk: Desk) -> None:
    waits, used = desk.send(asked(), throttled("7"), throttled("3", 503), OK)
    assert used == 3
    assert waits == pytest.approx([7, 3], abs=0.5)
    assert sum(desk.waits) == pytest.approx(10, abs=0.5)
    assert not desk.throttling.unexpected


def test_a_date_is_measured_against_the_answers_own(desk: Desk) -> None:
    waits, _ = desk.send(asked(), throttled("Wed, 21 Oct 2015 07:28:30 GMT", date="Wed, 21 Oct 2015 07:28:00 GMT"), OK)
    assert waits == pytest.approx([30], abs=2)


def test_without_it_each_wait_is_twice_as_long_up_to_a_minute(desk: Desk) -> None:
    waits, _ = desk.send(asked(), *[throttled(None)] * 9, OK)
    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert desk.send(asked(), throttled(None), OK)[0] == pytest.approx([1], abs=0.2), "the next request begins anew"


def test_a_host_that_asked_to_be_left_alone_is_left_alone_by_everybody(tmp_path: Path) -> None:
    one, clock = Desk(tmp_path), FakeClock()
    other = Desk(tmp_path, one.clock)
    assert one.around()(asked(), None) is None
    assert one.around()(asked(), throttled("20")) == 20
    wait = other.around()(asked(), None)
    assert wait is not None
    assert 20 <= wait <= 22, "a little later than the host said: not all at once"
    assert other.around()(asked("https://other.example.com/"), None) is None
    assert clock.now() == FakeClock().now()


@pytest.mark.parametrize("pattern", ["api.example.com", "API.example.com:8443", "*.example.com"])
def test_the_limit_of_a_host_holds_across_processes(tmp_path: Path, pattern: str) -> None:
    one = Desk(tmp_path, limits={pattern: "2/min"})
    other = Desk(tmp_path, one.clock, limits={pattern: "2/min"})
    assert one.send(asked(), OK) == ([], 1)
    assert other.send(asked(), OK) == ([], 1)
    waits, _ = other.send(asked(), OK)
    assert sum(waits) == pytest.approx(60, abs=1)


def test_a_request_that_fails_gives_its_slot_back(tmp_path: Path) -> None:
    """Else a few refused connections would hold up the process for ever."""
    desk = Desk(tmp_path, limits={"api.example.com": "1/min"})
    for _ in range(3):
        waits, _ = desk.send(asked(), Observed(0))
        assert sum(waits) <= 61
    answer = Answer(desk.throttling.unexpected[0].test, "GET", "https://api.example.com:8443/v1/oslo", 0)
    assert desk.throttling.unexpected == [answer] * 3


def test_a_declared_status_is_an_answer_like_any_other(desk: Desk) -> None:
    assert desk.send(asked(), throttled("30"), throttle=desk.around(429)) == ([], 1)
    assert desk.send(asked(), Observed(401), throttle=desk.throttling.around(None)) == ([], 1)
    assert desk.throttling.stop is None
    assert not desk.throttling.unexpected


@pytest.mark.parametrize(("status", "kind"), [(401, "unauthorised"), (402, "quota")])
def test_a_refused_key_stops_the_recording_at_once(desk: Desk, status: int, kind: str) -> None:
    assert desk.send(asked(), Observed(status)) == ([], 1), "the test sees the answer"
    with pytest.raises(CassetteRefused, match=f"is not sent: GET .* was answered with {status}") as found:
        desk.around()(asked(), None)
    assert "secret" not in str(found.value)
    assert desk.throttling.facts()["stop"][0] == kind


def test_other_errors_are_noted_and_nothing_stops(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/test_a.py::test_one[x (y)] (call)")
    assert desk.send(asked(), Observed(404)) == ([], 1)
    assert desk.send(asked(), Observed(403)) == ([], 1)
    assert [(each.test, each.status) for each in desk.throttling.unexpected] == [
        ("tests/test_a.py::test_one[x (y)]", 404), ("tests/test_a.py::test_one[x (y)]", 403)
    ]
    assert desk.throttling.stop is None
    assert desk.throttling.facts()["calls"] == 2


@pytest.mark.parametrize("limits", [{}, {"api.example.com": "1/day"}])
def test_a_wait_beyond_the_longest_stops_and_says_how_long(tmp_path: Path, limits: dict[str, str]) -> None:
    desk = Desk(tmp_path, limits=limits)
    answers = [OK] if limits else [throttled("7200"), OK]
    if limits:
        desk.send(asked(), OK)
    with pytest.raises(CassetteRefused):
        desk.send(asked(), *answers)
    stop = desk.throttling.stop
    assert stop is not None
    assert stop.kind == "rate_limited"
    assert (stop.after or 0) > 3600
    other = Desk(tmp_path, desk.clock, limits=limits)
    with pytest.raises(CassetteRefused):
        other.send(asked(), OK)
    assert other.throttling.calls == 0, "who comes next sends nothing"


def test_a_host_that_always_says_later_is_given_up(desk: Desk) -> None:
    with pytest.raises(CassetteRefused, match="again and again"):
        desk.send(asked(), *[throttled("600")] * 20)
    stop = desk.throttling.stop
    assert stop is not None
    assert stop.after is None
    assert sum(desk.waits) <= 3600


def test_waits_side_by_side_are_counted_once(desk: Desk) -> None:
    one, other = asked(), asked()
    for request in (one, other):
        assert desk.around()(request, None) is None
    assert desk.around()(one, throttled("30")) == 30
    assert desk.around()(other, throttled("40")) == 40
    assert desk.waits == pytest.approx([30, 10])
