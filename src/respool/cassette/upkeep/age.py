"""When a cassette is stale: its age, the files it depends on, the version of the service it was recorded from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

from respool.canonical import digest
from respool.cassette.library import Library
from respool.cassette.model import Cassette, Failure, header
from respool.cassette.upkeep import beside
from respool.cassette.upkeep.settings import UpkeepSettings
from respool.clock import MICROSECONDS
from respool.errors import CassetteError
from respool.files import file_digest

Version = Callable[[str], str | None]
"""A command → what it printed, None if it failed."""

INPUTS, UPSTREAM = "inputs", "upstream"
"""Where a cassette's `extra`, or the note beside it, keeps what it depended on when it was recorded."""


class Stale(NamedTuple):
    """A cassette that is to be recorded again, and why, in words."""

    cassette: Path
    reason: str


def stale(
    library: Library | Iterable[Path], now: int, settings: UpkeepSettings, version: Version | None = None,
) -> list[Stale]:  # fmt: skip
    """The cassettes of `library` (or of these paths) that are stale at `now`, with the reason, the oldest first.

    `version` runs the declared commands; without it, upstream versions are not looked at. Those that cannot be read are
    left out: to record them again would overwrite what somebody may want to save.
    """
    paths = [library.path(name) for name in library.list()] if isinstance(library, Library) else list(library)
    found: list[tuple[int, Stale]] = []
    for path in paths:
        try:
            cassette = Library(path.parent).load(path)
        except CassetteError:
            continue
        reason = reason_of(path.absolute(), cassette, now, settings, version)
        if reason is not None:
            found.append((recorded_at(cassette) or 0, Stale(path, reason)))
    return [each for _, each in sorted(found)]


def reason_of(
    path: Path, cassette: Cassette, now: int, settings: UpkeepSettings, version: Version | None = None,
) -> str | None:  # fmt: skip
    """Why the cassette at `path` is stale, or None."""
    at, refresh = recorded_at(cassette), settings.refresh_of(path)
    if refresh is not None and at is not None and now - at > refresh * MICROSECONDS:
        return f"its oldest answer is {days(now - at)} old, and it is to be refreshed every {days(refresh * MICROSECONDS)}"
    globs, command = settings.inputs_of(path), settings.upstream_of(path)
    known = _origin(path, cassette, settings) if globs or command is not None else {}
    was = known.get(INPUTS)
    if was is not None and globs and was != digest_of(globs, settings.root):
        return f"what it depends on has changed: {', '.join(globs)}"
    recorded = known.get(UPSTREAM)
    if recorded is not None and command is not None and version is not None:
        current = version(command)
        if current is not None and current != recorded:
            return f"it was recorded from version {recorded}, the service has {current}"
    return None


def lacks_origin(path: Path, cassette: Cassette, settings: UpkeepSettings) -> bool:
    """Whether it is declared what the cassette at `path` depends on, and not known what it was recorded from."""
    wanted = [name for name, given in ((INPUTS, settings.inputs_of(path)), (UPSTREAM, settings.upstream_of(path))) if given]
    known = _origin(path, cassette, settings) if wanted else {}
    return any(name not in known for name in wanted)


def _origin(path: Path, cassette: Cassette, settings: UpkeepSettings) -> Mapping[str, Any]:
    """What the cassette says that it was recorded from, or, where it has no room for that, what was noted beside it."""
    if cassette.origin == "respool":
        return cassette.extra
    return {**cassette.extra, **beside.noted(settings.root / ".respool", settings.named(path), path)}


def recorded_at(cassette: Cassette) -> int | None:
    """When the oldest interaction was recorded (UTC microseconds), None if nothing tells.

    What has no time of its own (a cassette of vcrpy's) has that of the answer's Date header.
    """
    found = []
    for each in cassette.interactions:
        at = each.at
        if not at and not isinstance(each.response, Failure):
            at = _date(header(each.response.headers, "date"))
        if at:
            found.append(at)
    return min(found, default=cassette.at or None)


def _date(text: str | None) -> int:
    try:
        return int(parsedate_to_datetime(text).timestamp() * MICROSECONDS) if text else 0
    except (ValueError, OverflowError, TypeError):
        return 0


def digest_of(globs: Iterable[str], root: Path) -> str:
    """The digest of the files below `root` that these globs mean, names included."""
    files = sorted({path for glob in globs for path in root.glob(glob) if path.is_file()})
    return digest(*(part for path in files for part in (path.relative_to(root).as_posix(), file_digest(path))))


def stamped(path: Path, settings: UpkeepSettings, version: Version | None = None) -> Mapping[str, str]:
    """What a cassette that is recorded now at `path` depends on, for its `extra`."""
    found = {}
    if globs := settings.inputs_of(path):
        found[INPUTS] = digest_of(globs, settings.root)
    command = settings.upstream_of(path)
    if command is not None and version is not None and (current := version(command)) is not None:
        found[UPSTREAM] = current
    return found


def days(microseconds: float) -> str:
    """A length of time in the unit that people would use.

    >>> days(30 * 86400 * 1e6), days(90 * 60 * 1e6), days(1e6)
    ('30 days', '90 minutes', '1 second')
    """
    seconds = microseconds / MICROSECONDS
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= 2 * size or size == 1 or seconds == size:
            number = int(seconds // size)
            return f"{number} {word}{'' if number == 1 else 's'}"
    raise AssertionError(microseconds)
