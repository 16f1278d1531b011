"""`respool serve` as a command: what it prints, and what it refuses before it does anything."""

from __future__ import annotations

import json
import signal
import socket
import subprocess

import pytest
from program import PROGRAM, Folder

WRONG = {
    "[tool.respool.serve]\ntask = []": "did you mean tasks?",
    "[tool.respool.serve]\ntasks = 'tasks:square'": "must be a list of texts",
    "[tool.respool.serve]\ncapacity = 0": "must be a number of jobs",
    "[tool.respool.serve]\nmax_body = 'much'": "max_body",
    "[tool.respool.serve]\ntasks = ['tasks:nobody']": "no function 'nobody'",
    "[tool.respool]\nserve = 1": "must be a table",
}


@pytest.mark.parametrize("settings", WRONG)
def test_settings_that_cannot_be(folder: Folder, settings: str) -> None:
    folder.write("pyproject.toml", settings)
    ended = folder.run("serve", "--port", "0", code=2)
    assert WRONG[settings] in ended.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--token", "short"], "at least 16 characters"), (["--workers", "0"], "at least 1"), (["--port", "70000"], "70000"),
        (["--grace", "soon"], "--grace"), (["--host", "no.such.host.invalid"], "nothing can listen"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(folder: Folder, options: list[str], words: str) -> None:
    ended = folder.run("serve", "--port", "0", *options, "--json", code=2)
    assert words in ended.err
    assert ended.data["exit"] == 2


def test_a_port_that_is_taken(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = folder.run("serve", "--port", str(taken.getsockname()[1]), code=2)
    assert "nothing can listen on 127.0.0.1" in ended.err
    assert "--port 0" in ended.err


def test_what_it_prints(folder: Folder) -> None:
    folder.write("pyproject.toml", "[tool.respool.serve]\ntasks = ['tasks:square']")
    with folder.start("serve", "--port", "0", "--json", "--workers", "3") as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            about = json.loads(process.stdout.readline())
            said = [process.stderr.readline() for _ in range(3)]
            assert said[0].endswith("spool.db, 3 workers\n")
            assert said[1] == f"  page:   {about['url']}?token={about['token']}\n"
            assert said[2] == "  tasks:  tasks:square\n"
            assert len(about["token"]) >= 32
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stderr.read() == ""


def test_without_its_extra(folder: Folder) -> None:
    blocked = "import sys; sys.modules['uvicorn'] = None; from respool.cli import main; main(['serve'])"
    python = PROGRAM.rpartition("/")[0] + "/python"
    done = subprocess.run([python, "-c", blocked], cwd=folder.path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'respool[web]'" in done.stderr
