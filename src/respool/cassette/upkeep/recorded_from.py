"""What a recording depends on, as the project declares it: told for its own header, or noted beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from respool.cassette.library import Library
from respool.cassette.staging import VARIABLE, here
from respool.cassette.upkeep import beside
from respool.cassette.upkeep.age import stamped
from respool.cassette.upkeep.settings import UpkeepSettings, load_upkeep
from respool.cassette.upkeep.upstream import version_of


def dependencies(path: Path) -> dict[str, str]:
    """What a recording at `path` depends on now: `inputs` and `upstream` of the project's settings."""
    real = _real(path)
    return _stamped(real, load_upkeep(real.parent))


@contextmanager
def noted_beside(path: Path, *, afresh: bool) -> Iterator[None]:
    """Note what the cassette at `path` depends on, if it is written in this block in a format without room for that.

    Written `afresh`, it depends on what is there now; what is added to a cassette leaves it with what its first part
    depends on, as far as that is known.
    """
    real = _real(path)
    settings = load_upkeep(real.parent)
    name, state = settings.named(real), settings.root / ".respool"
    facts = _stamped(real, settings) if afresh else dict(beside.noted(state, name, path))
    yield
    if facts and path.is_file():
        beside.note(Library(settings.root).state(), name, path, facts)


def _stamped(real: Path, settings: UpkeepSettings) -> dict[str, str]:
    return dict(stamped(real, settings, lambda command: version_of(command, settings.root)))


def _real(path: Path) -> Path:
    """The place of the cassette, also while it is recorded in staging."""
    return here().original(path) if VARIABLE in os.environ else path.absolute()
