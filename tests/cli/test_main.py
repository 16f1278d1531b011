"""`main`: whatever happens, a message and an exit code, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from program import Folder

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
