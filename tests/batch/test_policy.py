"""How failures are judged: budgets and waits, the breaker, concurrency, Retry-After, and what an exception means."""

from __future__ import annotations

import json
import math
import socket
import urllib.error
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from respool.batch.model import Failed, Kind, Later, Skipped
from respool.batch.policy import FINAL_KINDS, Breaker, Concurrency, Retry, classify
from respool.errors import GiveUp, RetryLater, SkipItem, UsageError

NOW = 1_700_000_000_000_000
retries = st.builds(Retry, base=st.floats(0, 1e6), cap=st.floats(0, 1e6), jitter=st.floats(0, 1))
chances = st.floats(0, 1, exclude_max=True)


# ── retry ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(retries, st.integers(1, 10_000), chances)
def test_a_wait_lies_within_jitter_and_cap(retry: Retry, failures: int, chance: float) -> None:
    plain = min(retry.cap, retry.base * 2.0 ** min(failures - 1, 60))
    wait = retry.wait(failures, chance)
    assert 0 <= wait <= retry.cap
    slack = 1e-9 * max(1.0, plain)
    assert plain * (1 - retry.jitter) - slack <= wait <= plain * (1 + retry.jitter) + slack


@given(retries, st.integers(1, 200), chances, chances)
def test_waits_grow_with_failures_and_with_chance(retry: Retry, failures: int, one: float, other: float) -> None:
    assert retry.wait(failures, one) <= retry.wait(failures + 1, one)
    assert retry.wait(failures, min(one, other)) <= retry.wait(failures, max(one, other))


def test_the_wait_doubles_until_the_cap() -> None:
    retry = Retry(base=1, cap=60, jitter=0)
    assert [retry.wait(number, 0.7) for number in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert {Retry(base=1, jitter=0.5).wait(1, chance) for chance in (0.0, 0.5)} == {0.5, 1.0}


@given(
    st.sampled_from(["attempts", "crashes", "base", "cap", "jitter", "waiting"]),
    st.sampled_from([-1, -0.1, math.nan, math.inf, "3", None, True, [1]]) | st.floats(max_value=-1e-9),
)
def test_a_retry_that_makes_no_sense_is_refused_by_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"retry\.{name} must be") as refused:
        Retry(**{name: value})
    assert repr(value) in refused.value.what


@pytest.mark.parametrize(("name", "value"), [("attempts", 0), ("crashes", 0), ("jitter", 1.01)])
def test_budgets_begin_at_one_and_jitter_ends_at_one(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"retry.{name}"):
        Retry(**{name: value})


@given(retries)
def test_a_policy_is_plain_json(retry: Retry) -> None:
    """What goes into the spool must be JSON by the strict reading that SQLite's own functions have."""
    written = [retry.base, retry.cap, retry.jitter, retry.waiting]
    assert json.loads(json.dumps(written, allow_nan=False)) == written


@pytest.mark.parametrize(
    ("told", "wait"), [(1800, 1800.0), (1.5, 1.5), ("30", 30.0), (True, None), (None, None), ("soon", None)]
)
def test_an_exception_may_say_itself_how_long_to_wait(told: object, wait: float | None) -> None:
    error = Exception("slow down")
    error.status_code, error.retry_after = 429, told  # type: ignore[attr-defined]
    outcome = classify(error, 0)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retry_after) == (Kind.RATE_LIMITED, wait)


def test_what_gives_the_same_answer_again_is_not_tried_again() -> None:
    assert {Kind.INVALID, Kind.REFUSED, Kind.TRUNCATED, Kind.NOT_RECORDED} == FINAL_KINDS
    assert Retry().kinds == set(Kind) - FINAL_KINDS


