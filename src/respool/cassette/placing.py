"""How cassettes get to their places: side files first, then the file in one step; several of them by a journal.

A reader, and any crash, sees the old cassette or the new one. Side files are named by their content, so new ones stand
beside old ones until nothing names the old ones any more. A journal says which staged file goes where, and what was
there; it is written before the first file moves and removed after the last: whoever finds one carries it out.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from respool.canonical import digest
from respool.cassette.format import Written
from respool.errors import CassetteRefused
from respool.files import FileLock, remove_tree, scratch_file, sync_folder, write_atomic

SIDE_SUFFIX = ".bodies"


def side_folder(path: Path) -> Path:
    """Where the side files of the cassette at `path` are: beside it, under its name.

    >>> side_folder(Path("cassettes/test_a.json")).as_posix()
    'cassettes/test_a.bodies'
    """
    # Not that of test_a.json for a test_a.yaml, which may well lie beside it.
    return path.with_suffix(SIDE_SUFFIX) if path.suffix == ".json" else path.with_name(path.name + SIDE_SUFFIX)


def taken(path: Path) -> Written:
    """The files of a cassette as they are, read by nobody. Raises OSError."""
    folder = side_folder(path)
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return Written(path.read_bytes(), {name: (folder / name).read_bytes() for name in names if len(name) == 32})


def put(path: Path, written: Written) -> None:
    """Replace the cassette at `path`, which keeps its mode and, if it is a link, its place. Raises OSError.

    The caller holds its lock: what is found of a file in the making was left by a process that was killed.
    """
    path = Path(os.path.realpath(path))
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        remains.unlink(missing_ok=True)
    _put_sides(path, written.side)
    _put_file(path, written.data)
    _clear_sides(path, written.side)


def remove(path: Path) -> None:
    """Remove the cassette at `path` and its side files, the cassette first: no half of one is ever there. Raises OSError."""
    path = Path(os.path.realpath(path))
    path.unlink()
    _clear_sides(path, {})


def admitted(targets: Iterable[Path]) -> None:
    """Make sure that cassettes can be written at these paths, before any is. Raises CassetteRefused, naming the folder."""
    for folder in sorted({Path(os.path.realpath(target)).parent for target in targets}):
        place = next(each for each in (folder, *folder.parents) if each.exists())
        try:
            scratch_file(place).close()
        except OSError as error:
            raise CassetteRefused(
                f"the folder {str(place)!r} cannot be written ({error.strerror}): its cassettes are as they were",
                where=str(place), command=f"chmod u+w {quote(str(place))}   (or make room), and record again",
            ) from None  # fmt: skip


class Move(NamedTuple):
    """One file of a swap: what is in `staged` goes to `target`, where a file with the digest `old` (or none) was."""

    staged: str
    target: str
    old: str | None
    new: str


def swap(journals: Path, pairs: Iterable[tuple[Path, Path]]) -> None:
    """Put each (staged, target), all of them or, if this process dies before the journal is there, none.

    The staged files stay. The caller holds the locks of the targets. Raises OSError.
    """
    moves, sides = [], {}
    for staged, target in pairs:
        target = Path(os.path.realpath(target))
        written = taken(staged)
        sides[target] = written.side
        moves.append(Move(str(staged.absolute()), str(target), _digest_of(target), digest(written.data)))
    for target, side in sides.items():
        _put_sides(target, side)
    journals.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal = journals / f"{secrets.token_hex(8)}.json"
    lock = FileLock(journal.with_suffix(".lock"), windows=True)
    lock.acquire()
    try:
        write_atomic(journal, json.dumps(moves))
        _begin(moves, journal)
        for target, side in sides.items():
            _clear_sides(target, side)
        _forget(journal)
    finally:
        lock.release()
        lock.path.unlink(missing_ok=True)


def _begin(moves: list[Move], journal: Path) -> None:
    """Carry out what the journal says; forget it if not even the first file could be moved: nothing was begun then."""
    try:
        _carry_out(moves)
    except OSError:
        if all(_digest_of(Path(move.target)) == move.old for move in moves):
            _forget(journal)
        raise


def roll_forward(journals: Path) -> list[Path]:
    """Carry out what a dead process left half done. Returns the targets that are not what its journal says.

    Those were changed by somebody since, or their staged file is gone; they are left as they are.
    """
    left: list[Path] = []
    for journal in sorted(journals.glob("*.json")):
        lock = FileLock(journal.with_suffix(".lock"), windows=True)
        if not lock.acquire():
            continue  # its process is alive and at it
        try:
            moves = [Move(*move) for move in json.loads(journal.read_bytes())]
            changed = _carry_out(moves)
            for move in moves:
                if Path(move.target) not in changed and Path(move.staged).exists():
                    _clear_sides(Path(move.target), taken(Path(move.staged)).side)
            left += changed
            _forget(journal)
        except FileNotFoundError:
            pass  # done by another process between our look and our lock
        finally:
            lock.release()
            lock.path.unlink(missing_ok=True)
    return left


def _carry_out(moves: list[Move]) -> list[Path]:
    left = []
    for move in moves:
        target, staged = Path(move.target), Path(move.staged)
        now = _digest_of(target)
        if now == move.new:
            continue
        if now == move.old and _digest_of(staged) == move.new:
            _put_file(target, staged.read_bytes())
        else:
            left.append(target)
    return left


def _forget(journal: Path) -> None:
    journal.unlink()
    sync_folder(journal.parent)


def _digest_of(path: Path) -> str | None:
    try:
        return digest(path.read_bytes())
    except FileNotFoundError:
        return None


def _put_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        write_atomic(path, data, mode=0o666)  # less what the user's umask says
        return
    write_atomic(path, data, mode=mode)
    if path.stat().st_mode & 0o777 != mode:
        path.chmod(mode)


def _put_sides(path: Path, side: Mapping[str, bytes]) -> None:
    if side:
        folder = side_folder(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in side.items():
            if _digest_of(folder / name) != name:
                write_atomic(folder / name, body, mode=0o666)


def _clear_sides(path: Path, side: Mapping[str, bytes]) -> None:
    """Remove what no cassette names any more, and what a crash left of a file in the making."""
    folder = side_folder(path)
    if not folder.is_dir():
        return
    if not side:
        remove_tree(folder)
        return
    for name in os.listdir(folder):
        if name not in side and (len(name) == 32 or name.endswith(".tmp")):
            (folder / name).unlink(missing_ok=True)
