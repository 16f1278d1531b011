"""Our own modules are loaded as Python does it.

pytest looks for asserts to rewrite in every module of a project that has a plugin. Ours have none that tests see, and
found and read in pytest's way they take half as long again, in every run that opens a cassette.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Plainly:
    """Finds the modules of respool as Python does, before pytest's finder is asked."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path, target) if name.startswith("respool.") else None


def load_plainly() -> None:
    """From now on the modules of respool are loaded without pytest's part in it. Called again it does nothing."""
    if _Plainly not in sys.meta_path:
        sys.meta_path.insert(0, _Plainly)
