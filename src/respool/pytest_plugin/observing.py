"""At the end of a run, in each of its processes: write down which test opened which cassette."""

from __future__ import annotations

import os

import pytest

from respool.cassette.library import Library
from respool.cassette.mapping import observed
from respool.clock import SYSTEM
from respool.pytest_plugin.stashed import DESELECTED, PASSED


def write_down(session: pytest.Session) -> str | None:
    """Keep the notes of this process. What keeps it from writing is returned as a sentence: no run fails by that."""
    notes, observed.NOTES[:] = list(observed.NOTES), []
    config = session.config
    if not notes or "RESPOOL_STAGING" in os.environ:  # recorded into staging: no cassettes of the project were played
        return None
    worker = getattr(config, "workerinput", None)
    # Of a run that is spread over processes none knows what the others played.
    whole = not (
        worker or config.stash.get(DESELECTED, 0) or session.testsfailed or session.shouldstop or session.shouldfail
        or any("::" in str(each) for each in config.args)
    )  # fmt: skip
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    told = observed.Session(
        config.rootpath, worker["testrunuid"] if worker else f"{os.getpid()}-{SYSTEM.now()}",
        frozenset(item.nodeid for item in session.items if item.stash.get(PASSED, False)), whole, whole and not named,
    )  # fmt: skip
    try:
        observed.write(lambda: Library(config.rootpath).state(), told, notes, SYSTEM.now())
    except OSError as error:
        return f"which test opened which cassette could not be kept: {error}"
    return None
