"""What a task declares about itself: how it runs, how long, how often, and what counts as success.

A Task is a value. It goes into the spool as plain data (`to_settings`), so that a later run can tell what it had been,
and it is resolved from an import path or a command line by batch/tasks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from respool.batch.model import Kind
from respool.batch.policy import Breaker, Retry
from respool.errors import UsageError
from respool.pace import Limit

PARENT = "{parent}"  # stands for the parent's name in the name of a follow-up


class Mode(StrEnum):
    """Where a task's attempts run."""

    ASYNC = "async"  # a coroutine function, in the engine's event loop
    THREAD = "thread"
    PROCESS = "process"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is run once per item, without a shell.

    `{}` in an argument, in `outputs` or in `cwd` stands for the item's key, `{name}` for the field `name` of its payload.
    Success is exit code 0 and, if declared, `marker` in the output and every file of `outputs` there and written by
    this attempt. Exit code 75 (EX_TEMPFAIL of sysexits.h) means `unavailable`.
    """

    argv: tuple[str, ...]
    cwd: str | None = None
    outputs: tuple[str, ...] = ()
    marker: str | None = None
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """After every `size` starts the next one waits `delay` seconds; nothing waits for a batch to end."""

    size: int
    delay: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.delay < float("inf"):
            raise UsageError(f"a batch has at least 1 start and a delay of at least 0 seconds, not {self!r}")


@dataclass(frozen=True, slots=True)
class Task:
    """A named function or command with everything that it declares.

    `timeout` in seconds and `memory` in bytes are per item; `max_pause` is the longest announced wait, in seconds, that
    is sat out. `function` and `expand` are None for commands; `expand` makes a follow-up's items from its parent's.
    `aside` names fields of the payload that say nothing of the work: they are no part of its fingerprint. `then` are the
    (task, "success" or "finish") that follow each job of this task, `job_timeout` the seconds that a run of such a job may
    take, unless its submission says otherwise. `batch` paces the starts of its items. `follows_as` is what a job of this
    task is called that follows another one ("reports on {parent}").
    """

    name: str
    mode: Mode
    version: str = "1"
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    timeout: float | None = None
    memory: int | None = None
    limits: tuple[Limit, ...] = ()
    max_pause: float = 3600.0
    cache: bool = True
    command: Command | None = None
    source_digest: str | None = None
    function: Callable[..., Any] | None = field(default=None, compare=False)
    expand: Callable[..., Any] | None = field(default=None, compare=False)
    aside: tuple[str, ...] = ()
    then: tuple[tuple[Task, str], ...] = field(default=(), compare=False)
    job_timeout: float | None = None
    batch: Batch | None = None
    follows_as: str | None = None

    def __post_init__(self) -> None:
        where = f"task {self.name}"
        if self.follows_as is not None and PARENT not in self.follows_as:
            raise UsageError(f"follows_as must hold {PARENT}, not {self.follows_as!r}", where=where)
        if self.timeout is not None and not self.timeout > 0:
            raise UsageError(f"timeout must be more than 0 seconds, not {self.timeout!r}", where=where)
        if self.memory is not None and not self.memory > 0:
            raise UsageError(f"memory must be more than 0 bytes, not {self.memory!r}", where=where)
        if self.mode is Mode.THREAD and self.timeout is not None:
            raise UsageError(
                "a task in threads cannot declare a timeout", where=where, why="a running thread cannot be ended",
                command='let it run in processes (mode="process"), or make it async',
            )  # fmt: skip
        if self.mode in (Mode.THREAD, Mode.ASYNC) and self.memory is not None:
            raise UsageError(
                f"a task of mode {self.mode} cannot declare a memory limit", where=where,
                why="it shares its process with all other items", command='use mode="process" or a command',
            )  # fmt: skip

    def to_settings(self) -> dict[str, Any]:
        """JSON-ready data from which `from_settings` makes an equal Task (functions aside)."""
        data: dict[str, Any] = {"mode": str(self.mode)}
        for name in ("timeout", "memory", "max_pause", "cache", "source_digest"):
            data[name] = getattr(self, name)
        data["retry"] = {f.name: getattr(self.retry, f.name) for f in fields(self.retry) if f.name != "kinds"}
        data["retry"]["kinds"] = sorted(self.retry.kinds)
        data["breaker"] = {f.name: getattr(self.breaker, f.name) for f in fields(self.breaker)}
        data["limits"] = [[limit.key, str(limit)] for limit in self.limits]
        if self.aside:
            data["aside"] = list(self.aside)
        if self.then:
            data["then"] = [[follow.name, follow.version, follow.to_settings(), on] for follow, on in self.then]
        if self.job_timeout is not None:
            data["job_timeout"] = self.job_timeout
        if self.follows_as is not None:
            data["follows_as"] = self.follows_as
        if self.batch is not None:
            data["batch"] = [self.batch.size, self.batch.delay]
        if self.command is not None:
            data["command"] = {
                "argv": list(self.command.argv), "cwd": self.command.cwd, "outputs": list(self.command.outputs),
                "marker": self.command.marker, "env": [list(pair) for pair in self.command.env],
            }  # fmt: skip
        return data

    @classmethod
    def from_settings(cls, name: str, version: str, data: dict[str, Any]) -> Task:
        """The Task that `to_settings` described. Its `function` is still to be resolved; what follows it is the store's."""
        retry = dict(data["retry"])
        retry["kinds"] = frozenset(Kind(kind) for kind in retry["kinds"])
        command = None
        if data.get("command") is not None:
            stored = data["command"]
            command = Command(
                tuple(stored["argv"]), stored["cwd"], tuple(stored["outputs"]), stored["marker"],
                tuple((key, value) for key, value in stored["env"]),
            )  # fmt: skip
        return cls(
            name=name, version=version, mode=Mode(data["mode"]), retry=Retry(**retry),
            breaker=Breaker(**data["breaker"]), timeout=data["timeout"], memory=data["memory"],
            limits=tuple(Limit.parse(rates, key=key) for key, rates in data["limits"]), max_pause=data["max_pause"],
            cache=data["cache"], aside=tuple(data.get("aside", ())), job_timeout=data.get("job_timeout"),
            batch=Batch(*data["batch"]) if "batch" in data else None, follows_as=data.get("follows_as"),
            source_digest=data["source_digest"], command=command,
        )  # fmt: skip
