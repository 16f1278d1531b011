"""Other plugins that play cassettes. Two owners of `--record-mode` end pytest, so where one of them is, we step back."""

from __future__ import annotations

import sys
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


def vcrpy() -> bool:
    """Whether vcrpy itself is installed: not what answers to its name for us."""
    there = sys.modules.get("vcr")
    return _installed("vcr") if there is None else not there.__name__.startswith("respool.")


@lru_cache
def _installed(package: str) -> bool:
    return find_spec(package) is not None
