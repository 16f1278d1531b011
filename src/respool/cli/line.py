"""From the command line to what is to be submitted: which job is meant, and which options win over its declaration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from respool.batch.declaration import Task
from respool.batch.places import Places
from respool.batch.sources import from_glob
from respool.cli.spec import read_spec
from respool.cli.wanted import (
    STDIN,
    Wanted,
    command_task,
    full_task,
    limits_of,
    open_items,
    placed,
    renamed,
    split_limit,
)
from respool.config import parse_duration, parse_size
from respool.errors import UsageError
from respool.pace import check_limits


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options that win over what a task or a spec declares; None (or empty) leaves it as declared."""

    timeout: str | None = None
    memory: str | None = None
    limits: tuple[str, ...] = ()
    retries: int | None = None
    version: str | None = None
    cwd: str | None = None
    outputs: tuple[str, ...] = ()
    marker: str | None = None

    def applied(self, task: Task) -> Task:
        """The task with these options. Raises UsageError for those of commands on a function."""
        if task.command is None and (self.cwd or self.outputs or self.marker):
            raise UsageError(
                "--cwd, --output and --marker are for commands", where=f"task {task.name}",
                why="a function says by itself where it works and whether it succeeded",
            )  # fmt: skip
        command = task.command
        if command is not None:
            command = replace(
                command, cwd=placed(self.cwd, Path.cwd()) if self.cwd else command.cwd,
                outputs=self.outputs or command.outputs, marker=self.marker or command.marker,
            )  # fmt: skip
        retry = task.retry if self.retries is None else replace(task.retry, attempts=self.retries + 1)
        limits = {limit.key: limit for limit in task.limits} | {
            limit.key: limit for limit in limits_of([split_limit(text) for text in self.limits], task.name)
        }
        return replace(
            task, command=command, retry=retry, limits=tuple(limits.values()), version=self.version or task.version,
            timeout=task.timeout if self.timeout is None else parse_duration(self.timeout, what="--timeout"),
            memory=task.memory if self.memory is None else parse_size(self.memory, what="--memory"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """The part of the command line that says what to run."""

    target: str | None = None  # SPEC.toml or module:task
    items: str | None = None
    key: str | None = None
    each: str | None = None
    command: tuple[str, ...] = ()
    name: str | None = None
    then: tuple[str, ...] = ()
    then_on: str = "success"
    job_timeout: str | None = None
    overrides: Overrides = field(default_factory=Overrides)


def wanted(line: Line) -> Wanted:
    """What `line` asks for, with its overrides applied. Raises UsageError or TaskNotFound; nothing is written."""
    if line.target is not None and line.target.endswith(".toml"):
        if line.items or line.each or line.command:
            raise UsageError(
                "a spec says itself what to run on which items", where=line.target,
                command=f"respool run {line.target}, without --items, --each and a command",
            )  # fmt: skip
        found = read_spec(Path(line.target), line.key)
    else:
        found = _from_options(line)
    then = found.then + tuple((full_task(path, Path.cwd()), line.then_on) for path in line.then)
    timeout = found.job_timeout if line.job_timeout is None else parse_duration(line.job_timeout, what="--job-timeout")
    task = line.overrides.applied(found.task)
    (task, *follows), folder = anchored([task, *(follow for follow, _ in then)], found.folder)
    check_limits(limit for each in (task, *follows) for limit in each.limits)
    return replace(
        found, name=line.name or found.name, task=task, job_timeout=timeout, folder=folder,
        then=tuple((follow, on) for follow, (_, on) in zip(follows, then, strict=True)),
    )  # fmt: skip


def anchored(tasks: Sequence[Task], folder: Path) -> tuple[list[Task], Path]:
    """The tasks under names that do not depend on the working folder, and the folder that the names are seen from.

    A name is a part of what a result is known by: the same file must have the same one from wherever it is called.
    Tasks in files are named as seen from the project's folder; modules must be importable from `folder`, and if there
    are any, files are named in full.
    """
    project = Places.nearest().folder.parent
    files = {task.name: file for task in tasks if (file := _file_of(task)) is not None}
    modules = any(task.command is None and task.name not in files for task in tasks)
    names: dict[str, str] = {}
    for name, file in files.items():
        inside = not modules and file.is_relative_to(project)
        names[name] = f"{(file.relative_to(project) if inside else file).as_posix()}:{name.rpartition(':')[2]}"
    return [renamed(task, names.get(task.name, task.name)) for task in tasks], folder if modules else project


def _file_of(task: Task) -> Path | None:
    place = Path(task.name.rpartition(":")[0])
    return place if task.command is None and place.suffix == ".py" and place.is_absolute() else None


def _from_options(line: Line) -> Wanted:
    if (line.target is None) == (not line.command):
        raise UsageError(
            "say what to run: a spec, a task, or a command after --" if line.target is None
            else f"either the task {line.target!r} or a command, not both",
            command="respool run --help",
        )  # fmt: skip
    if (line.items is None) == (line.each is None):
        raise UsageError(
            "say on which items: --items FILE or --each 'GLOB'" if line.items is None
            else "either --items or --each, not both",
            command="respool run --help",
        )  # fmt: skip
    here = Path.cwd()
    if line.command:
        task, what = command_task(line.command, cwd=str(here)), shlex.join(line.command)
    elif line.target is not None and ":" in line.target:
        task, what = full_task(line.target, here), line.target
    else:
        raise UsageError(
            f"{line.target!r} is neither a spec nor a task", why="a spec ends with .toml, a task is module:function",
            command="respool run --help",
        )  # fmt: skip
    if line.each is not None:
        # Where the command runs, so that {} names the file there.
        given = line.overrides.cwd
        folder = here / given if given and "{" not in given else here
        pattern = line.each
        return Wanted(f"{pattern} {what}", task, lambda: from_glob(pattern, folder), here)
    items = line.items or STDIN
    name = f"{items} {what}" if line.command else f"{what} {items}"
    return Wanted(name, task, lambda: open_items(items, here, line.key), here)
