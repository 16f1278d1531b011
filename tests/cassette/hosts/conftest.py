"""A server whose requests are counted, and the clients hooked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from counting_service import Service, running
from respool.cassette import clients


@pytest.fixture(autouse=True, scope="module")
def _hooked() -> Iterator[None]:
    clients.install()
    yield
    clients.uninstall()


@pytest.fixture
def service() -> Iterator[Service]:
    """The running service."""
    with running() as server:
        yield server
