"""What a `vcr` mark opens: pytest-recording's rules for paths, modes and read-only extras, on respool.compat.vcr."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from respool.cassette import clients, guard
from respool.cassette.open_decks import Opened
from respool.compat.vcr import VCR
from respool.compat.vcr.cassette import Cassette
from respool.compat.vcr.persisters.filesystem import CassetteNotFoundError, FilesystemPersister
from respool.pytest_plugin.parallel import distributed, serial_command
from respool.pytest_plugin.stashed import TAPES


class _WithExtras(FilesystemPersister):
    """Loads the first cassette and, behind it, those that are only read; saves the first."""

    def __init__(self, extras: list[str]) -> None:
        self._extras = extras

    def load_cassette(self, cassette_path: Any, serializer: Any) -> Any:  # type: ignore[override]
        requests: list[Any] = []
        responses: list[Any] = []
        for path in dict.fromkeys([os.fspath(cassette_path), *self._extras]):
            try:
                more = FilesystemPersister.load_cassette(path, serializer)
            except CassetteNotFoundError:
                continue
            requests += more[0]
            responses += more[1]
        if not requests:
            raise CassetteNotFoundError("no cassette was found")
        return requests, responses


class MarkedCassette(Cassette):
    """The cassette of a test, which also answers to the names of the VCR object that opened it.

    The fixture `vcr` is the one in pytest-recording and the other in pytest-vcr.
    """

    opened_by: VCR

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "opened_by":
            raise AttributeError(name)
        return getattr(self.opened_by, name)


class UnmarkedVcr(VCR):
    """The VCR object of a test without a mark (pytest-vcr), as false as the None that pytest-recording has there."""

    def __bool__(self) -> bool:
        return False


def unmarked(request: pytest.FixtureRequest, folder: str, record_mode: str | None, options: dict[str, Any]) -> UnmarkedVcr:
    """The VCR object for a test that opens its cassettes itself; `record_mode` is that of the command line."""
    given = {name: value for name, value in options.items() if name != "allowed_hosts"}
    if record_mode is not None:
        given["record_mode"] = "new_episodes" if record_mode == "rewrite" else record_mode
    vcr = UnmarkedVcr(**{"path_transformer": VCR.ensure_suffix(".yaml"), "cassette_library_dir": folder, **given})
    request.config.hook.pytest_recording_configure(config=request.config, vcr=vcr)
    return vcr


def used(
    request: pytest.FixtureRequest, name: str, folder: str, record_mode: str, options: dict[str, Any],
    marks: list[pytest.Mark],
) -> tuple[Cassette, Callable[[bool], None]]:  # fmt: skip
    """The open cassette, and what closes it: told whether a test failed meanwhile, it then keeps nothing."""
    suffix = f".{options['serializer']}" if "serializer" in options else ".yaml"
    options.pop("allowed_hosts", None)
    mode = options.pop("record_mode", record_mode)
    known_mode = "new_episodes" if mode == "rewrite" else mode
    vcr = VCR(path_transformer=VCR.ensure_suffix(suffix), cassette_library_dir=folder, record_mode=known_mode)
    extras = [path if os.path.isabs(path) else os.path.join(folder, path) for mark in marks for path in mark.args]
    if extras:
        vcr.register_persister(_WithExtras(extras))
    request.config.hook.pytest_recording_configure(config=request.config, vcr=vcr)
    arguments = vcr.get_merged_config(path=_shortened(name, suffix), **options)
    arguments["path"] = arguments.pop("path_transformer")(arguments["path"])
    arguments.pop("func_path_generator")
    arguments.pop("record_on_exception")
    if mode != "none" and not Path(arguments["path"]).exists() and distributed(request.config):
        why = f"record_mode={mode!r} would record {arguments['path']}, and recording is serial"
        raise pytest.UsageError(f"{why}\n  next: {serial_command()}")
    clients.install()
    guard.watch()
    cassette = MarkedCassette(**arguments, afresh=mode == "rewrite")
    cassette.opened_by = vcr
    vars(vcr).update({name: value for name, value in options.items() if hasattr(vcr, name)})  # for what the test opens itself
    opened = Opened(cassette.deck, everywhere=True)
    tape = _VcrTape(opened)
    request.node.stash.setdefault(TAPES, []).append(tape)

    def close(failed: bool) -> None:
        opened.end()
        cassette.deck.close()
        tape.written = cassette.dirty and not failed
        if not failed:
            cassette.save()

    return cassette, close


class _VcrTape:
    """The face that the plugin's hooks know; a miss that the code under test swallowed is told in the summary only."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.written = False

    def enter(self) -> None:
        """The test's own context sees this cassette."""
        self._opened.enter()

    def leave(self) -> None:
        """Undo `enter`."""
        self._opened.leave()

    def complain(self) -> None:
        """vcrpy's users rely on misses being catchable."""

    def finish(self, *, failed: bool) -> Any:
        """The figures."""
        from respool.cassette.recording import figures_of

        return figures_of(self._opened.deck, self._opened.deck.close(), self.written and not failed)


def _shortened(name: str, suffix: str) -> str:
    try:
        longest = os.pathconf(".", "PC_NAME_MAX")
    except (AttributeError, ValueError, OSError):
        longest = 255
    if len(name) + len(suffix) <= longest:
        return name
    mark = md5(name.encode(), usedforsecurity=False).hexdigest()  # pytest-recording's own names: existing files have them
    return f"{name[: longest - len(suffix) - len(mark) - 3]}...{mark}"


