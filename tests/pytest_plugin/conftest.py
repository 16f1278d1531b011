"""A service that counts, and projects whose tests call it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import yaml

# A run in this process forgets the modules that it imported; what patches classes may be there only once.
import respool.cassette.leaks
import respool.cassette.library
import respool.cassette.nearest
import respool.cassette.recording
import respool.pytest_plugin.tapes
import respool.pytest_plugin.vcr_tapes
from counting_service import Service, running

assert httpx
assert yaml
assert respool.pytest_plugin.tapes


@pytest.fixture
def service() -> Iterator[Service]:
    """The running service."""
    with running() as server:
        yield server


@pytest.fixture
def project(pytester: pytest.Pytester, service: Service, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project whose tests find the service's address in the environment; the plugin comes as it is installed."""
    monkeypatch.setenv("SERVICE", service.url)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\naddopts = '--strict-markers'\n")
    return pytester
