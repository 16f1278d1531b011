"""What all tests share: a place of their own, whatever the machine and the shell that they run in."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]  # real runs of pytest, for the plugin's tests

# No test is about time: a busy machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """Settings of the user's shell (RESPOOL_SPOOL and its like) decide nothing here, nor in any child process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RESPOOL_")]:
            patch.delenv(name)
        patch.setenv("TERM", "xterm-256color")  # what moves on a terminal is tested where nobody sits at one, too
        yield
