"""The published document of a job: what we write fits the schema, and our own reader reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from program import Folder

from respool.batch.model import ItemState
from respool.cli.jobs_show import read_document
from respool.errors import UsageError

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "jobs-show.schema.json").read_text("utf-8"))
TYPES: dict[str, type] = {
    "object": dict, "string": str, "integer": int, "boolean": bool, "array": list, "null": type(None),
}  # fmt: skip


def misfits(value: Any, schema: dict[str, Any], where: str = "$") -> Iterator[str]:
    """What of `value` does not fit `schema`, as far as our own schema uses the language."""
    if "$ref" in schema:
        yield from misfits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], where)
    if "anyOf" in schema and all(list(misfits(value, each, where)) for each in schema["anyOf"]):
        yield f"{where}: {value!r} fits none"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and type(value) not in {TYPES[kind] for kind in kinds}:
        yield f"{where}: {value!r} is no {kinds}"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r}"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        yield from (f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value)
        for name, each in value.items():
            if name in properties:
                yield from misfits(each, properties[name], f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                yield f"{where}: {name} is not in the schema"
    if isinstance(value, list) and "items" in schema:
        for number, each in enumerate(value):
            yield from misfits(each, schema["items"], f"{where}[{number}]")


def test_the_checker_sees_misfits() -> None:
    assert len(list(misfits({"schema_version": 2, "more": 1, "failed": [1]}, SCHEMA))) > 8


def test_what_we_write_fits_and_is_read(folder: Folder) -> None:
    folder.items(a=1, b=-1, c=3)
    folder.run("run", "tasks.py:square", "--items", "items.jsonl", "--only", "a", "--only", "b", code=1)
    text = folder.run("jobs", "show", "1", "--json", "--keys", code=0).out
    assert not list(misfits(json.loads(text), SCHEMA))
    progress = read_document(text)
    assert progress.lists == {
        "queued_items": ["c"], "current_items": [], "interrupted_items": [], "completed": ["a"], "failed": ["b"],
        "skipped": [],
    }  # fmt: skip
    assert progress.counts[ItemState.FAILED] == 1
    assert not progress.finished
    assert progress.parallel == 1
    without = folder.run("jobs", "show", "1", "--json", code=0).out
    assert not list(misfits(json.loads(without), SCHEMA))
    assert read_document(without).lists is None


def test_a_job_that_runs(folder: Folder, until: Callable[[Callable[[], bool]], None]) -> None:
    folder.write("items.jsonl", '{"key": "a", "n": 1, "wait_for": "go"}\n')
    program = folder.start("run", "tasks.py:square", "--items", "items.jsonl")
    until(lambda: folder.calls == ["a"])
    data = folder.run("jobs", "show", "1", "--json", "--keys", code=0).data
    folder.write("go", "")
    program.communicate(timeout=60)
    assert not list(misfits(data, SCHEMA))
    assert (data["runner_alive"], data["pid"], data["current_items"]) == (True, program.pid, ["a"])
    assert data["job"]["state"] == "running"


def test_what_a_killed_runner_left_is_interrupted(folder: Folder, until: Callable[[Callable[[], bool]], None]) -> None:
    folder.write("items.jsonl", "".join(f'{{"key": "{key}", "n": 1, "wait_for": "go"}}\n' for key in "abc"))
    program = folder.start("run", "tasks.py:square", "--items", "items.jsonl", "--workers", "2")
    until(lambda: len(folder.calls) == 2)
    assert "2 running, 1 pending" in folder.run("jobs", code=0).out
    assert folder.run("jobs", "items", "1", "--state", "interrupted", code=0).out == ""
    program.kill()
    program.communicate(timeout=60)
    listed = folder.run("jobs", code=0).out
    assert "interrupted  tasks.py:square items.jsonl  2 interrupted, 1 pending" in listed
    assert "items    2 interrupted, 1 pending" in folder.run("jobs", "show", "1", code=0).out
    data = folder.run("jobs", "show", "1", "--json", "--keys", code=0).data
    assert not list(misfits(data, SCHEMA))
    assert (data["counts"]["running"], data["counts"]["interrupted"], data["job"]["counts"]["interrupted"]) == (0, 2, 2)
    assert (data["current_items"], sorted(data["interrupted_items"])) == ([], ["a", "b"])
    assert not read_document(json.dumps(data)).finished
    assert folder.states() == {"a": "interrupted", "b": "interrupted", "c": "pending"}
    assert len(folder.run("jobs", "items", "1", "--state", "interrupted", code=0).out.splitlines()) == 2
    assert folder.run("jobs", "items", "1", "--state", "running", code=0).out == ""


def test_for_people(folder: Folder) -> None:
    folder.items(a=1, b=-1)
    folder.run("run", "tasks.py:square", "--items", "items.jsonl", code=1)
    shown = folder.run("jobs", "show", "1", "--keys", code=0).out
    assert "items    1 done, 1 failed (raised 1)" in shown
    assert "completed:\n  a\n" in shown


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": 1, "counts": {"x": 1}}'])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no document"):
        read_document(text)
