"""Cassettes in the life of a run: opened by fixtures, written when what they belong to has ended well."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respool.cassette.deck import Deck
from respool.cassette.guard import Block
from respool.cassette.library import Shelf
from respool.cassette.model import Mode
from respool.cassette.recording import Conditions, Figures, Recording, complain
from respool.errors import NetworkBlocked, RequestNotRecorded, UsageError
from respool.phrases import counted
from respool.pytest_plugin.marks import Wanted, conditions, wanted
from respool.pytest_plugin.parallel import distributed, serial_command
from respool.pytest_plugin.settings import settings_of
from respool.pytest_plugin.stashed import FAILURES, FIGURES, PASSED, TAPES

__tracebackhide__ = True  # an error is shown where a cassette was asked for

_ALLOW = "allow the host: @pytest.mark.cassette(allowed_hosts=[...]), or allowed_hosts in [tool.respool.cassettes]"


class _Run:
    """What the cassettes of one run have in common."""

    def __init__(self, config: pytest.Config) -> None:
        self.shelf = Shelf()
        self._here, self._root = config.invocation_params.dir, config.rootpath
        self._below = self._here != self._root

    def command(self, test: str) -> str:
        """What is to be typed where this run was started, to record the cassette."""
        if not test:
            return "pytest --cassettes=fill"
        if self._below:
            file, mark, rest = test.partition("::")
            test = f"{os.path.relpath(self._root / file, self._here)}{mark}{rest}"
        return f"pytest --cassettes=fill {shlex.quote(test)}"


_RUN: pytest.StashKey[_Run] = pytest.StashKey()


def _run(session: pytest.Session) -> _Run:
    run = session.stash.get(_RUN, None)
    if run is None:
        run = session.stash[_RUN] = _Run(session.config)
    return run


class Tape:
    """One open cassette of a test or of a wider scope."""

    def __init__(self, want: Wanted, test: str, session: pytest.Session) -> None:
        run = _run(session)
        self._recording = Recording(want.path, want.conditions, test=test, command=run.command(test), load=run.shelf.load)
        used = self._recording.conditions
        _serial(used, session.config)
        self._unplayed = want.conditions.unplayed
        self._session = session
        self._failures = session.stash.get(FAILURES, 0)
        self._told = 0
        self._block: Block | None = None
        if want.block_network and used.mode is Mode.REPLAY:
            # The guard names the test that runs, which a cassette of a wider scope does not know.
            self._block = Block(want.allowed_hosts, loopback=True, command=_ALLOW)
        self.deck = self._recording.open(everywhere=True)
        if self._block is not None:
            self._block.put_up(self.deck)

    def enter(self) -> None:
        """The test's own context sees this cassette."""
        self._recording.enter()

    def leave(self) -> None:
        """Undo `enter`."""
        self._recording.leave()

    def end(self) -> None:
        """No request is answered any more, and the network is open again."""
        if self._block is not None:
            self._block.lift()
        self._recording.end()

    def complain(self) -> None:
        """Raise the miss, or the refused connection, that the code under test swallowed; each is told once."""
        misses, self._told = self.deck.misses[self._told :], len(self.deck.misses)
        refused = self._refused()
        if misses:
            raise RequestNotRecorded(misses[0].message, why=_swallowed(len(misses)))
        if refused:
            first, told = refused[0], _swallowed(len(refused))
            raise NetworkBlocked(
                first.what, where=first.where, why=f"{first.why}; {told}" if first.why else told, command=first.command
            )

    def _refused(self) -> list[NetworkBlocked]:
        """The refused connections that nobody was told of yet."""
        if self._block is None or not self._block.refused:
            return []
        refused, self._block.refused = self._block.refused, []
        return refused

    def finish(self, *, failed: bool) -> Figures:
        """Write what was recorded, unless something failed meanwhile."""
        if self._session.stash.get(FAILURES, 0) != self._failures:
            failed = True
        figures = self._recording.finish(failed=failed)
        if not failed:
            complain(figures._replace(misses=figures.misses[self._told :]) if self._told else figures, self._unplayed)
            self.complain()
        return figures


class Opener:
    """What the fixture `open_cassette` gives: call it with a path, use the answer in a `with` block."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session

    def __call__(self, path: str | os.PathLike[str], **options: Any) -> ScopedTape:
        """A cassette at `path` (relative to the root folder of the run), with the options of the mark."""
        config = self._session.config
        return ScopedTape(conditions(config.rootpath / Path(path), options, settings_of(config), config), self._session)


class ScopedTape:
    """A cassette in a fixture's `with` block: written at its end, unless a test failed while it was open."""

    def __init__(self, want: Wanted, session: pytest.Session) -> None:
        self._want = want
        self._session = session

    def __enter__(self) -> Deck:
        self._tape = Tape(self._want, "", self._session)
        return self._tape.deck

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._tape.end()
        _note(self._session, self._tape.finish(failed=kind is not None))


def opened(item: pytest.Item) -> Tape:
    """The open cassette of a test that is being set up, the one if it has it. It ends behind fixtures set up after it.

    It is written by pytest_runtest_teardown, when the teardown of the test's other fixtures went well too.
    """
    tapes = item.stash.setdefault(TAPES, [])
    for each in tapes:
        if isinstance(each, Tape):
            return each
    tape = Tape(wanted(item, "function", item.config), item.nodeid, item.session)
    item.addfinalizer(tape.end)
    tapes.append(tape)
    return tape


def opened_wider(request: pytest.FixtureRequest) -> Iterator[Deck]:
    """The life of the fixtures `class_cassette`, `module_cassette` and `session_cassette`."""
    test = getattr(request.node, "nodeid", "")
    tape = Tape(wanted(request.node, request.scope, request.config), test, request.session)
    try:
        yield tape.deck
    finally:
        tape.end()
        _note(request.session, tape.finish(failed=False))


def finish(item: pytest.Item, *, failed: bool = False) -> None:
    """Write the cassettes of a test, or drop what was recorded if it did not pass. Raises what forbids to keep it."""
    failed = failed or not item.stash.get(PASSED, False)
    for tape in item.stash[TAPES]:
        item.stash.setdefault(FIGURES, []).append(tape.finish(failed=failed)._asdict())
    del item.stash[TAPES]


def _note(session: pytest.Session, figures: Figures) -> None:
    session.stash.setdefault(FIGURES, []).append(figures._asdict())


def _serial(given: Conditions, config: pytest.Config) -> None:
    if given.mode in (Mode.FILL, Mode.RERECORD) and distributed(config):
        raise UsageError(f"mode {given.mode.value!r} records, and recording is serial", command=serial_command())


def _swallowed(times: int) -> str:
    return f"the code under test swallowed this error ({counted(times, 'time')})"