# ── the breaker, concurrency ─────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_the_breaker_has_a_threshold_for_each_kind_that_tells_of_the_service(a: int, b: int, c: int) -> None:
    breaker = Breaker(unauthorised=a, quota=b, unavailable=c)
    told = {kind: breaker.threshold(kind) for kind in Kind}
    assert (told.pop(Kind.UNAUTHORISED), told.pop(Kind.QUOTA), told.pop(Kind.UNAVAILABLE)) == (a, b, c)
    assert set(told.values()) == {0}
    assert breaker.threshold(None) == 0


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=300))
def test_concurrency_halves_on_a_throttle_and_stays_between_one_and_its_ceiling(ceiling: int, history: list[bool]) -> None:
    allowed = Concurrency(ceiling)
    assert allowed.limit == ceiling
    for throttled in history:
        before = allowed.limit
        if throttled:
            allowed.throttled()
            assert allowed.limit == max(1, before // 2)
        else:
            allowed.succeeded()
            assert before <= allowed.limit <= before + 1
        assert 1 <= allowed.limit <= ceiling


@given(st.integers(2, 32))
def test_it_takes_a_round_of_successes_to_win_one_place_back(ceiling: int) -> None:
    allowed = Concurrency(ceiling)
    allowed.throttled()
    limit = allowed.limit
    for _ in range(limit - 1):
        allowed.succeeded()
    assert allowed.limit == limit
    allowed.succeeded()
    assert allowed.limit == limit + 1
    for _ in range(ceiling * ceiling):
        allowed.succeeded()
    assert allowed.limit == ceiling


# ── what an exception means ──────────────────────────────────────────────────────────────────────────────────────────


class Answered(Exception):
    """An error of some client: a status here or on its response, with headers or without."""

    def __init__(self, text: str = "", **attributes: Any) -> None:
        super().__init__(text)
        vars(self).update(attributes)


def kind_of(error: BaseException) -> Kind:
    outcome = classify(error, NOW)
    assert isinstance(outcome, Failed)
    return outcome.kind


STATUSES = {
    400: Kind.RAISED, 401: Kind.UNAUTHORISED, 402: Kind.QUOTA, 403: Kind.UNAUTHORISED, 404: Kind.RAISED, 408: Kind.TIMEOUT,
    409: Kind.RAISED, 422: Kind.INVALID, 429: Kind.RATE_LIMITED, 500: Kind.UNAVAILABLE, 502: Kind.UNAVAILABLE,
    503: Kind.UNAVAILABLE, 504: Kind.UNAVAILABLE, 529: Kind.UNAVAILABLE, 599: Kind.UNAVAILABLE,
}  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
@pytest.mark.parametrize("name", ["status_code", "status", "code"])
def test_a_status_decides_wherever_a_client_keeps_it(status: int, kind: Kind, name: str) -> None:
    assert kind_of(Answered(**{name: status})) is kind
    assert kind_of(Answered(response=SimpleNamespace(**{name: status}))) is kind
    outer = ValueError("wrapped")
    outer.__cause__ = Answered(**{name: status})
    assert kind_of(outer) is kind


@given(st.integers() | st.booleans() | st.text(max_size=3) | st.none())
def test_what_is_no_status_of_a_failure_is_none(code: Any) -> None:
    assume(not (isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599))
    assert kind_of(Answered(code=code, status=code)) is Kind.RAISED


def test_no_money_left_is_no_rate_limit() -> None:
    assert kind_of(Answered("Error: insufficient_quota", status_code=429)) is Kind.QUOTA
    assert kind_of(Answered("too fast", status_code=429)) is Kind.RATE_LIMITED


@pytest.mark.parametrize("headers", [{"Retry-After": "7"}, {"retry-after": 7}, [("x", 1)], None, "text", 7])
def test_a_throttled_answers_wait_is_kept(headers: Any) -> None:
    waits = 7.0 if isinstance(headers, dict) else None
    for error in (
        Answered(status_code=429, headers=headers),
        Answered(response=SimpleNamespace(status_code=429, headers=headers)),
        Answered(status_code=429, response=SimpleNamespace(headers=headers)),
    ):
        outcome = classify(error, NOW)
        assert isinstance(outcome, Failed)
        assert outcome.retry_after == waits


NAMES: list[tuple[BaseException, Kind]] = [
    (TimeoutError("slow"), Kind.TIMEOUT),
    (ConnectionRefusedError("nobody there"), Kind.UNAVAILABLE),
    (ConnectionResetError(), Kind.UNAVAILABLE),
    (socket.gaierror(-2, "Name or service not known"), Kind.UNAVAILABLE),
    (urllib.error.URLError("no route"), Kind.UNAVAILABLE),
    (json.JSONDecodeError("Expecting value", "x", 0), Kind.INVALID),
    (ValueError("mine"), Kind.RAISED),
    (KeyError("k"), Kind.RAISED),
    (OSError(28, "No space left on device"), Kind.RAISED),
    *((type(name, (Exception,), {})(), kind) for kind, names in {
        Kind.TIMEOUT: "ReadTimeout ConnectTimeout APITimeoutError TimeoutException Timeout",
        Kind.UNAVAILABLE: "ConnectError APIConnectionError ClientConnectionError RemoteProtocolError NetworkError",
        Kind.INVALID: "ValidationError",
        Kind.NOT_RECORDED: "RequestNotRecorded",
    }.items() for name in names.split()),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind"), NAMES, ids=[type(error).__name__ for error, _ in NAMES])
def test_what_has_no_status_is_judged_by_its_classes(error: BaseException, kind: Kind) -> None:
    assert kind_of(error) is kind
    silent = {"__init__": lambda self: None, "__str__": lambda self: ""}
    assert kind_of(type("Own", (type(error),), silent)()) is kind, "and by its base classes"


def test_the_causes_are_followed_as_python_shows_them() -> None:
    def chain(*, hide: bool) -> BaseException:
        try:
            try:
                raise Answered(status_code=503)
            except Answered:
                if hide:
                    raise ValueError("mine") from None
                raise ValueError("mine")  # noqa: B904
        except ValueError as error:
            return error

    assert kind_of(chain(hide=False)) is Kind.UNAVAILABLE
    assert kind_of(chain(hide=True)) is Kind.RAISED


def test_a_ring_of_causes_ends() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert kind_of(one) is Kind.RAISED


def test_a_tasks_own_word_is_taken() -> None:
    assert classify(SkipItem("empty"), NOW) == Skipped("empty")
    assert classify(RetryLater(30, "busy"), NOW) == Later(30.0, "busy")
    assert classify(RetryLater(-5), NOW) == Later(0.0, "asked to be tried later")
    given_up = classify(GiveUp("hopeless"), NOW)
    assert given_up == Failed(Kind.RAISED, "hopeless", final=True)


def test_a_message_names_the_type_and_says_what_the_error_says() -> None:
    outcomes = [classify(error, NOW) for error in (ValueError("no"), ValueError(), Answered("x", code=500))]
    assert [one.message for one in outcomes if isinstance(one, Failed)] == ["ValueError: no", "ValueError", "Answered: x"]
