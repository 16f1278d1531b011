"""Files that are either old or new, and locks that die with their owner.

Everything that must survive a crash is written here: to a temporary name in the same folder, then renamed. Locks are
`flock` locks on files of their own: the kernel frees them on any death of the process, so nobody ever has to judge
whether an owner is still alive by its age or its process number.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: the cassette half works there, what needs flock() says so
    fcntl = None  # type: ignore[assignment]

from respool.errors import UsageError

# Windows has neither: there descriptors are not inherited anyway, and O_BINARY keeps line ends as they are.
_PRIVATE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_NETWORK_FILE_SYSTEMS = frozenset({
    "nfs", "nfs3", "nfs4", "cifs", "smb", "smbfs", "smb2", "smb3", "afs", "ncpfs", "glusterfs", "ceph", "fuse.sshfs",
    "fuse.glusterfs", "fuse.s3fs", "fuse.davfs2", "fuse.rclone", "lustre", "beegfs", "9p", "webdav", "davfs", "gpfs",
    "ocfs2", "gfs2",
})  # fmt: skip


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace the content of `path` so that a reader, at any moment and after any crash, sees the old or the new.

    `durable` also waits for the disk, file and folder: needed against power loss, not against the death of a process.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PRIVATE, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def file_digest(path: Path) -> str:
    """The digest of a file's content (BLAKE2b, 128 bits), read in pieces."""
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    if os.name == "nt":
        return  # it has no way to say so
    descriptor = os.open(folder, os.O_RDONLY | _PRIVATE)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def scratch_file(folder: Path | None = None) -> IO[bytes]:
    """A file without a name, readable and writable, gone when it is closed; on the disk of `folder`. Raises OSError."""
    return tempfile.TemporaryFile(dir=folder)


def open_closed_streams() -> None:
    """Give standard streams that the caller has closed (`respool jobs >&-`) to /dev/null, with their numbers.

    Else the next file that is opened gets such a number, and what a library prints goes into the spool.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def reserve(path: Path, size: int) -> bool:
    """Take `size` bytes of the disk, to be given back by removing `path` when there is need; False if it has not got them."""
    descriptor = None
    try:
        private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _PRIVATE, 0o600)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.write(descriptor, bytes(size))
    except OSError:
        give_back(path)
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return True


def give_back(path: Path) -> None:
    """Give back what `reserve` took, if it is there and can be."""
    with contextlib.suppress(OSError):
        path.unlink()


def private_folder(folder: Path) -> Path:
    """Make `folder` (0700, with parents) if it is not there, and return it."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours and all that is in it; what is already gone is no error."""
    shutil.rmtree(folder, ignore_errors=True)


class Aside:
    """Files and folders that a repair moves into the folder of its backup. `moved` are pairs of where one is now and where
    it was; `save` writes them down, and is called before each move: a kill leaves a line too many, not a file that nobody
    knows of.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> (place / "a").touch()
    >>> aside = Aside(place / "backup", [], lambda: None)
    >>> aside.take(place / "a"), (place / "a").exists()
    (None, False)
    >>> aside.give_back(Aside(place / "undo", [], lambda: None)), (place / "a").exists()
    (None, True)
    """

    def __init__(self, folder: Path, moved: list[list[str]], save: Callable[[], object]) -> None:
        self._folder, self.moved, self._save = folder, moved, save

    def take(self, path: Path) -> None:
        """Move a file or folder here; what is no longer there is no error."""
        if path.exists():
            self._move(path, private_folder(self._folder / "moved") / f"{len(self.moved)}-{path.name}")

    def give_back(self, to: Aside) -> None:
        """Move all back to where it was, as far as that place is free; `to` notes it, so that it can be undone again."""
        for now, was in self.moved:
            source, target = Path(now), Path(was)
            if source.exists() and not target.exists():
                private_folder(target.parent)
                to._move(source, target)

    def _move(self, source: Path, target: Path) -> None:
        self.moved.append([str(target), str(source)])
        self._save()
        source.rename(target)


