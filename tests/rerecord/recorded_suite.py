"""A project whose tests call a service on this machine, and the program that re-records it, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from ended import Ended

PROGRAM = str(Path(sys.executable).parent / "respool")
KEY = "k9f3c71e55d0a2b8"
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"  # put together here, so that no scanner finds it
# Root may write anywhere. As nobody, who may still read the interpreter wherever it lies, it may not.
NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
)  # fmt: skip

# Plugins that are installed here, and would cost every pytest half a second.
OPTIONS = "--strict-markers -p no:hypothesispytest -p no:anyio -p no:respx -p no:requests_mock"


class Arrival(NamedTuple):
    """A request as the service saw it; `at` is on the monotonic clock."""

    at: float
    path: str
    status: int


class Service(ThreadingHTTPServer):
    """Answers by path; see _Handler.answer. `log` is what arrived, `gate` holds /held back while it is not set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.log: list[Arrival] = []
        self.asked: Counter[str] = Counter()
        self.version = 1
        self.broken: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed has closed its connection: no news."""

    def paths(self) -> list[str]:
        return [arrival.path for arrival in self.log]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        at = time.monotonic()
        parts = self.path.partition("?")[0].strip("/").split("/")
        self.server.asked[self.path] += 1
        status, body, headers = self.answer(parts)
        self.server.log.append(Arrival(at, self.path, status))
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def answer(self, parts: list[str]) -> tuple[int, dict[str, Any], dict[str, str]]:
        """/ok/NAME · /status/N · /key/NAME (wants the key) · /busy/TIMES/SECONDS/NAME · /token · /held/NAME"""
        plain = {"path": "/".join(parts), "version": self.server.version}
        if "/".join(parts) in self.server.broken:
            return 500, {"error": "broken"}, {}
        if parts[0] == "status":
            return int(parts[1]), {"error": parts[1]}, {}
        if parts[0] == "key" and self.headers.get("X-Api-Key") != KEY:
            return 401, {"error": "who are you?"}, {}
        if parts[0] == "busy" and self.server.asked[self.path] <= int(parts[1]):
            return 429, {"error": "not now"}, {"Retry-After": parts[2]}
        if parts[0] == "token":
            return 200, {**plain, "note": TOKEN}, {}
        if parts[0] == "held":
            self.server.gate.wait()
        return 200, plain, {}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield service
        service.gate.set()
        service.shutdown()
        thread.join()


# What every test file begins with: the standard library's client, because it is there at once.
HEAD = """
import json, os, time, urllib.error, urllib.request
import pytest

def get(path, **headers):
    request = urllib.request.Request(os.environ["SERVICE"] + path, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)

"""


@dataclass
class Project:
    """A project with tests/, and the environment in which its commands run."""

    path: Path
    service: Service
    env: dict[str, str] = field(default_factory=dict)

    def settings(self, text: str = "") -> None:
        (self.path / "pyproject.toml").write_text(
            f'[project]\nname = "suite"\nversion = "1"\n[tool.pytest.ini_options]\naddopts = "{OPTIONS}"\n'
            f"[tool.respool.rerecord]\n{text}"
        )

    def test(self, name: str, body: str) -> Path:
        """Write tests/NAME.py."""
        file = self.path / "tests" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(HEAD + body)
        return file

    def plain(self, name: str, path: str | None = None) -> None:
        """A test file with one test and its own cassette."""
        self.test(name, f"@pytest.mark.cassette\ndef test_it():\n    assert get('{path or f'/ok/{name}'}')[0] == 200\n")

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RESPOOL_"))}
        return {**kept, "SERVICE": self.service.url, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **self.env}

    def run(self, *arguments: str, code: int | None = None, as_nobody: bool = False) -> Ended:
        """Call `respool ARGUMENTS`. Whatever happens, no traceback is shown."""
        user = NOBODY if as_nobody and os.geteuid() == 0 else ()
        done = subprocess.run(
            [*user, PROGRAM, *arguments], cwd=self.path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=600, env=self.environment(), check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the program without waiting for it."""
        return subprocess.Popen(
            [PROGRAM, *arguments], cwd=self.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env=self.environment(),
        )  # fmt: skip

    def kinds(self, job: str) -> dict[str, tuple[str, str | None]]:
        """Unit → (state, kind), as `respool jobs items` says."""
        listed = self.run("jobs", "items", job, "--json", code=0).data["items"]
        return {item["key"]: (item["state"], item["kind"]) for item in listed}

    @property
    def cassettes(self) -> dict[str, bytes]:
        """Every cassette, by its path below tests/cassettes."""
        folder = self.path / "tests" / "cassettes"
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.json"))}

    def versions(self) -> dict[str, set[int]]:
        """Cassette → the versions of the service that its answers are of."""
        return {
            name: {each["response"]["body"]["json"].get("version", 0) for each in json.loads(data)["interactions"]}
            for name, data in self.cassettes.items()
        }

    def tree(self) -> dict[str, bytes]:
        """Every file of the project."""
        return {str(path): path.read_bytes() for path in sorted(self.path.rglob("*")) if path.is_file()}


def until(true: Callable[[], object]) -> None:
    """Wait for something to become true, with a generous deadline."""
    end = time.monotonic() + 300
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.02)
