"""Services that are none: what comes back is no answer, and each kind of that is one clear message and the right outcome.

Over real HTTP, and twice through the real command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gated import starting
from real_clusters import functional

from respool.errors import TryFailed
from respool.summaries.provider import Provider, Question
from respool.summaries.settings import Settings

PROGRAM = str(Path(sys.executable).parent / "respool")
HTML = b"<html><body>Welcome to the proxy</body></html>"
SENT: dict[str, tuple[int, dict[str, str], bytes]] = {
    "empty": (200, {}, b""),
    "html": (200, {"Content-Type": "text/html"}, HTML),
    "bytes": (200, {}, bytes(range(256))),
    "wrong": (200, {}, b'{"hello": "world"}'),
    "no choice": (200, {}, b'{"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'),
    "cut": (200, {"Content-Length": "5000"}, b'{"id": "x", "choices": ['),
    "broken": (500, {"Content-Type": "text/plain"}, b"Internal Server Error"),
    "key": (401, {}, b'{"error": {"message": "that key is not known", "code": "invalid_api_key"}}'),
    "redirect": (302, {"Location": "http://127.0.0.1:1/login"}, b""),
    "no page": (404, {"Content-Type": "text/html"}, HTML),
}
KIND_AND_WORDS = {
    "empty": ("invalid", "the answer of the service is no JSON"),
    "html": ("invalid", "expected JSON data"),
    "bytes": ("invalid", "the answer of the service is no JSON"),
    "wrong": ("invalid", "Invalid response from openai chat completions"),
    "no choice": ("invalid", "the answer of the service holds no choice"),
    "cut": ("unavailable", "peer closed connection"),
    "hang": ("timeout", "timed out"),
    "broken": ("unavailable", "Internal Server Error"),
    "key": ("unauthorised", "that key is not known (401)"),
    "redirect": ("unauthorised", "sends on to 'http://127.0.0.1:1/login'"),
    "no page": ("unauthorised", "is not known there"),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bad

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        if self.server.kind == "hang":
            self.server.gate.wait()
            self.close_connection = True
            return
        status, headers, body = SENT[self.server.kind]
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None: ...


class Bad(ThreadingHTTPServer):
    """Answers everything in one bad way."""

    daemon_threads = True

    def __init__(self, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kind, self.requests, self.gate = kind, 0, threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None: ...


@pytest.fixture
def bad() -> Iterator[Callable[[str], Bad]]:
    yield from starting(Bad)


@pytest.mark.parametrize("kind", KIND_AND_WORDS)
def test_what_is_no_answer_is_told_as_what_it_is(bad: Callable[[str], Bad], kind: str) -> None:
    settings = Settings(provider=bad(kind).url, model="m", timeout=1.0 if kind == "hang" else 50.0)
    question = Question("You write.", (("user", "the evidence"),), "summary", {"type": "object"})

    async def asked() -> None:
        await Provider(settings)(settings.generator(), question)

    with pytest.raises(TryFailed) as caught:
        asyncio.run(asked())
    outcome, words = KIND_AND_WORDS[kind]
    assert caught.value.kind == outcome
    assert words in caught.value.what


# tries of the one cluster, its state in the end, the exit code: a job that has to stop keeps its cluster pending
ENDS = {"empty": (3, "failed", 1), "redirect": (1, "pending", 6)}


@pytest.mark.parametrize("kind", ENDS)
def test_the_command_says_it_and_so_do_the_jobs(tmp_path: Path, bad: Callable[[str], Bad], kind: str) -> None:
    server, (tries, state, code) = bad(kind), ENDS[kind]
    outcome, words = KIND_AND_WORDS[kind]
    whole = functional()
    (tmp_path / "clusters.json").write_text(replace(whole, clusters=whole.clusters[:1]).to_json())
    (tmp_path / "pyproject.toml").write_text(f'[tool.respool.llm]\nprovider = "{server.url}"\nmodel = "m"\n')

    def respool(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *argv], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
            env={name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
        )  # fmt: skip

    ended = respool("summarise", "clusters.json")
    assert ended.returncode == code, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert server.requests == tries
    (item,) = json.loads(respool("jobs", "items", "1", "--state", state, "--json").stdout)["items"]
    assert item["key"] == "1"
    attempts = json.loads(respool("jobs", "attempts", "1", "--json").stdout)["attempts"]
    assert [(one["kind"], words in one["message"]) for one in attempts] == [(outcome, True)] * tries
