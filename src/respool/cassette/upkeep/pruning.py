"""What is kept of cassettes that were replaced: previous versions and backups, and those that are old enough to go."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from respool.cassette import placing
from respool.cassette.placing import SIDE_SUFFIX, side_folder
from respool.cassette.upkeep.fixes import BACKUPS, backups
from respool.files import remove_tree


class Kept(NamedTuple):
    """A previous version of a cassette, or a backup of a fix: kept since `at` (UTC microseconds)."""

    path: Path
    kind: str
    at: int
    bytes: int


def kept(state: Path, before: int) -> list[Kept]:
    """What has been kept in the state folder since `before` or longer, the oldest first."""
    found = []
    for path in (state / "previous").rglob("*"):
        if path.is_file() and not any(part.endswith(SIDE_SUFFIX) for part in path.relative_to(state).parts):
            size = path.stat().st_size + _size(side_folder(path))
            found.append(Kept(path, "previous version", path.stat().st_mtime_ns // 1000, size))
    found += [Kept(each.folder, f"backup of {each.why}", each.at, _size(each.folder)) for each in backups(state)]
    return sorted((each for each in found if each.at < before), key=lambda each: each.at)


def remove(each: Kept) -> None:
    """Delete it for good. Raises OSError."""
    if each.path.parent.name == BACKUPS:
        remove_tree(each.path)
        return
    placing.remove(each.path)
    for folder in each.path.parents:
        if folder.name == "previous" or any(folder.iterdir()):
            return
        folder.rmdir()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
