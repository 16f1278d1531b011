"""What a command is declared as, made into what is run: templates filled from an item, and what can be checked before."""

from __future__ import annotations

import os
import shutil
from typing import Any

from respool import canonical
from respool.batch.declaration import Command, Task
from respool.errors import TaskNotFound, UsageError


def fill(template: str, key: str, payload: Any) -> str:
    """`template` with `{}` replaced by the key and `{name}` by that field of the payload; `{{` and `}}` are braces.

    A field that is text goes in as it is, anything else as its JSON text. Raises UsageError for a lone brace, a field
    that the payload does not have (only objects have any), and a value with a NUL character.

    >>> fill("--id={id} {} {{x}}", "a/b", {"id": 7})
    '--id=7 a/b {x}'
    """
    parts = []
    for text, name in _pieces(template):
        parts.append(text)
        if name == "":
            parts.append(key)
        elif name is not None:
            if not isinstance(payload, dict) or name not in payload:
                raise UsageError(
                    f"the payload of item {key!r} has no field {name!r}", where=f"command line: {template!r}",
                    command="write {{ and }} for braces that are meant literally",
                )  # fmt: skip
            value = payload[name]
            parts.append(value if isinstance(value, str) else canonical.encode(value))
    filled = "".join(parts)
    if "\0" in filled:
        raise UsageError(f"item {key!r} puts a NUL character into {template!r}", why="no program can be given one")
    return filled


def _pieces(template: str) -> list[tuple[str, str | None]]:
    """(text, the placeholder after it) pairs; None for no placeholder."""
    pieces: list[tuple[str, str | None]] = []
    text, at = "", 0
    while at < len(template):
        character = template[at]
        if template[at : at + 2] in ("{{", "}}"):
            text, at = text + character, at + 2
        elif character == "{" and (end := template.find("}", at)) > 0 and "{" not in template[at + 1 : end]:
            pieces.append((text, template[at + 1 : end]))
            text, at = "", end + 1
        elif character in "{}":
            raise UsageError(
                f"{template!r} has a lone {character!r} at position {at}", where="command line",
                command="write {{ and }} for braces that are meant literally",
            )  # fmt: skip
        else:
            text, at = text + character, at + 1
    return [*pieces, (text, None)]


def preflight(task: Task) -> None:
    """Check what can be checked of a command before anything runs.

    Raises UsageError if its working folder does not exist, a template is malformed or it has no words at all, and
    TaskNotFound if its program does not exist. What depends on an item (placeholders) is checked when that item runs.
    """
    command = command_of(task)
    where = f"task {task.name}"
    if not command.argv:
        raise UsageError("the command is empty", where=where)
    for template in (*command.argv, *command.outputs, *([command.cwd] if command.cwd is not None else [])):
        _pieces(template)
    for name, value in command.env:
        if not name or "=" in name or "\0" in name + value:
            raise UsageError(f"{name!r} cannot be set in an environment", where=where)
    folder = _plain(command.cwd) if command.cwd is not None else os.getcwd()
    if folder is None:
        return
    if not os.path.isdir(folder):
        raise UsageError(f"the working folder {folder!r} does not exist", where=where)
    program = _plain(command.argv[0])
    if program is None:
        return
    search = dict(command.env).get("PATH", os.environ.get("PATH"))
    found = os.path.join(folder, program) if os.sep in program else program
    if shutil.which(found, path=search) is None:
        there = os.path.isfile(found) and os.sep in program
        raise TaskNotFound(
            f"the program {program!r} is not executable" if there else f"there is no program {program!r}", where=where,
            why=f"looked in {folder}" if os.sep in program else f"looked in PATH={search}",
            command=f"chmod +x {found}" if there else f"which {program}",
        )  # fmt: skip


def command_of(task: Task) -> Command:
    """The command that a task declares. Raises UsageError if it declares none."""
    if task.command is None:
        raise UsageError(f"task {task.name!r} declares no command", command="give it a command=Command(...)")
    return task.command


def _plain(template: str) -> str | None:
    """A template without placeholders as text; None if it has any."""
    pieces = _pieces(template)
    return pieces[0][0] if len(pieces) == 1 else None
