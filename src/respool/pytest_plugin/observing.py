"""At the end of a run: write down which test opened which cassette.

Workers of pytest-xdist hand what they know to the process that started them, which writes: only there it is known how the
whole run went, and so what the cassettes that several tests share are needed for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from respool.cassette.library import Library
from respool.cassette.mapping import observed
from respool.clock import SYSTEM
from respool.pytest_plugin.stashed import DESELECTED, PASSED

_SENT = "respool_observed"


def write_down(session: pytest.Session) -> str | None:
    """Keep the notes of this process. What keeps it from writing is returned as a sentence: no run fails by that."""
    notes, observed.NOTES[:] = list(observed.NOTES), []
    config = session.config
    if not notes or "RESPOOL_STAGING" in os.environ:  # recorded into staging: no cassettes of the project were played
        return None
    passed = [item.nodeid for item in session.items if item.stash.get(PASSED, False)]
    left_out = config.stash.get(DESELECTED, 0)
    sends: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if sends is not None:
        sends[_SENT] = {"notes": [tuple(note) for note in notes], "passed": passed, "left_out": left_out}
        return None
    return _written(session, notes, passed, all_ran=not left_out)


class FromWorkers:
    """Gathers, in the process that started them, what workers sent."""

    def __init__(self) -> None:
        self._notes: list[observed.Note] = []
        self._passed: list[str] = []
        self._all_ran = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker has ended: well, or with an `error` and without a word."""
        sent = getattr(node, "workeroutput", {}).get(_SENT)
        if error is not None:
            self._all_ran = False
        elif sent is not None:  # else it opened no cassette
            self._notes += [observed.Note(*note) for note in sent["notes"]]
            self._passed += sent["passed"]
            self._all_ran = self._all_ran and not sent["left_out"]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write it down; what keeps us from it is told."""
        if self._notes and (trouble := _written(session, self._notes, self._passed, all_ran=self._all_ran)) is not None:
            tell(session, trouble)


def tell(session: pytest.Session, trouble: str) -> None:
    """A line in the terminal; no warning, because a filter may make errors of these."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(f"respool: {trouble}", yellow=True)


def _written(session: pytest.Session, notes: list[observed.Note], passed: Iterable[str], *, all_ran: bool) -> str | None:
    config = session.config
    whole = all_ran and not (
        session.testsfailed or session.shouldstop or session.shouldfail or any("::" in str(each) for each in config.args)
    )
    full = whole and config.args_source is not pytest.Config.ArgsSource.ARGS
    run = f"{os.getpid()}-{SYSTEM.now()}"
    told = observed.Session(config.rootpath, run, frozenset(passed), whole, full)
    try:
        observed.write(lambda: Library(config.rootpath).state(), told, notes, SYSTEM.now())
    except OSError as error:
        return f"which test opened which cassette could not be kept: {error}"
    return None
