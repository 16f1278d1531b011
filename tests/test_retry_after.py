"""What a Retry-After header asks for."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.retry_after import retry_after_seconds

NOW = 1_700_000_000_000_000


@given(st.integers(0, 4_000_000_000), st.integers(0, 10**6), st.integers(-(10**9), 10**9))
def test_a_date_is_measured_against_the_answers_own_date(answered: int, wait: int, skew: int) -> None:
    """However wrong the local clock is."""
    until, date = formatdate(answered + wait, usegmt=True), formatdate(answered, usegmt=True)
    assert retry_after_seconds(until, date, now=(answered + skew) * 1_000_000) == wait
    assert retry_after_seconds(date, until, now=0) == 0, "a date that has passed asks for no wait"
    assert retry_after_seconds(until, None, now=answered * 1_000_000) == wait


@given(st.floats(0, 1e9))
def test_seconds_are_taken_as_they_are(seconds: float) -> None:
    assert retry_after_seconds(f" {seconds!r} ", None, 0) == seconds
    assert retry_after_seconds(f"-{seconds + 1!r}", None, 0) == 0


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "1e999", "Wed, 99 Xxx 2015", "12 parsecs", "\x00"])
def test_what_cannot_be_read_is_none(text: str) -> None:
    assert retry_after_seconds(text, None, 0) is None
    assert retry_after_seconds(None, None, 0) is None
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:30 GMT", "rubbish", 0) is None


@given(st.text(), st.none() | st.text())
def test_no_header_is_an_error(value: str, answered: str | None) -> None:
    seconds = retry_after_seconds(value, answered, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
