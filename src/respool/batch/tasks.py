"""Tasks: the `@task` decorator, the way from an import path back to the function, and what a running task may ask for.

    @task(retry=Retry(attempts=3), timeout="1m", limit="30/min", version="2")
    async def describe(cluster: dict, context: Context) -> dict: ...

A task is found again by its name, by a worker process or by a later run: "package.module:function", or
"path/to/script.py:function" for a script. A script is loaded from its file under a name of its own, so its
`if __name__ == "__main__":` part never runs there.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypedDict, TypeVar, Unpack, overload

from respool import canonical
from respool.batch.declaration import Mode, Task
from respool.batch.policy import Breaker, Retry
from respool.config import parse_duration, parse_size
from respool.errors import TaskNotFound, UsageError
from respool.pace import Limit
from respool.phrases import meant

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__respool_task__"
_SCRIPT = "respool_script_"  # the private module name of a loaded script starts so


class EndOfDefinitions(BaseException):
    """Ends the loading of a script at the point where it starts to use its tasks; never seen by a user."""


class Options(TypedDict, total=False):
    """What `@task` takes, all of it optional.

    `timeout` and `max_pause` are seconds or text ("90s", "5m"), `memory` bytes or text ("200MB"), all per item.
    `limit` is a rate such as "30/min" for this task alone, a `Limit("openai", ...)` shared by all that name it, or
    several. A new `version` makes finished items run again. `mode` is "async" for an `async def` (the default there),
    else "process" (the default) or "thread". `expand(parent)` makes a follow-up's items; if it takes `earlier`, that gets the
    payloads of what finished before in any job of the task. `aside` names payload fields that a fingerprint leaves out,
    `job_timeout` is for a run of a whole job. `name` overrides the import path, for a function that is re-exported from a
    stable place.
    """

    retry: Retry
    breaker: Breaker
    timeout: float | str | None
    memory: int | str | None
    limit: str | Limit | Iterable[str | Limit]
    version: str
    mode: Mode | str | None
    cache: bool
    max_pause: float | str
    expand: Callable[..., Any] | None
    aside: Iterable[str]
    job_timeout: float | str | None
    follows_as: str | None
    name: str | None


_OPTIONS = tuple(Options.__annotations__)


@overload
def task(function: F, /) -> F: ...
@overload
def task(**options: Unpack[Options]) -> Callable[[F], F]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Unpack[Options]) -> Any:
    """Declare how a function runs as a task; the function itself stays what it was and can be called as before.

    Raises UsageError for an option that does not exist and for what cannot work, such as a lambda in processes.

    >>> @task(version="2", mode="thread")
    ... def double(number): return 2 * number
    >>> double(2), task_of(double).version
    (4, '2')
    """

    def declare(found: F) -> F:
        setattr(found, _ATTRIBUTE, _declare(found, options))
        return found

    return declare if function is None else declare(function)


def task_of(function: Callable[..., Any]) -> Task:
    """The Task of a function: what its decorator declared, or else the defaults. Raises UsageError as `task` does."""
    declared = getattr(function, _ATTRIBUTE, None)
    return declared if isinstance(declared, Task) else _declare(function, {})


def resolve(path: str, *, folder: Path | None = None) -> Task:
    """The Task that `path` names: "module:function" or "path/to/file.py:function", seen from `folder` (or from here).

    `folder` is put on sys.path, as `python -m` does; a file's own folder as well, as `python file.py` does. A function
    without decorator gets the defaults. Raises TaskNotFound, which says what is missing, why, and what to type next.
    """
    base = (folder or Path.cwd()).absolute()
    place, colon, name = path.rpartition(":")
    if not colon or not place or not name:
        raise TaskNotFound(
            f"{path!r} names no task", why="a task is written module:function or file.py:function",
            command=f"put the function's name after a colon, as in {path.strip(':') or 'module'}:function",
        )  # fmt: skip
    module = _load_script(base / place, path) if place.endswith(".py") else _import(place, base, path)
    found = getattr(module, name, None) if name.isidentifier() else None
    if found is None:
        raise _no_such_function(path, name, module)
    if not callable(found) or inspect.isclass(found):
        raise TaskNotFound(
            f"{path!r} is no function", where=_file_of(module), why=f"{name} is of type {type(found).__name__}"
        )
    return _named_as_seen(task_of(found), path, place)


def _named_as_seen(task: Task, path: str, place: str) -> Task:
    """A file's task is named from `folder`, wherever the process stands: its name is part of every fingerprint."""
    if not place.endswith(".py") or not task.name.partition(":")[0].endswith(".py") or task.name == path:
        return task
    limits = tuple(Limit(path, limit.rates) if limit.key == task.name else limit for limit in task.limits)
    return replace(task, name=path, limits=limits)


