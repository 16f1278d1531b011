"""The program, run as a user runs it, in a folder with tasks and items."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ended import Ended

PROGRAM = str(Path(sys.executable).parent / "respool")
Until = Callable[[Callable[[], bool]], None]

# The head of a file of tasks that keep, line by line, what they did: a line is there even if its writer is killed next.
LOGGING = '''
import os, time
from pathlib import Path
from respool import task

HERE = Path(__file__).parent

def log(line):
    descriptor = os.open(HERE / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, (line + "\\n").encode())
    os.close(descriptor)

'''

TASKS = '''
import os, time
from pathlib import Path
from respool import task, Retry, GiveUp

HERE = Path(__file__).parent

def called(payload):
    with open(HERE / "calls", "a") as file:
        file.write(str(payload.get("key", payload.get("path"))) + "\\n")

@task(mode="thread")
def square(payload):
    called(payload)
    while payload.get("wait_for") and not (HERE / payload["wait_for"]).exists():
        time.sleep(0.02)
    if payload["n"] < 0 and not (HERE / "mended").exists():
        raise GiveUp("is negative")
    return payload["n"] ** 2

@task(mode="thread")
def publish(payload):
    called({"key": "published"})

def slow(payload):
    called(payload)
    time.sleep(60)

def flaky(payload):
    called(payload)
    raise RuntimeError("always")

def numbers():
    for n in range(3):
        yield f"k{n}", {"key": f"k{n}", "n": n}
'''


@dataclass
class Folder:
    """A working folder with tasks.py and items.jsonl."""

    path: Path

    def run(self, *arguments: str, code: int | None = None, stdin: str = "", cwd: Path | None = None,
            env: dict[str, str] | None = None) -> Ended:  # fmt: skip
        """Call `respool ARGUMENTS`. Whatever happens, no traceback is shown."""
        done = subprocess.run(
            [PROGRAM, *arguments], cwd=cwd or self.path, input=stdin, capture_output=True, text=True, timeout=170,
            env={**os.environ, **(env or {})}, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the program without waiting for it."""
        return subprocess.Popen(
            [PROGRAM, *arguments], cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def items(self, **numbers: int) -> None:
        """Write items.jsonl: one item for each key."""
        lines = [json.dumps({"key": key, "n": n}) for key, n in numbers.items()]
        (self.path / "items.jsonl").write_text("".join(line + "\n" for line in lines))

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def calls(self) -> list[str]:
        """The keys of the items that a task was called for, in order."""
        log = self.path / "calls"
        return log.read_text().split() if log.exists() else []

    def states(self, job: str = "1") -> dict[str, str]:
        listed = self.run("jobs", "items", job, "--json", code=0).data["items"]
        return {item["key"]: item["state"] for item in listed}


class Said:
    """What a process says, read while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.text = process, ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.text += line

    def ended(self) -> int:
        try:
            code = self.process.wait(90)
        finally:
            self.process.kill()
        self._reader.join(10)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        assert "Traceback" not in self.text, self.text
        return code
