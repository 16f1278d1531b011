"""The decorator, names, and the way back from a name to its function."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respool.batch.context import Context
from respool.batch.declaration import Mode
from respool.batch.model import Attempt
from respool.batch.policy import Breaker, Retry
from respool.batch.tasks import resolve, source_digest, task, task_of, wants_context
from respool.errors import TaskNotFound, UsageError
from respool.pace import Limit


@task
def plain(payload: int) -> int:
    """Doubles."""
    return 2 * payload


@task(
    retry=Retry(attempts=5), breaker=Breaker(quota=1), timeout="5m", memory="200MB", version="2", cache=False,
    max_pause="2h", mode="process",
)  # fmt: skip
def full(payload: int) -> int:
    return payload


@task(mode="thread")
def threaded(payload: int) -> int:
    return payload


@task
async def coroutine(payload: int) -> int:
    return payload


def undecorated(payload: int) -> int:
    return payload


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


def script(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    return file


def test_the_function_stays_what_it_was() -> None:
    assert plain(4) == 8
    assert plain.__name__ == "plain"
    assert plain.__doc__ == "Doubles."
    assert isinstance(plain, type(undecorated))


def test_the_defaults() -> None:
    declared = task_of(plain)
    assert declared == task_of(plain) == plain.__respool_task__  # type: ignore[attr-defined]
    assert (declared.name, declared.mode, declared.version) == (f"{__name__}:plain", Mode.PROCESS, "1")
    assert (declared.timeout, declared.memory, declared.limits, declared.cache) == (None, None, (), True)
    assert declared.function is plain
    assert task_of(coroutine).mode is Mode.ASYNC
    assert task_of(threaded).mode is Mode.THREAD
    assert task_of(undecorated).name == f"{__name__}:undecorated"


def test_all_that_can_be_declared() -> None:
    declared = task_of(full)
    assert (declared.timeout, declared.memory, declared.max_pause) == (300.0, 200_000_000, 7200.0)
    assert (declared.retry, declared.breaker) == (Retry(attempts=5), Breaker(quota=1))
    assert (declared.version, declared.cache) == ("2", False)


def test_limits_key_on_the_task_or_on_a_provider() -> None:
    shared = Limit.parse("60/min", key="openai")

    def work(payload: Any) -> None: ...

    declared = task_of(task(limit=["30/min", shared], mode="thread")(work))
    assert [limit.key for limit in declared.limits] == [declared.name, "openai"]
    assert task_of(task(limit=shared, mode="thread")(work)).limits == (shared,)
    assert [limit.key for limit in task_of(task(limit="5/s", mode="thread")(work)).limits] == [declared.name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": "soon"}, "'soon'"),
        ({"timeout": 0}, "more than 0"),
        ({"memory": "much"}, "'much'"),
        ({"mode": "fiber"}, "'fiber'"),
        ({"mode": "command"}, "'command'"),
        ({"mode": "async"}, "async"),
        ({"mode": "thread", "timeout": 5}, "thread"),
        ({"version": 2}, "2"),
        ({"timeuot": 5}, "timeuot"),
        ({"name": "nocolon"}, "nocolon"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        task(**options)(undecorated)
    assert said in str(refused.value)


def test_what_cannot_be_imported_may_not_run_in_processes() -> None:
    def nested(payload: int) -> int:
        return payload

    class Holder:
        def method(self, payload: int) -> int:
            return payload

    for function, why in ((lambda payload: payload, "lambda"), (nested, "inside"), (Holder.method, "inside")):
        with pytest.raises(UsageError, match="importable") as refused:
            task(function)
        assert why in str(refused.value)
        assert "test_tasks.py" in str(refused.value)
        assert task_of(task(mode="thread")(function)).mode is Mode.THREAD
    with pytest.raises(UsageError, match="importable"):
        task_of(print)


def test_who_wants_a_context() -> None:
    def second(payload: Any, context: Any) -> None: ...
    def keyword(payload: Any, *, context: Any) -> None: ...
    def first(context: Any) -> None: ...
    def none(payload: Any, other: Any = 1) -> None: ...

    assert [wants_context(function) for function in (second, keyword, first, none, len)] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_context(tmp_path: Path) -> None:
    notes: list[str] = []
    attempt = Attempt(7, 2, 3, "key", '{"a":1}', "f" * 32, "n")
    context = Context(attempt, "spool", tmp_path / "7-2", notes.append)
    again = Context(attempt._replace(number=3), "spool", tmp_path / "7-3", notes.append)
    changed = Context(attempt._replace(fingerprint="0" * 32), "spool", tmp_path / "7-3", notes.append)
    assert (context.key, context.attempt, context.job, context.payload) == ("key", 2, 3, {"a": 1})
    assert context.idempotency_key == again.idempotency_key != changed.idempotency_key
    assert not (tmp_path / "7-2").exists()
    assert context.folder.is_dir()
    context.note("half")
    assert notes == ["half"]


# -- from a name to its function --------------------------------------------------------------------------------------


def test_a_module_of_the_folder(tmp_path: Path) -> None:
    script(tmp_path, "pack/__init__.py", "")
    script(tmp_path, "pack/jobs.py", "def work(payload): return payload + 1")
    found = resolve("pack.jobs:work", folder=tmp_path)
    assert (found.name, found.mode) == ("pack.jobs:work", Mode.PROCESS)
    assert found.function is not None
    assert found.function(1) == 2


def test_a_file_is_loaded_without_its_main_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script(tmp_path, "sub/helper.py", "VALUE = 5")
    script(tmp_path, "sub/work.py", """
        import helper
        from dataclasses import dataclass
        from respool.batch.tasks import task

        @dataclass
        class Row:
            value: int

        @task(version="7")
        def work(payload):
            return Row(payload).value + helper.VALUE

        if __name__ == "__main__":
            raise SystemExit("the main part ran")
        """)
    found = resolve("sub/work.py:work", folder=tmp_path)
    assert (found.name, found.version) == ("sub/work.py:work", "7")
    assert found.function is not None
    assert found.function(1) == 6
    assert resolve("sub/work.py:work", folder=tmp_path).function is found.function, "loaded once"
    assert resolve(f"{tmp_path}/sub/work.py:work").function is found.function


def test_the_name_of_a_script_s_task_finds_it_again(tmp_path: Path) -> None:
    script(tmp_path, "work.py", """
        import sys
        from respool.batch.tasks import resolve, task, task_of

        @task
        def work(payload): return payload

        if __name__ == "__main__":
            assert resolve(task_of(work).name).function is work, "loaded twice"
            print(task_of(work).name, task_of(work).source_digest)
        """)
    run = subprocess.run([sys.executable, "work.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    name, digest = run.stdout.split()
    found = resolve(name, folder=tmp_path)
    assert name == "work.py:work"
    assert found.source_digest == digest


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("work", ["'work'", "names no task", "work:function"]),
        ("work:", ["names no task"]),
        (":work", ["names no task"]),
        ("no_such_module:work", ["no module 'no_such_module'", "looked for", "no_such_module.py:work"]),
        ("good.sub:work", ["good"]),
        ("no such:work", ["no module name"]),
        ("missing.py:work", ["no file 'missing.py'", "missing.py"]),
        ("good.py:wrok", ["no function 'wrok'", "good.py", "did you mean good.py:work?"]),
        ("good:wrok", ["no function 'wrok'", "did you mean good:work?"]),
        ("good:VALUE", ["no function", "int"]),
        ("good:Class", ["no function", "type"]),
        ("good:work.inner", ["no function"]),
        ("raises:work", ["cannot be imported", "raises.py:3", "ZeroDivisionError: division by zero"]),
        ("raises.py:work", ["cannot be imported", "raises.py:3", "ZeroDivisionError: division by zero"]),
        ("syntax:work", ["cannot be imported", "syntax.py:2", "SyntaxError"]),
        ("leaves.py:work", ["cannot be imported", "SystemExit"]),
        ("needs:work", ["cannot be imported", "needs.py:1", "absent_library"]),
        ("starts:work", ["starts a batch", "__main__"]),
    ],
)
def test_what_cannot_be_found_says_what_where_why(tmp_path: Path, path: str, parts: list[str]) -> None:
    script(tmp_path, "good.py", "VALUE = 1\ndef work(payload): ...\nclass Class: ...\n")
    script(tmp_path, "raises.py", "def work(payload): ...\n\n1 / 0\n")
    script(tmp_path, "syntax.py", "x = 1\ndef work(:\n")
    script(tmp_path, "leaves.py", "import sys\nsys.exit(3)\n")
    script(tmp_path, "needs.py", "import absent_library\n")
    script(tmp_path, "starts.py", "from respool.batch.tasks import stop_if_loading\nstop_if_loading()\n")
    with pytest.raises(TaskNotFound) as missing:
        resolve(path, folder=tmp_path)
    for part in parts:
        assert part in str(missing.value), str(missing.value)


def test_a_script_is_loaded_up_to_where_it_starts_its_batch(tmp_path: Path) -> None:
    script(tmp_path, "bare.py", """
        from respool.batch.tasks import stop_if_loading
        def work(payload): return "found"
        stop_if_loading()
        raise SystemExit("ran on")
        """)
    found = resolve("bare.py:work", folder=tmp_path)
    assert found.function is not None
    assert found.function(1) == "found"


# -- the digest of the source -----------------------------------------------------------------------------------------


def digest_of(folder: Path, number: int, text: str) -> str | None:
    script(folder, f"version_{number}.py", "from respool.batch.tasks import task\n" + textwrap.dedent(text))
    return resolve(f"version_{number}.py:work", folder=folder).source_digest


def test_an_edit_is_noticed_and_a_decorator_is_no_edit(tmp_path: Path) -> None:
    base = digest_of(tmp_path, 0, "def work(payload):\n    return 1\n")
    assert base is not None
    decorated = "# moved down\n\n@task(version='3',\n  cache=True)\ndef work(payload):\n    return 1"
    assert digest_of(tmp_path, 1, decorated) == base
    assert digest_of(tmp_path, 2, "def work(payload):\n    return 2\n") != base
    assert digest_of(tmp_path, 3, "async def work(payload):\n    return 1\n") != base


def test_a_function_without_source_has_a_digest_of_its_code() -> None:
    def made(text: str) -> Any:
        names: dict[str, Any] = {}
        exec(text, names)
        return names["work"]

    one, same, other, nested, changed = (
        source_digest(made(text)) for text in (
            "def work(p): return 1", "def work(p): return 1", "def work(p): return 2",
            "def work(p): return [x for x in p if x > 1]", "def work(p): return [x for x in p if x > 2]",
        )
    )  # fmt: skip
    assert one == same
    assert len({one, other, nested, changed}) == 4
    assert source_digest(len) is None
