"""pytest-recording's hook specification."""

from __future__ import annotations

from typing import Any

import pytest


def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:
    """Change the VCR object of a test before its cassette is opened: register serialisers, matchers, a persister."""
