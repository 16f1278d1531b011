"""What a command is given: words, environment, folder, signals; and what is refused before it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from command_bench import SPOOL, attempt, python, run, task
from hypothesis import given
from hypothesis import strategies as st

from respool.batch.declaration import Mode, Task
from respool.batch.model import Failed, Kind
from respool.batch.workers.command_line import fill, preflight
from respool.errors import RespoolError, TaskNotFound, UsageError

ONE = attempt()


def test_environment_payload_and_standard_input(tmp_path: Path) -> None:
    code = (
        "import os, json, sys; "
        "print(json.dumps([dict(os.environ), open(os.environ['RESPOOL_PAYLOAD']).read(), sys.stdin.read()]))"
    )
    tried = attempt(5, key="k ü", number=3, payload={"x": "ö"})
    _, bench = run(tmp_path, python(code, env=(("OWN", "value"),)), tried)
    environment, payload, standard_input = json.loads(bench.output(tried))
    assert environment.pop("RESPOOL_ATTEMPT") == f"{SPOOL}:5:3:nonce"
    assert environment.pop("RESPOOL_KEY") == "k ü"
    assert environment.pop("RESPOOL_ATTEMPT_NUMBER") == "3"
    assert Path(environment.pop("RESPOOL_PAYLOAD")).parent == bench.places.attempt(5, 3)
    assert environment.pop("OWN") == "value"
    assert json.loads(payload) == {"x": "ö"}
    assert standard_input == ""


def test_the_environment_is_otherwise_the_runners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python puts LC_CTYPE into the environment of a process in the C locale; the command never asked for that.
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    _, bench = run(tmp_path, task("env"))
    given = {line.partition("=")[0] for line in bench.output(ONE).splitlines()}
    expected = {*os.environ, "RESPOOL_ATTEMPT", "RESPOOL_KEY", "RESPOOL_ATTEMPT_NUMBER", "RESPOOL_PAYLOAD"}
    assert "LC_CTYPE" not in given
    assert given >= expected - {"PYTEST_CURRENT_TEST"}


def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    nasty = "$(touch pwned); `id` 'x\" && rm -rf * | \n ä"
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    job = task(sys.executable, "-c", code, "{}", "{field}", "{{}}", cwd=str(tmp_path))
    _, bench = run(tmp_path, job, attempt(key="-k$HOME", payload={"field": nasty}))
    assert json.loads(bench.output(ONE)) == ["-k$HOME", nasty, "{}"]
    assert not (tmp_path / "pwned").exists()


def test_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    _, bench = run(tmp_path, task("pwd", cwd=f"{tmp_path}/{{}}"))
    assert bench.output(ONE) == f"{tmp_path / 'a'}\n"
    _, bench = run(tmp_path / "other", task("pwd"))
    assert bench.output(ONE) == f"{Path.cwd()}\n"


def test_a_field_that_is_not_there_is_invalid_and_final(tmp_path: Path) -> None:
    for payload in ({"b": 1}, [1], "text", None):
        outcome, bench = run(tmp_path, task("echo", "{a}"), attempt(payload=payload))
        assert isinstance(outcome, Failed)
        assert (outcome.kind, outcome.final) == (Kind.INVALID, True)
        assert "'a'" in outcome.message
        assert not bench.places.attempt(1, 1).exists()


def test_ignored_signals_are_not_inherited(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import signal
        from pathlib import Path
        from command_bench import run, task
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        _, bench = run(Path({str(tmp_path)!r}), task("cat", "/proc/self/status"))
        print((bench.places.attempt(1, 1) / "output.log").read_text())
    """)
    # As a script's `&` starts it: SIGINT and SIGQUIT ignored.
    runner = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT QUIT TERM; exec "$0" -c "$1"', sys.executable, script],
        capture_output=True, text=True, cwd=Path(__file__).parent, timeout=60,
    )  # fmt: skip
    assert runner.returncode == 0, runner.stderr
    lines = [line.split() for line in runner.stdout.splitlines() if line.startswith(("SigIgn:", "SigBlk:"))]
    masks = {name: int(mask, 16) for name, mask in lines}
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        assert not masks["SigIgn:"] & (1 << (number - 1)), number
    assert masks["SigBlk:"] == 0


# -- placeholders --


def test_fill() -> None:
    assert fill("{}", "k", None) == "k"
    assert fill("a{}b{}c", "k", None) == "akbkc"
    assert fill("{{{}}}", "k", None) == "{k}"
    assert fill("{{}}{x}}}", "k", {"x": "{}"}) == "{}{}}"
    assert fill("{x}", "k", {"x": [1, 2.0, None, True, "ä"]}) == '[1,2.0,null,true,"ä"]'
    assert fill("{a b}", "k", {"a b": 1}) == "1"


@pytest.mark.parametrize("template", ["{", "}", "{a", "a}", "{a{b}}", "{}}", "{x}", "awk {print $1}"])
def test_fill_refuses(template: str) -> None:
    with pytest.raises(UsageError):
        fill(template, "k", {"a": 1})


def test_fill_refuses_nul() -> None:
    with pytest.raises(UsageError, match="NUL"):
        fill("{a}", "k", {"a": "x\0y"})


FIELDS = st.text(st.characters(exclude_characters="{}\0", exclude_categories=["Cs"]), min_size=1)
TEXTS = st.text(st.characters(exclude_characters="\0"))
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.integers() | st.booleans()


@given(st.lists(st.tuples(TEXTS, st.none() | FIELDS)), VALUES.map(str), st.data())
def test_fill_is_exact(pieces: list[tuple[str, str | None]], key: str, data: Any) -> None:
    """Whatever is around them, placeholders and nothing else are replaced, and values are never looked at again."""
    payload = {name: data.draw(VALUES) for _, name in pieces if name is not None}
    template = expected = ""
    for text, name in pieces:
        template += text.replace("{", "{{").replace("}", "}}")
        expected += text
        if name is None:
            template, expected = template + "{}", expected + key
        else:
            value = payload[name]
            template += "{" + name + "}"
            expected += value if isinstance(value, str) else json.dumps(value)
    assert fill(template, key, payload) == expected


# -- preflight --


def test_preflight_passes(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    refused = []
    for job in (
        task("sh", "{}"), task("{}"), task("./tool", cwd=str(tmp_path)), task("tool", env=(("PATH", str(tmp_path)),)),
        task("sh", cwd="{}"),
    ):  # fmt: skip
        try:
            preflight(job)
        except RespoolError as error:
            refused.append(error)
    assert refused == []


def test_preflight_refuses(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    for job, error, text in (
        (task("no-such-program"), TaskNotFound, "no-such-program"),
        (task("./gone", cwd=str(tmp_path)), TaskNotFound, "gone"),
        (task("./tool", cwd=str(tmp_path)), TaskNotFound, "not executable"), (task(), UsageError, "empty"),
        (task("sh", cwd=str(tmp_path / "x")), UsageError, "does not exist"), (task("sh", "{"), UsageError, "lone"),
        (task("sh", env=(("A=B", ""),)), UsageError, "A=B"), (Task("t", Mode.COMMAND), UsageError, "no command"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            preflight(job)