def stop_if_loading() -> None:
    """To be called by whatever starts or fills a spool: ends the loading of a script at this point.

    A script without `if __name__ == "__main__":` would otherwise start its batch again in each of its own workers.
    """
    if _loading:
        raise EndOfDefinitions


@functools.lru_cache(maxsize=4096)
def wants_context(function: Callable[..., Any]) -> bool:
    """Whether the function has a parameter named `context` (besides its first, which is the payload)."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    return any(
        parameter.name == "context" and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        for parameter in parameters[1:]
    )


def source_digest(function: Callable[..., Any]) -> str | None:
    """A digest that changes when the function's code does (its decorators aside); None if it has no code."""
    plain = inspect.unwrap(function)
    try:
        lines = textwrap.dedent(inspect.getsource(plain)).splitlines()
    except (OSError, TypeError, SyntaxError, IndentationError):
        code = getattr(plain, "__code__", None)
        return canonical.digest(*_code_parts(code)) if isinstance(code, CodeType) else None
    start = next((number for number, line in enumerate(lines) if line.startswith(("def ", "async def "))), 0)
    return canonical.digest("\n".join(line.rstrip() for line in lines[start:]).rstrip())


def _declare(function: Callable[..., Any], options: Options) -> Task:
    mode = _mode(function, options.get("mode"))
    name = options.get("name") or _name(function, mode)
    where = f"task {name}"
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise UsageError(f"@task has no option {unknown[0]!r}", where=where, why=f"it has {', '.join(_OPTIONS)}")
    if ":" not in name:
        raise UsageError(f"a task's name must be module:function, not {name!r}")
    version = options.get("version", "1")
    if not isinstance(version, str) or not version:
        raise UsageError(f"version must be text, not {version!r}", where=where)
    timeout, memory, limit = options.get("timeout"), options.get("memory"), options.get("limit", ())
    whole = options.get("job_timeout")
    limits = [limit] if isinstance(limit, (str, Limit)) else list(limit)
    return Task(
        name=name, mode=mode, version=version, retry=options.get("retry", Retry()),
        breaker=options.get("breaker", Breaker()),
        timeout=None if timeout is None else parse_duration(timeout, what=f"timeout of {where}"),
        memory=None if memory is None else parse_size(memory, what=f"memory of {where}"),
        limits=tuple(Limit.parse(each, key=name) if isinstance(each, str) else each for each in limits),
        max_pause=parse_duration(options.get("max_pause", 3600.0), what=f"max_pause of {where}"),
        cache=bool(options.get("cache", True)), source_digest=source_digest(function), function=function,
        expand=options.get("expand"), aside=tuple(options.get("aside", ())),
        job_timeout=None if whole is None else parse_duration(whole, what=f"job_timeout of {where}"),
        follows_as=options.get("follows_as"),
    )  # fmt: skip


def _mode(function: Callable[..., Any], mode: Mode | str | None) -> Mode:
    is_async = inspect.iscoroutinefunction(inspect.unwrap(function))
    if mode is None:
        return Mode.ASYNC if is_async else Mode.PROCESS
    try:
        chosen = Mode(mode)
    except ValueError:
        chosen = Mode.COMMAND
    if chosen is Mode.COMMAND:
        raise UsageError(f'mode must be "process", "thread" or "async", not {str(mode)!r}', where=_where(function))
    if is_async != (chosen is Mode.ASYNC):
        raise UsageError(
            f"a function of this kind cannot run with mode={str(chosen)!r}", where=_where(function),
            why="an async def runs in the event loop" if is_async else "a plain def would block the event loop",
            command="leave mode out" if is_async else 'make it an async def, or use mode="thread"',
        )  # fmt: skip
    return chosen


def _name(function: Callable[..., Any], mode: Mode) -> str:
    """The path under which the function is found again; raises UsageError if there is none and one is needed."""
    module = getattr(function, "__module__", None) or "?"
    qualified = getattr(function, "__qualname__", None)
    why = None
    if not isinstance(function, FunctionType) or qualified is None:
        why = f"it is a {type(function).__name__}, not a function made by def"
    elif "<lambda>" in qualified:
        why = "a lambda has no name"
    elif "." in qualified:
        why = "it is defined inside another function or class"
    elif module == "__main__" or module.startswith(_SCRIPT):
        place = _script_name(module)
        if place is not None:
            return f"{place}:{qualified}"
        why = "it was typed into an interpreter or notebook; there is no file to load it from"
    if why is not None and mode is Mode.PROCESS:
        raise UsageError(
            "a task that runs in processes must be importable", where=_where(function), why=why,
            command='move it to the top level of a file, or use mode="thread"',
        )  # fmt: skip
    return f"{module}:{qualified or type(function).__name__}"


