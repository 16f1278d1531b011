"""What the plugin notes on tests and on the run."""

from __future__ import annotations

from typing import Any, Protocol

import pytest


class Tape(Protocol):
    """An open cassette of a test, whichever mark it came by."""

    def enter(self) -> None:
        """The test's own context sees it."""

    def leave(self) -> None:
        """Undo `enter`."""

    def complain(self) -> None:
        """Raise for a miss that the code under test swallowed."""

    def finish(self, *, failed: bool) -> Any:
        """Write what was recorded unless something failed; returns the Figures."""


RUNNING: list[pytest.Item] = []
"""The test between its setup and the end of its teardown; behind it one that it runs itself (with pytester).

For the fixture `cassette`: to ask for `request` would cost every test more than its cassette does.
"""

AWAITED: pytest.StashKey[bool] = pytest.StashKey()
"""On a test: its mark opens its cassette, for nothing asks for the fixture."""

TAPES: pytest.StashKey[list[Tape]] = pytest.StashKey()
"""On a test: its open cassettes."""

PASSED: pytest.StashKey[bool] = pytest.StashKey()
"""On a test: whether its call passed."""

FAILURES: pytest.StashKey[int] = pytest.StashKey()
"""On the session: how many calls failed so far."""

FIGURES: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()
"""On a test, or on the session for wider scopes: the Figures of closed cassettes."""

DESELECTED: pytest.StashKey[int] = pytest.StashKey()
"""On the configuration: how many tests were collected and left out."""
