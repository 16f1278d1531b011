"""One try → one outcome, whatever the task does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool import canonical
from respool.batch.context import Context
from respool.batch.declaration import Mode, Task
from respool.batch.execute import MAX_DETAIL, MAX_MESSAGE, try_async, try_sync
from respool.batch.model import Attempt, Done, Failed, Kind, Later, Outcome, Skipped, outcome_to_data
from respool.errors import GiveUp, RetryLater, SkipItem

ATTEMPT = Attempt(item=5, number=2, job=1, key="k", payload='{"a":[1,2.5,"ä"]}', fingerprint="f" * 32, nonce="n")


def no_context(attempt: Attempt) -> Context:
    raise AssertionError("a context was made for a task that wants none")


def make_context(attempt: Attempt) -> Context:
    return Context(attempt, "spool", Path("/nowhere"), lambda text: None)


def tried(body: Callable[[Any], Any], context: Any = no_context, **options: Any) -> Outcome:
    """The outcome of `body`, tried as a plain function and as a coroutine function: always the same."""

    async def coroutine(payload: Any) -> Any:
        return body(payload)

    plain = try_sync(Task("m:f", Mode.PROCESS, function=body), ATTEMPT, context)
    awaited = asyncio.run(try_async(Task("m:f", Mode.ASYNC, function=coroutine, **options), ATTEMPT, context))
    assert type(plain) is type(awaited)
    if isinstance(plain, Failed) and isinstance(awaited, Failed):
        assert (plain.kind, plain.message, plain.final) == (awaited.kind, awaited.message, awaited.final)
    else:
        assert plain == awaited
    canonical.encode(outcome_to_data(plain)).encode()  # every outcome can be stored
    canonical.encode(outcome_to_data(awaited)).encode()
    return plain


def raiser(error: BaseException) -> Callable[[Any], Any]:
    def body(payload: Any) -> Any:
        raise error

    return body


def test_the_payload_arrives_and_the_result_comes_back() -> None:
    assert tried(lambda payload: payload) == Done(ATTEMPT.payload)
    assert tried(lambda payload: None) == Done(None)
    assert tried(lambda payload: (0, False, "", {})) == Done('[0,false,"",{}]')
    assert tried(lambda payload: payload, timeout=30) == Done(ATTEMPT.payload)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, {2}]}, "$.a[1] is of type set"),
        ({"rows": [{"x": float("nan")}]}, "$.rows[0].x is nan"),
        ({1: "a"}, "$ has a key of type int (1), not text"),
        ([{"a": {None: 1}}], "$[0].a has a key of type NoneType"),
        (b"bytes", "$ is of type bytes"),
        (["\ud800"], "$[0] is text with a lone surrogate"),
        (Path("/x"), "$ is of type PosixPath"),
    ],
)
def test_a_result_that_is_no_json_is_invalid_and_says_where(value: Any, said: str) -> None:
    outcome = tried(lambda payload: value)
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.INVALID
    assert outcome.final
    assert said in outcome.message


def test_a_result_within_itself_is_invalid() -> None:
    loop: list[Any] = []
    loop.append(loop)
    outcome = tried(lambda payload: loop)
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.INVALID


def test_a_forgotten_await_is_said() -> None:
    async def inner() -> None: ...

    outcome = tried(lambda payload: inner())
    assert isinstance(outcome, Failed)
    assert "coroutine" in outcome.message


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Spiteful(Exception):
    @property
    def response(self) -> Any:
        raise KeyError("response")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("bad"), Kind.RAISED, "ValueError: bad"),
        (SystemExit(2), Kind.RAISED, "SystemExit: 2"),
        (KeyboardInterrupt(), Kind.RAISED, "KeyboardInterrupt"),
        (MemoryError(), Kind.CRASHED, "ran out of memory (MemoryError)"),
        (TimeoutError("slow"), Kind.TIMEOUT, "TimeoutError: slow"),
        (ConnectionRefusedError("no"), Kind.UNAVAILABLE, "ConnectionRefusedError: no"),
        (asyncio.CancelledError("own"), Kind.RAISED, "CancelledError: own"),
        (StopIteration(1), Kind.RAISED, None),
        (Unreadable(), Kind.RAISED, "Unreadable (its message cannot be read)"),
        (Spiteful("x"), Kind.RAISED, None),
        (ValueError("\ud800"), Kind.RAISED, "ValueError: \\ud800"),
    ],
)
def test_every_exception_becomes_an_outcome(error: BaseException, kind: Kind, message: str | None) -> None:
    if isinstance(error, StopIteration):  # Python turns it into a RuntimeError inside a coroutine
        outcome = try_sync(Task("m:f", Mode.PROCESS, function=raiser(error)), ATTEMPT, no_context)
    else:
        outcome = tried(raiser(error))
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind
    assert message is None or outcome.message == message


def test_signals_of_the_task() -> None:
    assert tried(raiser(SkipItem("empty"))) == Skipped("empty")
    assert tried(raiser(RetryLater(7, "busy"))) == Later(7.0, "busy")
    outcome = tried(raiser(GiveUp("never")))
    assert isinstance(outcome, Failed)
    assert outcome.final


def test_the_detail_is_the_task_s_own_traceback() -> None:
    def deep(payload: Any) -> Any:
        return inner(payload)

    def inner(payload: Any) -> Any:
        raise ValueError("here")

    outcome = tried(deep)
    assert isinstance(outcome, Failed)
    detail = outcome.detail or ""
    assert detail.splitlines()[0] == "Traceback (most recent call last):"
    assert "in deep" in detail
    assert detail.endswith("ValueError: here")
    assert "respool/batch/execute.py" not in detail


def test_long_texts_are_cut_and_keep_their_end() -> None:
    outcome = tried(raiser(ValueError("x" * 100_000 + "the end")))
    assert isinstance(outcome, Failed)
    assert len(outcome.message) == MAX_MESSAGE
    assert outcome.message.endswith("the end")
    assert len(outcome.detail or "") <= MAX_DETAIL
    assert (outcome.detail or "").endswith("the end")


def test_the_context_is_given_only_to_those_who_ask() -> None:
    assert tried(lambda payload, context=None: None, context=make_context) == Done(None)

    def positional(payload: Any, context: Context) -> Any:
        return [context.key, context.attempt]

    def keyword(payload: Any, *, context: Context) -> Any:
        return [context.key, context.attempt]

    async def coroutine(payload: Any, context: Context) -> Any:
        return [context.key, context.attempt]

    for function in (positional, keyword):
        task = Task("m:f", Mode.PROCESS, function=function)
        assert try_sync(task, ATTEMPT, make_context) == Done('["k",2]')
    task = Task("m:f", Mode.ASYNC, function=coroutine, timeout=30)
    assert asyncio.run(try_async(task, ATTEMPT, make_context)) == Done('["k",2]')


def test_a_first_parameter_called_context_is_the_payload() -> None:
    def odd(context: Any) -> Any:
        return context

    assert try_sync(Task("m:f", Mode.PROCESS, function=odd), ATTEMPT, no_context) == Done(ATTEMPT.payload)


def test_a_timeout_cancels_and_says_so() -> None:
    cleaned = []

    async def slow(payload: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    outcome = asyncio.run(try_async(Task("m:f", Mode.ASYNC, function=slow, timeout=0.01), ATTEMPT, no_context))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.final, cleaned) == (Kind.TIMEOUT, False, [True])
    assert "0.01 s" in outcome.message
    assert "in slow" in (outcome.detail or "")


def test_a_cancellation_from_outside_goes_through() -> None:
    async def run() -> None:
        async def slow(payload: Any) -> None:
            await asyncio.sleep(60)

        trying = asyncio.ensure_future(try_async(Task("m:f", Mode.ASYNC, function=slow), ATTEMPT, no_context))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying

    asyncio.run(run())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\u00e4", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_any_json_comes_back_as_it_went(value: Any) -> None:
    attempt = ATTEMPT._replace(payload=canonical.encode(value))
    outcome = try_sync(Task("m:f", Mode.PROCESS, function=lambda payload: payload), attempt, no_context)
    assert outcome == (Done(None) if value is None else Done(canonical.encode(value)))


ANYTHING = st.recursive(
    st.none() | st.floats() | st.binary(max_size=3) | st.just(...) | st.text(st.characters(), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(ANYTHING)
def test_any_result_at_all_has_an_outcome_that_can_be_stored(value: Any) -> None:
    outcome = try_sync(Task("m:f", Mode.PROCESS, function=lambda payload: value), ATTEMPT, no_context)
    assert isinstance(outcome, Done) or (isinstance(outcome, Failed) and outcome.kind is Kind.INVALID)
    canonical.encode(outcome_to_data(outcome)).encode()