def _script_name(module: str) -> str | None:
    """How the module that is a script (or `python -m`) is named in a task's path."""
    loaded = sys.modules.get(module)
    spec = getattr(loaded, "__spec__", None)
    if module == "__main__" and spec is not None and spec.name:
        return str(spec.name)
    file = getattr(loaded, "__file__", None)
    if file is None or not file.endswith(".py"):
        return None
    place = Path(file).absolute()
    try:
        return place.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return place.as_posix()


def _where(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, CodeType) else repr(function)


_loading: list[str] = []


def _load_script(file: Path, path: str) -> ModuleType:
    main_file = getattr(sys.modules.get("__main__"), "__file__", None)
    if main_file is not None and Path(main_file).absolute() == file.absolute():
        return sys.modules["__main__"]  # we are that script: loading it a second time would do its work twice
    if not file.is_file():
        raise TaskNotFound(f"no file {path.rpartition(':')[0]!r}", where=str(file), command="look for a typing error")
    name = _SCRIPT + canonical.digest(str(file.resolve()))[:12]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise TaskNotFound(f"{file.name!r} cannot be loaded as Python", where=str(file))
    module = importlib.util.module_from_spec(spec)
    _put_on_path(file.parent)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look their module up
    _loading.append(name)
    try:
        spec.loader.exec_module(module)
    except EndOfDefinitions:
        pass  # all that stands above is defined, and that is what we came for
    except BaseException as error:
        del sys.modules[name]
        raise _raised_on_import(path, error, str(file)) from error
    finally:
        _loading.pop()
    return module


def _import(name: str, base: Path, path: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise TaskNotFound(f"{name!r} is no module name", where=path, command="a file is named with its .py: file.py:f")
    _put_on_path(base)
    main = sys.modules.get("__main__")
    if getattr(getattr(main, "__spec__", None), "name", None) == name:
        return sys.modules["__main__"]
    _loading.append(name)
    try:
        importlib.invalidate_caches()
        return importlib.import_module(name)
    except EndOfDefinitions:
        raise TaskNotFound(
            f"the module of {path!r} starts a batch when it is imported", where=name,
            why="importing it must only define its tasks", command='put the start under if __name__ == "__main__":',
        ) from None  # fmt: skip
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise TaskNotFound(
                f"no module {error.name!r}", where=f"looked for {path!r} from {base}",
                why="it is neither installed nor in that folder",
                command=f"cd to the folder that holds it, or name the file: {name.replace('.', '/')}.py:"
                f"{path.rpartition(':')[2]}",
            ) from None  # fmt: skip
        raise _raised_on_import(path, error, name) from error
    except BaseException as error:
        raise _raised_on_import(path, error, name) from error
    finally:
        _loading.pop()


def _raised_on_import(path: str, error: BaseException, where: str) -> BaseException:
    if isinstance(error, KeyboardInterrupt):
        return error
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
        if len(frames) > 1:
            where = f"{frames[-1].filename}:{frames[-1].lineno}"
    return TaskNotFound(
        f"the module of {path!r} cannot be imported", where=where, why=f"{type(error).__name__}: {error}",
        command=f"python {path.rpartition(':')[0]}" if path.rpartition(":")[0].endswith(".py")
        else f"python -c 'import {path.rpartition(':')[0]}'",
    )  # fmt: skip


def _no_such_function(path: str, name: str, module: ModuleType) -> TaskNotFound:
    functions = [each for each, value in vars(module).items() if inspect.isfunction(value) and not each.startswith("_")]
    close = meant(name, functions)
    place = path.rpartition(":")[0]
    return TaskNotFound(
        f"no function {name!r} in {place}", where=_file_of(module),
        why=f"it defines {', '.join(sorted(functions)[:10])}" if functions else "it defines no function",
        command=f"did you mean {' or '.join(f'{place}:{each}' for each in close)}?" if close else None,
    )  # fmt: skip


def _file_of(module: ModuleType) -> str | None:
    return getattr(module, "__file__", None)


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _code_parts(code: CodeType) -> list[str | bytes]:
    parts: list[str | bytes] = [code.co_code, *code.co_names, *code.co_varnames]
    for constant in code.co_consts:
        parts += _code_parts(constant) if isinstance(constant, CodeType) else [repr(constant)]
    return parts
