"""The cassettes of tests that are marked and do not ask for the fixture: opened as the first of each test's own fixtures.

No fixture does this, for one costs a test about as much as reading its cassette. These hooks hear when a test's first
function-scoped fixture is about to be set up: those of wider scopes, which outlive its cassette, are there by then.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from respool.pytest_plugin.stashed import AWAITED
from respool.pytest_plugin.tapes import opened

__tracebackhide__ = True  # an error is shown where a cassette was asked for


class Openings:
    """Registered by the first mark that a run comes upon."""

    def __init__(self) -> None:
        self._next: pytest.Item | None = None  # is being set up, and has no cassette yet

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """A test without fixtures of its own gets its cassette when all else is set up."""
        if AWAITED not in item.stash:
            return (yield)
        self._next = item
        try:
            result = yield
            self._open()
        finally:
            self._next = None
        return result

    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """The first fixture of the test's own may need the cassette already."""
        if self._next is not None and fixturedef.scope == "function":
            self._open()

    def _open(self) -> None:
        item, self._next = self._next, None
        if item is not None:
            opened(item)
