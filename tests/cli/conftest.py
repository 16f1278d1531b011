"""What the tests of the command line share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from program import TASKS, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write("tasks.py", TASKS)
    made.items(a=1, b=2, c=3)
    return made


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something to become true, with a generous deadline."""
    def wait(is_true: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not is_true():
            assert time.monotonic() < end, "it never became true"
            time.sleep(0.02)

    return wait