def ignore_in_git(folder: Path) -> None:
    """Make git ignore `folder` and all that is in it, without touching any file outside of it."""
    marker = folder / ".gitignore"
    if not marker.exists():
        write_atomic(marker, "*\n", mode=0o644, durable=False)


_MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")  # how the kernel writes blanks and backslashes


def network_file_system(path: Path, *, mounts: Path = _MOUNTS) -> str | None:
    """The type of the network file system that holds `path`, or None if it is a local one (or cannot be told).

    `mounts` is the kernel's table, a mount to a line.
    """
    existing = path.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError:
        return None
    best, kind = "", ""
    place = os.path.realpath(existing)
    for line in table:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), fields[1])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind if kind in _NETWORK_FILE_SYSTEMS else None


class FileLock:
    """An exclusive lock that the kernel frees when its holder dies, however it dies.

    The file's content tells who holds it (pid, host, since); it is information for people, never the lock itself.
    The lock is not inherited: the descriptor is close-on-exec, and a forked child closes it. On Windows there is one
    only for who says `windows=True`: the kernel frees it there too, but a process's death is not always the same thing.

    >>> import tempfile
    >>> lock = FileLock(Path(tempfile.mkdtemp()) / "spool.lock")
    >>> lock.acquire(), FileLock(lock.path).acquire()
    (True, False)
    >>> lock.release()
    """

    def __init__(self, path: Path, *, windows: bool = False) -> None:
        self.path = path
        self._windows = windows
        self._descriptor: int | None = None
        self._owner_pid = 0

    @property
    def held(self) -> bool:
        """Whether this object, in this process, holds the lock."""
        return self._descriptor is not None and self._owner_pid == os.getpid()

    def acquire(self, *, blocking: bool = False, holder: dict[str, Any] | None = None) -> bool:
        """Take the lock; False if somebody else has it and `blocking` is off. `holder` is kept for people to read."""
        if fcntl is None and not self._windows:
            raise UsageError("locks need a POSIX system", why="this platform has no flock()")
        if self.held:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _PRIVATE, 0o600)
        try:
            if not _locked(descriptor, blocking):
                os.close(descriptor)
                return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._owner_pid = descriptor, os.getpid()
        _close_in_children(self)
        if holder is not None:
            with contextlib.suppress(OSError):  # a full disk: the lock itself needs no room
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, json.dumps(holder).encode())
        return True

    def release(self) -> None:
        """Give the lock back. Does nothing if this process does not hold it."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            _OPEN.discard(self)
            os.close(descriptor)

    def holder(self) -> dict[str, Any]:
        """What the present or last holder wrote about itself; empty if nothing readable is there."""
        try:
            found = json.loads(self.path.read_bytes() or b"{}")
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def is_free(self) -> bool:
        """Whether nobody holds the lock at this moment (this process included)."""
        if self.held:
            return False
        try:
            probe = os.open(self.path, os.O_RDONLY | _PRIVATE)  # who may only look can ask, too
        except FileNotFoundError:
            return True
        try:
            return _locked(probe, blocking=False)
        finally:
            os.close(probe)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock for the length of a `with` block, waiting for it."""
        self.acquire(blocking=True)
        try:
            yield
        finally:
            self.release()


def _locked(descriptor: int, blocking: bool) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    import msvcrt  # locks bytes, not files, and keeps others from reading them: one that lies behind all content

    while True:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            if not blocking:
                return False
            with contextlib.suppress(OSError):  # it waits by itself, ten seconds at a time
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                return True
        else:
            return True


_OPEN: set[FileLock] = set()
_REGISTERED = False


def _close_in_children(lock: FileLock) -> None:
    """A forked child that keeps the descriptor would keep a dead owner's lock alive: close it there."""
    global _REGISTERED
    _OPEN.add(lock)
    if not _REGISTERED and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)
        _REGISTERED = True


def _forget_all() -> None:
    for lock in list(_OPEN):
        lock.release()
