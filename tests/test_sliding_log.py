"""The arithmetic of one key's log, where a Pace would need too many writes to show it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from respool.sliding_log import SlidingLog

DAY = 86400 * 10**6


def filled(ends: int, step: int) -> SlidingLog:
    """A log of `ends` requests that ended one by one, `step` microseconds apart, from 0 on."""
    log = SlidingLog("api")
    log.take("me", ends, DAY, 0)
    for n in range(ends):
        log.hand_back("me", 1, n * step, used=True)
    return log


def test_a_very_long_log_stays_small_and_strict() -> None:
    log = filled(100_000, 10**6)
    assert len(log.encode()) < 1 << 19
    now = 100_000 * 10**6
    exact = sum(n * 10**6 > now - DAY for n in range(100_000))
    assert 0 <= 200_000 - log.free(200_000, DAY, now) - exact <= 100  # never counts fewer than there were
    assert log.free(1000, 500 * 10**6, now) == 1000 - 499  # the young half is exact


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(0, 10**6), st.integers(0, 10**9))
def test_bytes_are_read_back(ends: int, step: int, closed: int) -> None:
    log = filled(ends, step)
    log.close(5, closed, "because ✓\n")
    again = SlidingLog.decode(log.encode(), "api")
    log.changed = False
    assert again == log


def test_until_so_many_slots_are_free() -> None:
    log = filled(2, 10 * 10**6)  # ended at 0 and 10 s
    assert [log.until(slots, 3, 60 * 10**6, 15 * 10**6) for slots in (1, 2, 3)] == [0.0, 45.0, 55.0]
    assert log.wait(2, 60 * 10**6, 15 * 10**6) == 45.0
