"""The clocks: the machine's own, which a frozen test cannot stop, and the one that tests move by hand."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.clock import MICROSECONDS, SYSTEM, FakeClock, local_time, rfc3339

instants = st.integers(0, 4_000_000_000 * MICROSECONDS)


def test_the_system_clock_is_the_machines() -> None:
    before, now, after = time.time_ns() // 1000, SYSTEM.now(), time.time_ns() // 1000
    assert before <= now <= after
    before_s, monotonic, after_s = time.monotonic(), SYSTEM.monotonic(), time.monotonic()
    assert before_s <= monotonic <= after_s


def test_who_freezes_time_freezes_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SYSTEM.now()
    for name in ("time", "time_ns", "monotonic", "clock_gettime_ns", "clock_gettime"):
        monkeypatch.setattr(time, name, lambda *_: 0)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("slept on the frozen clock"))
    started = SYSTEM.monotonic()
    SYSTEM.sleep(0.002)
    assert SYSTEM.monotonic() - started >= 0.002
    assert SYSTEM.now() > real


def test_coroutines_sleep_as_long_as_threads() -> None:
    started = SYSTEM.monotonic()
    asyncio.run(SYSTEM.asleep(0.002))
    assert SYSTEM.monotonic() - started >= 0.002


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_wait_that_is_over_is_none(seconds: float) -> None:
    before = SYSTEM.monotonic()
    SYSTEM.sleep(seconds)
    asyncio.run(SYSTEM.asleep(seconds))
    assert SYSTEM.monotonic() >= before  # neither refused the wait, nor hung on it


moves_of_clocks = st.tuples(st.sampled_from(["sleep", "asleep", "advance", "set_back"]), st.integers(0, 10**6))


@given(instants, st.lists(moves_of_clocks, max_size=5))
def test_the_fake_clock_moves_only_when_told(start: int, moves: list[tuple[str, int]]) -> None:
    clock = FakeClock(start)
    wall, monotonic = start, 0
    for name, seconds in moves:
        if name == "asleep":
            asyncio.run(clock.asleep(seconds))
        else:
            getattr(clock, name)(seconds)
        wall += seconds * MICROSECONDS * (-1 if name == "set_back" else 1)
        monotonic += 0 if name == "set_back" else seconds
        assert (clock.now(), clock.monotonic()) == (wall, monotonic)


@given(instants)
def test_rfc3339_is_exact_and_sorts_as_the_instants_do(instant: int) -> None:
    text = rfc3339(instant)
    read = datetime.fromisoformat(text)
    assert read.tzinfo == UTC
    whole = (read - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400 + (read.hour * 60 + read.minute) * 60 + read.second
    assert whole * MICROSECONDS + read.microsecond == instant
    assert text < rfc3339(instant + 1)


def test_the_date_is_shown_where_it_is_not_today() -> None:
    now = SYSTEM.now()
    assert datetime.fromtimestamp(now / MICROSECONDS).strftime("%H:%M:%S") == local_time(now) or len(local_time(now)) == 19
    assert local_time(0).startswith(("1970-01-01 ", "1969-12-31 "))
