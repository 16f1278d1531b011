"""What the tests of the web door share: one server for those that only look, or add jobs of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))  # program.py, the program as a user runs it

from served import Server, project, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = project(tmp_path_factory.mktemp("served"))
    with serving(folder, "--workers", "2") as running:
        yield running
