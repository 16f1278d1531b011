"""What the cassettes came to: one line at the end when there is something to say, and JSON on request."""

from __future__ import annotations

from typing import Any

import pytest

from respool.pytest_plugin.stashed import FIGURES

COUNTS = ("played", "recorded", "live", "cut", "unfinished")


class Summary:
    """Gathers the figures that travel on the tests' reports (from workers too)."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.tests: dict[str, list[dict[str, Any]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the figures off a report."""
        figures = getattr(report, "respool", None)
        if figures:
            self.tests.setdefault(report.nodeid, []).extend(figures)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Cassettes of wider scopes have ended now; write the JSON."""
        if wider := session.stash.get(FIGURES, None):
            self.tests.setdefault("", []).extend(wider)
        path = self._config.getoption("--cassettes-json")
        if path:
            from pathlib import Path

            from respool import canonical, files

            document = {"v": 1, "totals": self._totals(), "tests": self.tests}
            files.write_atomic(Path(path), canonical.encode(document) + "\n", mode=0o644, durable=False)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Hits alone are no news: the line comes when something was recorded, missed, live, cut or left unplayed."""
        totals = self._totals()
        news = [name for name in ("recorded", "missed", "live", "cut", "unfinished", "unplayed") if totals[name]]
        if not self.tests or not (news or self._config.get_verbosity() > 0):
            return
        terminalreporter.ensure_newline()
        told = ", ".join(f"{totals[name]} {name}" for name in ("played", *news))
        terminalreporter.write_line(f"cassettes: {told}", yellow=bool(totals["missed"] or totals["unplayed"]))

    def _totals(self) -> dict[str, int]:
        every = [figures for each in self.tests.values() for figures in each]
        totals = {name: sum(figures[name] for figures in every) for name in COUNTS}
        totals["missed"] = sum(len(figures["misses"]) for figures in every)
        totals["unplayed"] = sum(len(figures["unplayed"]) for figures in every)
        totals["written"] = sum(figures["written"] for figures in every)
        return totals
