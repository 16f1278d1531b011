"""The server as a user starts it: a process, asked over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from program import PROGRAM

TASKS = '''
import time
from pathlib import Path
from typing_extensions import TypedDict
from respool import GiveUp, Retry, task

HERE = Path(__file__).parent

class City(TypedDict, total=False):
    name: str
    wait_for: str
    fail: bool
    api_key: str
    number: int

@task(mode="thread", retry=Retry(attempts=1))
def describe(city: City, context) -> dict:
    """Describe a city."""
    with open(HERE / "calls", "a") as file:
        file.write(context.key + "\\n")
    context.note(f"asking about {city.get('name')}")
    while city.get("wait_for") and not (HERE / city["wait_for"]).exists():
        time.sleep(0.02)
    if city.get("fail") and not (HERE / "mended").exists():
        raise GiveUp(f"no such city: {city.get('name')}")
    return {"text": city.get("name"), "api_key": city.get("api_key")}

@task(mode="thread", retry=Retry(attempts=1))
def publish(answer):
    return {"published": answer["key"]}

@task(mode="thread")
def square(n: int):
    return n * n

@task(mode="thread")
def anything(value):
    return None

def unregistered(value):
    return value
'''
PROJECT = """
[project]
name = "project"
version = "1"

[tool.respool.serve]
tasks = ["serving_tasks:describe", "serving_tasks:publish", "serving_tasks:square", "serving_tasks:anything"]
"""
DEADLINE = 60.0


def until(found: Callable[[], Any]) -> Any:
    """What `found` gives as soon as that is true, with a generous deadline."""
    end = time.monotonic() + DEADLINE
    while not (got := found()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.03)
    return got


@dataclass
class Server:
    """A running `respool serve`, and a client that knows its token."""

    folder: Path
    process: subprocess.Popen[str]
    about: dict[str, Any]
    client: httpx.Client
    bare: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=DEADLINE, trust_env=False))

    @property
    def url(self) -> str:
        return str(self.about["url"]).rstrip("/")

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, task: str, items: dict[str, Any], headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return self.client.post("/jobs", json={"task": f"serving_tasks:{task}", "items": items, **more}, headers=headers)

    def state(self, job: int) -> str:
        return str(self.get(f"/jobs/{job}")["state"])

    def ended(self, job: int, state: str = "done") -> None:
        """Wait until a job is in this state."""
        until(lambda: self.state(job) == state)

    @property
    def calls(self) -> list[str]:
        log = self.folder / "calls"
        return log.read_text().split() if log.exists() else []

    def let(self, name: str) -> None:
        """What waits for this file goes on."""
        (self.folder / name).touch()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    @property
    def said(self) -> str:
        return (self.folder / "stderr").read_text()


def project(folder: Path, **files: str) -> Path:
    """A project with tasks that may be submitted."""
    folder.mkdir(exist_ok=True)
    (folder / "serving_tasks.py").write_text(TASKS)
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


@contextmanager
def serving(folder: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Server]:
    """A server of the project in `folder`; ended at the end, however."""
    with (
        open(folder / "stderr", "w") as errors,
        subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", "--json", *options], cwd=folder, stdout=subprocess.PIPE, stderr=errors,
            text=True, env={**os.environ, **(env or {})},
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            about = json.loads(line or "{}")
            assert "url" in about, f"{line} {(folder / 'stderr').read_text()}"
            token = about["token"] or (env or {}).get("RESPOOL_TOKEN")
            client = httpx.Client(
                base_url=about["url"], headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE, trust_env=False
            )
            server = Server(folder, process, about, client)
            with client, server.bare:
                yield server
        finally:
            process.kill()
            process.wait(DEADLINE)
    assert "Traceback" not in (folder / "stderr").read_text()
