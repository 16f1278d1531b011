"""Small tapes for the tests of the library, and a second process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response

LARGE = b"x" * 70_000


def said(*bodies: bytes | str, test: str = "t") -> Cassette:
    """A cassette of one interaction for each body."""
    contents = [body if isinstance(body, bytes) else body.encode() for body in bodies]
    answers = [Response(200, body=content) for content in contents]
    return Cassette(tuple(Interaction(Request("GET", f"http://a/{n}"), each) for n, each in enumerate(answers)), test=test)


def bodies(cassette: Cassette) -> list[bytes]:
    return [each.response.body for each in cassette.interactions if isinstance(each.response, Response)]


def project(folder: Path) -> Library:
    """The library of a project in `folder`."""
    (folder / "pyproject.toml").write_text("")
    return Library(folder / "tests" / "cassettes")


def program(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], text=True, stdout=subprocess.PIPE)
