"""Which tasks may be submitted, and what their payloads must look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from respool.errors import TaskNotFound, UsageError
from respool.web.problems import Problem
from respool.web.registered import RegisteredTasks

TASKS = """
from typing import TYPE_CHECKING, Annotated, Literal
from typing_extensions import TypedDict
from pydantic import Field
if TYPE_CHECKING:
    from nowhere import Thing

class Row(TypedDict):
    name: str
    sizes: list[Annotated[int, Field(ge=0)]]
    kind: Literal["a", "b"]

def typed(row: Row): ...
def counts(numbers: dict[str, int], context): ...
def bare(anything): ...
def imported(thing: "Thing"): ...
def formless(call: object()): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "registered_tasks.py").write_text(TASKS)
    return tmp_path


def faults(folder: Path, name: str, payload: Any) -> list[tuple[str | None, str]]:
    tasks = RegisteredTasks([f"registered_tasks:{name}"], folder)
    return [(fault.pointer, fault.detail) for fault in tasks.of(f"registered_tasks:{name}", "/task").faults(payload, "/p")]


def test_a_payload_that_fits(folder: Path) -> None:
    assert faults(folder, "typed", {"name": "x", "sizes": [1, 2], "kind": "a"}) == []
    assert faults(folder, "counts", {"a": 1}) == []
    for name in ("bare", "imported"):
        for payload in (None, 1, "x", [], {"a": [None]}):
            assert faults(folder, name, payload) == []


def test_a_payload_that_does_not(folder: Path) -> None:
    found = faults(folder, "typed", {"sizes": ["1", -2], "kind": "c"})
    assert {pointer for pointer, _ in found} == {"/p/name", "/p/sizes/0", "/p/sizes/1", "/p/kind"}
    assert [pointer for pointer, _ in faults(folder, "counts", {"a/b": 1.5})] == ["/p/a~1b"]
    assert faults(folder, "bare", float("nan"))


def test_the_schema(folder: Path) -> None:
    both = RegisteredTasks(["registered_tasks:typed", "registered_tasks:bare"], folder)
    tasks = {task.name: task.schema() for task in both}
    assert tasks["registered_tasks:typed"]["required"] == ["name", "sizes", "kind"]
    assert tasks["registered_tasks:typed"]["properties"]["kind"]["enum"] == ["a", "b"]
    assert tasks["registered_tasks:bare"] == {}


def test_what_cannot_be_registered(folder: Path) -> None:
    with pytest.raises(TaskNotFound, match="no function 'nobody'"):
        RegisteredTasks(["registered_tasks:nobody"], folder)
    with pytest.raises(UsageError, match="has no JSON schema"):
        RegisteredTasks(["registered_tasks:formless"], folder)
    with pytest.raises(Problem, match="no registered task"):
        RegisteredTasks([], folder).of("os:system", "/task")
