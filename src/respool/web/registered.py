"""The tasks that may be submitted over HTTP, each with the JSON schema that its payloads must fit.

The schema comes from the annotation of the task's first parameter, read by pydantic: a TypedDict, `dict[str, int]`,
`Literal["a", "b"]`. Without an annotation any JSON is taken. The task gets what was sent, as it was sent.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from respool import canonical
from respool.batch.declaration import Task
from respool.batch.tasks import resolve
from respool.errors import UsageError
from respool.web.problems import Fault, Problem, escaped


@dataclass(frozen=True, slots=True)
class RegisteredTask:
    """A task that may be submitted, and what checks its payloads."""

    task: Task
    payload: TypeAdapter[Any]

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def summary(self) -> str | None:
        """The first line of the function's docstring."""
        text = inspect.getdoc(self.task.function) if self.task.function is not None else None
        return text.splitlines()[0] if text else None

    def schema(self, ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
        """The JSON schema of a payload."""
        return self.payload.json_schema(ref_template=ref_template)

    def faults(self, payload: Any, pointer: str) -> Iterator[Fault]:
        """What is wrong with a payload that stands at `pointer` of the body; nothing if it fits.

        Strictly as JSON: the task gets what was sent, so "1" is no number here.
        """
        try:
            self.payload.validate_json(canonical.encode(payload), strict=True)
        except canonical.NotCanonical as error:
            yield Fault(pointer=pointer, detail=str(error))
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                place = "".join(f"/{escaped(part)}" for part in found["loc"])
                yield Fault(pointer=pointer + place, detail=found["msg"])


class RegisteredTasks:
    """All of them by name. Raises TaskNotFound for a path that leads nowhere, UsageError for an annotation that says no
    form of JSON.

    >>> RegisteredTasks(["no.such:task"], Path("."))
    Traceback (most recent call last):
    respool.errors.TaskNotFound: no module 'no'
    ...
    """

    def __init__(self, paths: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self._tasks = {found.name: found for found in (_registered(path, folder) for path in paths)}

    def __iter__(self) -> Iterator[RegisteredTask]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def of(self, name: object, pointer: str) -> RegisteredTask:
        """The task of this name; `pointer` is where the body names it. Raises Problem for any other."""
        found = self._tasks.get(name) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(self._tasks) or "none"
            raise Problem(
                422, f"{name!r} is no registered task", kind="unknown-task", why=f"registered: {known}",
                then="name it under tasks in [tool.respool.serve] of the server's pyproject.toml",
                errors=[Fault(pointer=pointer, detail="is no registered task")],
            )  # fmt: skip
        return found


def _registered(path: str, folder: Path) -> RegisteredTask:
    task = resolve(path, folder=folder)
    annotation = _payload_annotation(task)
    try:
        adapter = TypeAdapter[Any](annotation)
        adapter.json_schema()
    except (PydanticUserError, NameError) as error:
        raise UsageError(
            f"the payload of {path!r} has no JSON schema: {str(error).splitlines()[0]}",
            where=f"the annotation {annotation!r} of its first parameter",
            command="annotate it with dict[str, ...], or with a TypedDict (of typing_extensions before Python 3.12)",
        ) from None  # fmt: skip
    return RegisteredTask(task, adapter)


def _payload_annotation(task: Task) -> Any:
    function = task.function
    if function is None:
        return Any
    plain = inspect.unwrap(function)
    names = list(inspect.signature(plain).parameters)
    try:
        hints = typing.get_type_hints(plain, include_extras=True)
    except NameError:
        return Any  # the annotation is for type checkers only: it names what is not there at run time
    return hints.get(names[0], Any) if names else Any
