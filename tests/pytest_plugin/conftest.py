"""A service that counts, and projects whose tests call it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml

# A run in this process forgets the modules that it imported; what patches classes may be there only once.
import respool.cassette.leaks
import respool.cassette.nearest

import respool.cassette.library
import respool.cassette.recording
import respool.pytest_plugin.tapes
import respool.pytest_plugin.vcr_tapes

assert httpx
assert yaml
assert respool.pytest_plugin.tapes
pytest_plugins = ["pytester"]


class Service(ThreadingHTTPServer):
    """/number answers with how often the service was asked; /status/N with that status; /echo with the body it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        self.server.asked += 1
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        status = int(self.path.rpartition("/")[2]) if self.path.startswith("/status/") else 200
        answer = body if self.path.startswith("/echo") else json.dumps({"number": self.server.asked}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    """The running service."""
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def project(pytester: pytest.Pytester, service: Service, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project whose tests find the service's address in the environment; the plugin comes as it is installed."""
    monkeypatch.setenv("SERVICE", service.url)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\naddopts = '--strict-markers'\n")
    return pytester
