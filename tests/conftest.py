"""What all tests share: a place of their own, whatever the machine and the shell that they run in."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]  # real runs of pytest, for the plugin's tests

# No test is about time: a busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """Settings of the user's shell (RESPOOL_SPOOL and its like) decide nothing here, nor in any child process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RESPOOL_")]:
            patch.delenv(name)
        patch.setenv("TERM", "xterm-256color")  # what moves on a terminal is tested where nobody sits at one, too
        yield


class _ContractOfClients:
    """Says at the end how many cells of the table client × case were run."""

    def __init__(self) -> None:
        self.cells: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        place, _, cell = report.nodeid.partition("test_client_contract.py::test_case[")
        if place and cell and report.when == "call" and report.passed:
            self.cells[cell.partition("-")[0]] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.cells:
            each = ", ".join(f"{client} {count}" for client, count in sorted(self.cells.items()))
            total = sum(self.cells.values())
            terminalreporter.write_line(f"the clients' contract: {total} cells of {len(self.cells)} clients passed ({each})")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_ContractOfClients())
