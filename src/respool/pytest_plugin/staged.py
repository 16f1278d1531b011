"""A run that re-records: who else must not meddle with it, and what it tells whoever started it.

Registered only where RESPOOL_STAGING is set. What happened is written at the end of the session (see
cassette/staging.py): the outcomes of the tests, what failed and why, and the cassettes of tests that did not run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from respool.cassette.mapping import observed
from respool.cassette.staging import LINE, here
from respool.errors import RespoolError
from respool.pytest_plugin.marks import wanted

MEDDLERS = ("timeout", "randomly", "random_order", "rerunfailures", "flaky", "_cov", "pytest_cov")
"""Plugins that would end a test that waits for its host, run tests in another order or again, or judge the run."""
_NODES: dict[str, type[pytest.Collector]] = {"class": pytest.Class, "module": pytest.Module}
_LINE = pytest.StashKey[int]()


def stand_by(config: pytest.Config) -> None:
    """A run that plays waits here, with its plugins loaded and nothing of the project's, until there is something to play.

    Raises pytest.UsageError if there never will be, because whoever started the run is gone.
    """
    if LINE not in os.environ:
        return  # somebody runs by hand what a unit ran
    line = config.stash[_LINE] = int(os.environ.pop(LINE))
    os.set_inheritable(line, False)
    if not here().orders.records and not _told_to_play(line):
        raise pytest.UsageError("this run was to play what another one records, and whoever started both is gone")


def _told_to_play(line: int) -> bool:
    try:
        os.write(line, b"?")
        return bool(os.read(line, 1))
    except OSError:
        return False


class Staged:
    """Gathers the facts of this run."""

    def __init__(self) -> None:
        self._counts = {"passed": 0, "failed": 0, "skipped": 0}
        self._failed: list[dict[str, str]] = []
        self._users: dict[str, set[str]] = {}
        self._sharing: dict[tuple[Path, str], set[str]] = {}
        self._passed: set[str] = set()
        self._collected: set[str] = set()
        self._causes: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Take the meddlers out; their options and marks stay known."""
        manager = session.config.pluginmanager
        for name in MEDDLERS:
            plugin = manager.get_plugin(name)
            if plugin is not None:
                manager.unregister(plugin)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Note whose cassettes there are, before anything is deselected."""
        self._collected.update(item.nodeid for item in items)
        for item in items:
            shared = item.get_closest_marker("default_cassette")
            if shared is not None and shared.args and item.get_closest_marker("vcr") is not None:
                self._sharing.setdefault((item.path, str(shared.args[0])), set()).add(item.nodeid)
            mark = item.get_closest_marker("cassette")
            if mark is None:
                continue
            scopes = [each.kwargs["scope"] for each in item.iter_markers("cassette") if "scope" in each.kwargs]
            scope = scopes[0] if scopes else "function"
            kind = _NODES.get(scope)
            node = next((each for each in item.iter_parents() if isinstance(each, kind)), item) if kind is not None else item
            try:
                path = wanted(node, scope, config).path
            except RespoolError:
                continue  # told by whoever opens it
            self._users.setdefault(here().relative(path), set()).add(item.nodeid)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """From here on the run waits for its service, or is soon over: another one may start."""
        line = session.config.stash.get(_LINE, None)
        if line is not None:
            with contextlib.suppress(OSError):  # somebody has closed all descriptors
                os.close(line)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Keep what kind of error it was: a report has only its text."""
        if call.excinfo is not None:
            self._causes[item.nodeid] = call.excinfo.type.__name__
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count, and keep the first lines of what failed."""
        if report.failed:
            self._counts["failed"] += 1
            cause = self._causes.get(report.nodeid, "")
            self._failed.append({"test": report.nodeid, "when": report.when, "cause": cause, "message": _message(report)})
            self._passed.discard(report.nodeid)
        elif report.when == "call" and report.passed:
            self._counts["passed"] += 1
            self._passed.add(report.nodeid)
        elif report.skipped:
            self._counts["skipped"] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported fails too."""
        if report.failed:
            self._counts["failed"] += 1
            self._failed.append(
                {"test": report.nodeid, "when": "collect", "cause": "", "message": _last_line(str(report.longrepr))}
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the facts, before anybody writes down which cassettes were opened: they are known by their own paths."""
        observed.NOTES[:] = [
            note._replace(path=str(here().original(note.path)), unplayed=()) for note in observed.NOTES
        ]  # fmt: skip
        self._add_users_of_vcr_marks()
        idle = {path: sorted(tests - self._passed) for path, tests in self._users.items()}
        here().close({
            **self._counts, "exit": int(exitstatus), "failures": self._failed,
            "idle_tests": sorted(self._collected - self._passed),
            "idle": {path: tests for path, tests in idle.items() if tests},
        })  # fmt: skip


    def _add_users_of_vcr_marks(self) -> None:
        """Fixtures say where the cassette of a `vcr` mark is, and of a test that was skipped none ran: it is the one that
        another test of its file, with the same `default_cassette`, opened under that name."""
        for path, openers in here().uses.items():
            file = PurePosixPath(path)
            for (_, name), tests in self._sharing.items():
                if openers & tests and PurePosixPath(name).name in (file.name, file.stem):
                    self._users.setdefault(path, set()).update(tests)


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return _first_line(crash.message) if crash is not None else _last_line(str(report.longrepr))


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _last_line(text: str) -> str:
    return _first_line("\n".join(reversed(text.splitlines())))
