"""The pieces of what is to be submitted."""

from __future__ import annotations

import pytest

from respool.batch.declaration import Mode
from respool.cli.wanted import check_workers, command_task, limits_of, split_limit
from respool.errors import UsageError


def test_a_command_is_known_by_its_line() -> None:
    task = command_task(["sh", "-c", "echo {}"], cwd="/x")
    assert (task.name, task.mode) == ("command:sh -c 'echo {}'", Mode.COMMAND)
    assert task.command is not None
    assert task.command.argv == ("sh", "-c", "echo {}")


def test_limits_are_gathered_by_key() -> None:
    pairs = [split_limit(text) for text in ("30/min", "openai=1/s", "1000/day", "openai=20/min")]
    assert {limit.key: str(limit) for limit in limits_of(pairs, "t:f")} == {
        "t:f": "30/min, 1000/day", "openai": "1/s, 20/min",
    }  # fmt: skip


def test_a_long_command_still_has_a_key() -> None:
    (limit,) = limits_of([(None, "1/s")], "command:" + "x" * 300)
    assert len(limit.key) <= 200
    (other,) = limits_of([(None, "1/s")], "command:a\nb")
    assert other.key.isprintable()


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "dask://", 0, True, "http://x"])
def test_workers_that_are_none(value: int | str) -> None:
    with pytest.raises(UsageError, match="workers"):
        check_workers(value)
