"""One try of one item → an Outcome. Never raises: whatever a task does, its item gets an answer.

`try_async` and `try_sync` are the hot path of every batch: a task that does nothing must cost next to nothing here.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import os
import traceback
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

from respool import canonical
from respool.batch.context import Context
from respool.batch.declaration import Task
from respool.batch.model import Attempt, Done, Failed, Kind, Outcome
from respool.batch.policy import classify
from respool.batch.tasks import wants_context
from respool.clock import SYSTEM

ContextOf = Callable[[Attempt], Context]
"""Makes the context of an attempt; called only for tasks that want one."""

MAX_MESSAGE = 2_000
MAX_DETAIL = 4_000

# Payloads are canonical text that was checked when it was stored: no blanks, no duplicate keys, nothing to look for.
_parse = json.JSONDecoder().raw_decode
_NOTHING = Done()
_OUR_FOLDER = os.path.dirname(__file__) + os.sep


async def try_async(task: Task, attempt: Attempt, context: ContextOf) -> Outcome:
    """Await the task's coroutine function on the attempt's payload and judge what became of it.

    Never raises, but for a CancelledError that was asked for from outside (`Task.cancel`): the caller knows why.
    """
    function = task.function
    try:
        assert function is not None, f"task {task.name} has no function"
        payload = _parse(attempt.payload)[0]
        call = function(payload, context=context(attempt)) if wants_context(function) else function(payload)
        if task.timeout is not None:
            return await _within(task.timeout, call)
        value = await call
        return _NOTHING if value is None else _answer(value)
    except GeneratorExit:
        raise  # this very coroutine is being thrown away; there is nobody to answer
    except asyncio.CancelledError as error:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        return failure(error)
    except BaseException as error:
        return failure(error)


def try_sync(task: Task, attempt: Attempt, context: ContextOf) -> Outcome:
    """Call the task's function on the attempt's payload, in this thread, and judge what became of it. Never raises."""
    function = task.function
    try:
        assert function is not None, f"task {task.name} has no function"
        payload = _parse(attempt.payload)[0]
        own = copy_context().run  # what this try sets in context variables, no other try sees
        value = own(function, payload, context=context(attempt)) if wants_context(function) else own(function, payload)
        return _NOTHING if value is None else _answer(value)
    except BaseException as error:
        return failure(error)


def failure(error: BaseException) -> Outcome:
    """What an exception of a task means, with its traceback (without our own frames) as the detail."""
    if isinstance(error, MemoryError):
        return Failed(Kind.CRASHED, f"ran out of memory ({type(error).__name__})", detail=_trace(error))
    try:
        outcome = classify(error, SYSTEM.now())
    except Exception:  # its __str__ or its attributes raise; the type is all that is left to say
        return Failed(Kind.RAISED, f"{type(error).__name__} (its message cannot be read)")
    if not isinstance(outcome, Failed):
        return outcome
    return Failed(
        outcome.kind, storable(outcome.message, MAX_MESSAGE), outcome.retry_after, outcome.final, _trace(error)
    )


def storable(text: str, limit: int) -> str:
    """`text` cut to `limit` characters (its end is kept) and free of what UTF-8 cannot hold."""
    if len(text) > limit:
        text = "…" + text[1 - limit :]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


async def _within(timeout: float, call: Awaitable[Any]) -> Outcome:
    try:
        async with asyncio.timeout(timeout) as scope:
            value = await call
    except TimeoutError as error:
        if scope.expired():
            return timed_out(timeout, _trace(error.__context__ or error))
        raise
    return _NOTHING if value is None else _answer(value)


def timed_out(timeout: float, detail: str | None = None) -> Failed:
    """The outcome of a try that took longer than `timeout` seconds."""
    return Failed(Kind.TIMEOUT, f"took longer than its timeout of {timeout:g} s", detail=detail)


def _answer(value: Any) -> Outcome:
    try:
        return Done(canonical.encode(value))
    except canonical.NotCanonical as error:
        if inspect.iscoroutine(value):
            value.close()
            why = "the task returned a coroutine that nobody awaited; make it an async def"
        else:
            why = _offender(value, "$", 0) or f"the result is no JSON: {error}"
        return Failed(Kind.INVALID, storable(why, MAX_MESSAGE), final=True)


def _offender(value: Any, place: str, depth: int) -> str | None:
    """A sentence about the first part of `value` that JSON cannot hold; `place` is where we are in the result."""
    if depth > 100:
        return f"the result is no JSON: it is nested too deeply, or in itself, at {place[:60]}"
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                return f"the result is no JSON: {place} has a key of type {type(key).__name__} ({key!r}), not text"
            if (found := _offender(inner, f"{place}.{key}", depth + 1)) is not None:
                return found
        return None
    if isinstance(value, (list, tuple)):
        numbered = (_offender(inner, f"{place}[{number}]", depth + 1) for number, inner in enumerate(value))
        return next((found for found in numbered if found is not None), None)
    if isinstance(value, float) and not math.isfinite(value):
        return f"the result is no JSON: {place} is {value!r}"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return f"the result is no JSON: {place} is text with a lone surrogate"
    if value is None or isinstance(value, (bool, int, float, str)):
        return None
    return f"the result is no JSON: {place} is of type {type(value).__name__}"


def _trace(error: BaseException) -> str:
    """The traceback as text, from the task's own first frame on; the end of it if it is long."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_OUR_FOLDER):
        frame = frame.tb_next
    try:
        lines = traceback.TracebackException(type(error), error, frame, compact=True).format()
        return storable("".join(lines).rstrip(), MAX_DETAIL)
    except Exception:  # an exception whose own text cannot be made
        return type(error).__name__
