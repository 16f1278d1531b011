"""What the tests of re-recording share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded_suite import Project, Service, serving


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, service: Service) -> Project:
    made = Project(tmp_path, service)
    made.settings()
    return made
