"""`main`: whatever happens, a message and an exit code, never a traceback."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest
from program import PROGRAM, Folder

from respool import cli
from respool.errors import SpoolBusy


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.cli, "main", lambda *_, **__: exec("raise RAISED", {"RAISED": RAISED[0]}))


RAISED: list[BaseException] = []


@pytest.mark.usefixtures("raising")
@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RuntimeError("oh"), 70, "an error in respool itself: RuntimeError: oh"),
        (RecursionError(), 70, "RecursionError"),
        (KeyboardInterrupt(), 130, "interrupted; the same command again"),
        (SpoolBusy("held"), 4, "respool: held"),
    ],
)
def test_every_error_is_a_message(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str
) -> None:
    RAISED[:] = [error]
    with pytest.raises(SystemExit) as ended:
        cli.main(["jobs", "--json"])
    out, err = capsys.readouterr()
    assert ended.value.code == code
    assert text in err
    assert "Traceback" not in err
    assert not out or json.loads(out)["exit"] == code


@pytest.mark.usefixtures("raising")
def test_the_traceback_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    RAISED[:] = [RuntimeError("oh")]
    monkeypatch.setenv("RESPOOL_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        cli.main(["jobs"])


def test_help_and_version(folder: Folder) -> None:
    assert folder.run("--version", code=0).out.startswith("respool ")
    for command in (["-h"], ["run", "--help"], ["next", "-h"], ["jobs", "--help"], ["jobs", "prune", "-h"]):
        assert "Usage: respool" in folder.run(*command, code=0).out


def test_a_json_flag_of_the_users_command_is_not_ours(folder: Folder) -> None:
    assert folder.run("run", "--items", "none.jsonl", "--", "prog", "--json", code=2).out == ""


def test_importing_the_program_is_light() -> None:
    code = "import sys; import respool.cli; print(*{'rich', 'sqlite3', 'tomllib', 'msgspec'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


USAGE = {
    "--worker": ("run tasks.py:square --items items.jsonl --worker 3", "no option '--worker'; did you mean --workers?"),
    "nothing close": ("run tasks.py:square --items items.jsonl --quick", "no option '--quick'\n"),
    "a value is missing": ("run tasks.py:square --items items.jsonl --only", "respool run --help"),
    "a command without the dashes": ("run --each *.py wc -l {}", "the command and its options go after --"),
    "a program that is not there": ("run --each *.py -- nosuchprogram {}", "nosuchprogram"),
    "on one line": ("completion", "Choose from: bash, zsh, fish\n"),
}


@pytest.mark.parametrize("case", USAGE)
def test_a_slip_gets_one_short_answer(folder: Folder, case: str) -> None:
    line, text = USAGE[case]
    told = folder.run(*line.split(), code=2)
    assert text in told.err
    assert "did you mean one of" not in told.err.lower()
    assert not (folder.path / ".respool").exists()


def test_without_a_command_there_is_the_help(folder: Folder) -> None:
    assert folder.run(code=2).err.startswith("Usage: respool")


def test_options_before_a_subcommand_hold_for_it(folder: Folder) -> None:
    folder.run("run", "tasks.py:square", "--items", "items.jsonl", "--spool", "x.db", code=0)
    assert "no spool here" in folder.run("jobs", "list", code=2).err
    assert "3 done" in folder.run("jobs", "--spool", "x.db", "list", code=0).out
    assert folder.run("jobs", "--spool", "x.db", "--json", "show", "1", code=0).data["job"]["id"] == 1
    assert "3 done" in folder.run("jobs", "--spool", "nowhere.db", "list", "--spool", "x.db", code=0).out
    assert "no spool here" in folder.run("jobs", "--rehearsal", "--spool", "x.db", "list", code=2).err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_good_as_empty_ones(folder: Folder, closed: str) -> None:
    run = f"run tasks.py:square --items {'-' if '<' in closed else 'items.jsonl'}"
    for command in (run, "jobs", "doctor"):
        line = f"{shlex.quote(PROGRAM)} {command} {closed}"
        done = subprocess.run(["sh", "-c", line], cwd=folder.path, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr, "error in respool" in done.stderr) == (0, False, False)
    counts = folder.run("jobs", "show", "1", "--json", code=0).data["job"]["counts"]
    assert counts["done"] == (0 if "<" in closed else 3)
