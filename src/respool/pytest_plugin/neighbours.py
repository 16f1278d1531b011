"""Other plugins that play cassettes. Two owners of `--record-mode` end pytest, so where one of them is, we step back."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import pytest

_PLUGINS = {
    "recording": ("pytest_recording", "pytest-recording"), "vcr": ("pytest_vcr", "pytest-vcr"),
    "cassetter": ("cassetter", "cassetter"),
}  # fmt: skip
"""pytest's name of the plugin → (its package, its project)."""


def active(pluginmanager: pytest.PytestPluginManager) -> list[str]:
    """The projects whose plugin is installed and not switched off with `-p no:NAME`."""
    return [
        project for name, (package, project) in _PLUGINS.items() if _installed(package) and not pluginmanager.is_blocked(name)
    ]  # fmt: skip


@lru_cache
def _installed(package: str) -> bool:
    return find_spec(package) is not None
