"""A batch as a TOML file: what to run, on which items, with which care. docs/spec.md shows every key.

    task = "genes.py:describe"         # seen from the spec's folder; or: command = ["convert", "{}"]
    workers = 4
    limits = { openai = "30/min" }
    then = ["genes.py:publish"]

    [items]
    file = "genes.jsonl"               # or glob = "data/*.csv", or from = "genes.py:all_genes"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from respool.batch.declaration import Task
from respool.batch.model import Kind
from respool.batch.policy import Breaker, Retry
from respool.batch.sources import Source, from_glob, from_values
from respool.batch.tasks import resolve
from respool.cli.spec_name import job_name
from respool.cli.wanted import Wanted, check_workers, command_task, full_task, limits_of, open_items, placed
from respool.config import parse_duration, parse_size
from respool.errors import RespoolError, UsageError
from respool.phrases import meant

KEYS = (
    "name", "task", "command", "version", "workers", "timeout", "memory", "limits", "max_pause", "job_timeout", "cache",
    "items", "retry", "breaker", "then", "cwd", "outputs", "marker", "env",
)  # fmt: skip
OF_COMMANDS = ("cwd", "outputs", "marker", "env")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the spec that knows where it stands, so that every complaint names the file, line and key."""

    spec: Path
    text: str
    data: Mapping[str, Any]
    path: tuple[str, ...] = ()

    def known(self, keys: Iterable[str]) -> None:
        """Raise UsageError for a key that is not among `keys`, with the closest ones."""
        allowed = list(keys)
        for key in self.data:
            if key not in allowed:
                close = meant(key, allowed)
                hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(allowed)}"
                raise self.wrong(key, f"there is no key {'.'.join((*self.path, key))!r}", why=hint)

    def get(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """The value of `key`, None if it is not there. Raises UsageError for one of another type."""
        value = self.data.get(key)
        if value is None:
            return None
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.wrong(key, f"{'.'.join((*self.path, key))} must be {expected}, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = self.get(key, list, "a list of texts") or []
        if not all(isinstance(each, str) for each in found):
            raise self.wrong(key, f"{key} must be a list of texts, not {found!r}")
        return tuple(found)

    def duration(self, key: str) -> float | None:
        """Seconds."""
        value = self.get(key, (str, int, float), 'seconds, or text such as "90s"')
        return None if value is None else parse_duration(value, what=f"{key} in {self.where(key)}")

    def table(self, key: str) -> Table:
        """The table under `key`, empty if it is not there."""
        return replace(self, data=self.get(key, dict, "a table") or {}, path=(*self.path, key))

    def where(self, key: str) -> str:
        """FILE:LINE of a key, as far as it can be told from the text."""
        pattern = re.compile(rf'^\s*\[*\s*(?:[\w".-]+\.)?"?{re.escape(key)}"?\s*[=.\]]')
        for number, line in enumerate(self.text.splitlines(), 1):
            if pattern.match(line):
                return f"{self.spec}:{number}"
        return str(self.spec)

    def wrong(self, key: str, what: str, *, why: str | None = None) -> UsageError:
        return UsageError(what, where=self.where(key), why=why)


def read_spec(path: Path, key: str | None = None) -> Wanted:
    """What the spec at `path` asks for; `key` names the items' key field instead of the spec's own.

    Raises UsageError with file and line (and column, if it is no TOML), TaskNotFound for a task that is not there.
    """
    table = _parsed(path)
    table.known(KEYS)
    folder = path.absolute().parent
    task = _task(table, folder)
    job_timeout = table.duration("job_timeout")
    workers = table.get("workers", (int, str), "a number")
    return Wanted(
        name=table.get("name", str, "text") or job_name(path), task=task, open_source=_items(table, folder, key),
        folder=folder, then=_then(table, folder), job_timeout=job_timeout,
        workers=None if workers is None else check_workers(workers, where=table.where("workers")),
    )  # fmt: skip


def _parsed(path: Path) -> Table:
    try:
        text = path.read_bytes().decode("utf-8")
        return Table(path, text, tomllib.loads(text))
    except OSError as error:
        raise UsageError(f"the spec cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise UsageError("the spec is not UTF-8", where=f"{path}, byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        what = str(error)[: found.start()] if found else str(error)
        lines = text.splitlines()
        place = f"{path}:{found[1]}:{found[2]}" if found else f"{path}:{len(lines)}"
        line = lines[int(found[1]) - 1].strip() if found and int(found[1]) <= len(lines) else ""
        raise UsageError(
            f"the spec is no TOML: {what[:1].lower()}{what[1:]}", where=f"{place}: {line}".removesuffix(": ")
        ) from None


def _task(table: Table, folder: Path) -> Task:
    path = table.get("task", str, 'text like "file.py:function"')
    argv = table.texts("command")
    if (path is None) == (not argv):
        raise UsageError('the spec must have either task = "file.py:function" or command = ["program", "{}"]',
                         where=str(table.spec))  # fmt: skip
    if path is None:
        task = _command(table, folder, argv)
    else:
        for key in OF_COMMANDS:
            if key in table.data:
                raise table.wrong(key, f"{key} is for commands; the task {path!r} is a function")
        task = full_task(path, folder)
    timeout, pause = table.duration("timeout"), table.duration("max_pause")
    memory = table.get("memory", (str, int), 'bytes, or text such as "200MB"')
    cache = table.get("cache", bool, "true or false")
    limits = {limit.key: limit for limit in task.limits} | {limit.key: limit for limit in _limits(table, task)}
    return replace(
        task, version=table.get("version", str, 'text, such as "2"') or task.version,
        timeout=task.timeout if timeout is None else timeout,
        max_pause=task.max_pause if pause is None else pause,
        memory=task.memory if memory is None else parse_size(memory, what=f"memory in {table.where('memory')}"),
        cache=task.cache if cache is None else cache, limits=tuple(limits.values()),
        retry=_retry(table.table("retry"), task.retry), breaker=_breaker(table.table("breaker"), task.breaker),
    )  # fmt: skip


def _command(table: Table, folder: Path, argv: tuple[str, ...]) -> Task:
    env = table.table("env")
    for key in env.data:
        env.get(key, str, "text")
    task = command_task(argv, cwd=placed(table.get("cwd", str, "a folder") or "", folder))
    assert task.command is not None
    command = replace(
        task.command, outputs=table.texts("outputs"), marker=table.get("marker", str, "text"),
        env=tuple(sorted(env.data.items())),
    )  # fmt: skip
    return replace(task, command=command)


def _limits(table: Table, task: Task) -> Iterable[Any]:
    given = table.get("limits", (list, dict), 'a list of rates, or a table like { openai = "30/min" }')
    pairs: list[tuple[str | None, str]] = []
    if isinstance(given, dict):
        inner = table.table("limits")
        for key in given:
            value = inner.get(key, (str, list), 'a rate like "30/min", or a list of them')
            pairs += [(key, rate) for rate in ([value] if isinstance(value, str) else inner.texts(key))]
    elif given is not None:
        pairs = [(None, rate) for rate in table.texts("limits")]
    found: Iterable[Any] = _located(table, "limits", lambda: limits_of(pairs, task.name))
    return found


def _retry(table: Table, declared: Retry) -> Retry:
    table.known(field.name for field in fields(Retry))
    changes: dict[str, Any] = {}
    for key in table.data:
        if key == "kinds":
            changes[key] = _kinds(table)
        elif key in ("base", "cap", "waiting"):
            changes[key] = table.duration(key)
        else:
            changes[key] = table.get(key, int if key in ("attempts", "crashes") else (int, float), "a number")
    found: Retry = _located(table, "retry", lambda: replace(declared, **changes))
    return found


def _kinds(table: Table) -> frozenset[Kind]:
    kinds = table.texts("kinds")
    unknown = [kind for kind in kinds if kind not in set(Kind)]
    if unknown:
        raise table.wrong("kinds", f"there is no kind {unknown[0]!r}", why=f"there are {', '.join(Kind)}")
    return frozenset(Kind(kind) for kind in kinds)


def _breaker(table: Table, declared: Breaker) -> Breaker:
    table.known(field.name for field in fields(Breaker))
    for key in table.data:
        if (table.get(key, int, "a whole number") or 0) < 0:
            raise table.wrong(key, f"breaker.{key} must be at least 0 (0 switches it off)")
    return replace(declared, **table.data)


def _then(table: Table, folder: Path) -> tuple[tuple[Task, str], ...]:
    rules = []
    for entry in table.get("then", list, "a list") or []:
        rule = entry if isinstance(entry, dict) else {"task": entry}
        inner = replace(table, data=rule, path=("then",))
        inner.known(("task", "on"))
        path, on = inner.get("task", str, "text"), rule.get("on", "success")
        if path is None or on not in ("success", "finish"):
            raise table.wrong("then", f'then must name a task, and on = "success" or "finish"; not {entry!r}')
        rules.append((full_task(path, folder), str(on)))
    return tuple(rules)


def _items(table: Table, folder: Path, key: str | None) -> Any:
    items = table.table("items")
    items.known(("file", "glob", "from", "key"))
    field = key or items.get("key", str, "the name of a field")
    given = {name: items.get(name, str, "text") for name in ("file", "glob", "from")}
    if sum(value is not None for value in given.values()) != 1:
        raise table.wrong("items", "[items] must say where they come from: one of file, glob and from")
    if given["file"] is not None:
        file = given["file"]
        return lambda: open_items(file, folder, field)
    if given["glob"] is not None:
        pattern, inside = given["glob"], folder
        cwd = table.data.get("cwd", "")
        if cwd and "{" not in cwd:
            inside = folder / cwd  # where the command runs, so that {} names the file there
        return lambda: from_glob(pattern, inside)
    return lambda: _made(str(given["from"]), folder, items)


def _made(path: str, folder: Path, items: Table) -> Source:
    """The items that a function of the user yields."""
    function = resolve(path, folder=folder).function
    assert function is not None
    try:
        found = function()
        if not isinstance(found, Iterable):
            raise TypeError(f"it gave a {type(found).__name__}, not (key, payload) pairs or a mapping")
        return from_values(found, name=path)
    except RespoolError:
        raise
    except Exception as error:
        raise UsageError(
            f"the items cannot be made: {type(error).__name__}: {error}", where=items.where("from"),
            why=f"{path} raised it", command="mend it and run the same command again; nothing was run",
        ) from error  # fmt: skip


def _located(table: Table, key: str, make: Any) -> Any:
    """What `make` gives; a UsageError of a value is given the place in the spec."""
    try:
        return make()
    except UsageError as error:
        raise UsageError(error.what, where=table.where(key), why=error.why, command=error.command) from None
