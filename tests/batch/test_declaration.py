"""What a task declares: refused when it cannot be, and the same again after its way through the spool."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.batch.declaration import Batch, Command, Mode, Task
from respool.batch.model import Kind
from respool.batch.policy import Breaker, Retry
from respool.errors import UsageError
from respool.pace import Limit

texts = st.text(max_size=8)
seconds = st.floats(0.001, 1e9)
retries = st.builds(
    Retry, attempts=st.integers(1, 99), crashes=st.integers(1, 9), base=st.floats(0, 1e3), cap=st.floats(0, 1e4),
    jitter=st.floats(0, 1), waiting=st.floats(0, 1e6), kinds=st.frozensets(st.sampled_from(Kind)),
)  # fmt: skip
commands = st.builds(
    Command, st.lists(texts, min_size=1, max_size=4).map(tuple), st.none() | texts, st.lists(texts, max_size=2).map(tuple),
    st.none() | texts, st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
)  # fmt: skip
some_limits = [Limit("api", "30/min"), Limit("other", "1/2s, 1000/day"), Limit("free", "unlimited")]
limits = st.lists(st.sampled_from(some_limits), max_size=2, unique=True).map(tuple)
tasks = st.builds(
    Task, st.just("m:f"), st.sampled_from([Mode.PROCESS, Mode.COMMAND]), st.text(min_size=1, max_size=3), retries,
    st.builds(Breaker, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), st.none() | seconds,
    st.none() | st.integers(1, 1 << 40), limits, seconds, st.booleans(), st.none() | commands, st.none() | texts,
    batch=st.none() | st.builds(Batch, st.integers(1, 99), st.floats(0, 60)),
    follows_as=st.sampled_from([None, "after {parent}"]),
)  # fmt: skip


@given(tasks)
def test_a_task_is_the_same_after_its_way_through_the_spool(task: Task) -> None:
    stored = json.dumps(task.to_settings(), allow_nan=False)
    assert Task.from_settings(task.name, task.version, json.loads(stored)) == task


@pytest.mark.parametrize("mode", [Mode.PROCESS, Mode.ASYNC, Mode.COMMAND])
@pytest.mark.parametrize("value", [0, -1, 0.0, math.nan])
@pytest.mark.parametrize("name", ["timeout", "memory"])
def test_what_is_no_amount_is_refused_with_the_task_and_the_value(name: str, value: Any, mode: Mode) -> None:
    with pytest.raises(UsageError, match=f"{name} must be") as refused:
        Task("m:f", mode, **{name: value})
    assert repr(value) in refused.value.what
    assert refused.value.where == "task m:f"


def test_what_a_mode_cannot_do_is_refused_with_the_way_out() -> None:
    for mode, name in ((Mode.THREAD, "timeout"), (Mode.THREAD, "memory"), (Mode.ASYNC, "memory")):
        with pytest.raises(UsageError, match="cannot declare") as refused:
            Task("m:f", mode, **{name: 5})
        assert refused.value.why
        assert "process" in (refused.value.command or "")
    assert Task("m:f", Mode.ASYNC, timeout=5).timeout == 5
    for mode in (Mode.PROCESS, Mode.COMMAND):
        assert Task("m:f", mode, timeout=5, memory=5).memory == 5


def test_the_function_is_no_part_of_what_a_task_is() -> None:
    task = Task("m:f", Mode.PROCESS)
    assert replace(task, function=print, expand=print) == task
    assert "function" not in json.dumps(task.to_settings())


@pytest.mark.parametrize(("size", "delay"), [(0, 1.0), (-1, 0.0), (5, -0.1), (5, math.inf), (5, math.nan)])
def test_a_batch_has_a_start_and_a_wait_that_ends(size: int, delay: float) -> None:
    with pytest.raises(UsageError, match="a batch has at least 1 start"):
        Batch(size, delay)
