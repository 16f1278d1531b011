"""The library: a folder of cassettes. Loading is light; what writing needs is imported by the first write.

Nothing good is destroyed first. A file that cannot be read is told, never taken for a missing one and never
overwritten; a new cassette takes the old one's place in one step, and the old one is kept in `.respool/previous/`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, TypeAlias

from respool.cassette import format as own
from respool.cassette.model import Cassette, Interaction, Request
from respool.cassette.naming import cassette_path as cassette_path
from respool.errors import CassetteBusy, CassetteMissing, CassetteRefused, UsageError

if TYPE_CHECKING:
    from respool.files import FileLock

__tracebackhide__ = True  # an error is shown where a cassette was asked for

SUFFIXES = (".json", ".yaml", ".yml", ".har")
Paths: TypeAlias = list[Path]  # "list" is a method below


class Library:
    """The cassettes in `folder`. A name is a path in it ("login", "test_a/test_b.json"); a Path is taken as it is.

    >>> import tempfile
    >>> library = Library(Path(tempfile.mkdtemp()))
    >>> library.save("login", Cassette(test="test_login")).name
    'login.json'
    >>> library.load("login").test, library.list()
    ('test_login', ['login.json'])
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = folder if isinstance(folder, Path) else Path(folder)
        self._held: set[tuple[str, int]] = set()  # files and the threads that have them

    def path(self, name: str | Path) -> Path:
        """The file of the cassette `name`; ".json" where the name has no suffix of a cassette.

        Raises UsageError for a name that leads out of the folder.
        """
        if not isinstance(name, str):
            return name
        path = self.folder / (name if name.endswith(SUFFIXES) else f"{name}.json")
        if ".." in path.parts or Path(name).is_absolute():
            raise UsageError(f"the cassette's name {name!r} leads out of its library", where=str(self.folder))
        return path

    def load(self, name: str | Path) -> Cassette:
        """The cassette `name`, in our format or in one of foreign/; a foreign one is played as it is.

        Raises CassetteMissing, and CassetteUnreadable for whatever is there and cannot be read.
        """
        return load_cassette(self.path(name))

    def list(self) -> list[str]:
        """The names of all cassettes, sorted: every file with a suffix of one, side files and hidden ones left out."""
        found = []
        for folder, folders, files in os.walk(self.folder):
            folders[:] = [each for each in folders if not each.startswith(".") and not each.endswith(".bodies")]
            place = Path(folder).relative_to(self.folder)
            found += [(place / file).as_posix() for file in files if file.endswith(SUFFIXES) and file[0] != "."]
        return sorted(found)

    def save(self, name: str | Path, cassette: Cassette) -> Path:
        """Put `cassette` in the place of whatever is under that name; the one that was there is kept as the previous.

        The format goes by the suffix, or is the one that a foreign file has (which may hold no times, and no pieces of
        streams). Raises CassetteUnreadable rather than overwrite what cannot be read, CassetteBusy, and CassetteRefused
        for what a foreign format, or the disk, cannot hold.
        """
        path = self.path(name)
        with _written(path), self.lock(path, wait=_PATIENCE):
            self._put(path, cassette, self._there(path))
        return path

    def keep(
        self, name: str | Path, header: Cassette, fresh: Sequence[Interaction], *, afresh: bool = False,
        key: Callable[[Request], Hashable] | None = None,
    ) -> Path:  # fmt: skip
        """Add `fresh` to the cassette, as it is by now: another process may have added to it since it was loaded.

        `header` is the cassette as it was loaded, and what it says of itself if it is new, or recorded `afresh` (then
        `fresh` is all that it holds). With the `key` of a request, its nth occurrence stands once: what the other process
        has added of it meanwhile is not added again. Raises what `save` does.
        """
        path = self.path(name)
        with _written(path), self.lock(path, wait=_PATIENCE):
            there = self._there(path)
            if there is None or afresh:
                cassette = replace(header, interactions=tuple(fresh))
            else:
                new = fresh if key is None else _not_yet(there.interactions, header.interactions, fresh, key)
                cassette = replace(
                    there, interactions=(*there.interactions, *new), matching=header.matching,
                    at=there.at or header.at, test=there.test or header.test,
                )  # fmt: skip
            self._put(path, cassette, there)
        return path

    def staging(self, run: str) -> Library:
        """The library where the run of that name (a plain word) gathers its cassettes before they are swapped in."""
        return Library(self.state() / "staging" / run)

    def swap(self, staged: Library, names: Iterable[str] | None = None) -> Paths:
        """Put all cassettes of `staged`, or those `names`, in the place of ours of the same names. Returns their paths.

        All or none, also if this process is killed: what was begun is carried out by the next write to the library.
        The staged ones stay. Raises what `save` does; CassetteUnreadable too if a staged one cannot be read.
        """
        from respool.cassette import placing

        chosen = sorted(staged.list() if names is None else set(names))
        for name in chosen:
            staged.load(name)
        pairs = [(staged.path(name), self.path(name)) for name in chosen]
        with _written(self.folder), ExitStack() as locks:
            for _, target in pairs:
                locks.enter_context(self.lock(target, wait=_PATIENCE))
            placing.admitted(target for _, target in pairs)
            for _, target in pairs:
                if self._there(target) is not None:
                    placing.put(self.previous(target), placing.taken(target))
            placing.swap(self.state() / "swaps", pairs)
        return [target for _, target in pairs]

    def delete(self, name: str | Path) -> Path:
        """Remove a cassette; it becomes the previous one, which `restore` brings back. Raises CassetteMissing, and
        CassetteRefused if the disk does not let it."""
        from respool.cassette import placing

        path = self.path(name)
        with _written(path), self.lock(path, wait=_PATIENCE):
            if not path.is_file():
                raise CassetteMissing(f"there is no cassette {str(path)!r}", command="respool cassettes list")
            self.keep_previous(path)
            placing.remove(path)
        return path

    def restore(self, name: str | Path) -> Path:
        """Put the previous cassette back; the present one becomes the previous. Raises CassetteMissing if there is none."""
        from respool.cassette import placing

        path = self.path(name)
        with _written(path), self.lock(path, wait=_PATIENCE):
            previous = self.previous(path)
            if not previous.is_file():
                raise CassetteMissing(f"no previous cassette of {str(path)!r} was kept", where=str(previous))
            back = placing.taken(previous)
            if path.is_file():
                placing.put(previous, placing.taken(path))
            placing.put(path, back)
        return path

    @contextmanager
    def lock(self, name: str | Path, *, wait: float = 0.0) -> Iterator[None]:
        """Hold the cassette against every other process and thread; a thread may hold it more than once.

        Raises CassetteBusy, naming who has it, after `wait` seconds.
        """
        from respool.canonical import digest
        from respool.files import FileLock, private_folder

        path = os.path.realpath(self.path(name))
        mine = (path, get_ident())
        if mine in self._held:
            yield
            return
        lock = FileLock(private_folder(self.state() / "locks") / f"{digest(path)}.lock", windows=True)
        holder = {"pid": os.getpid(), "cassette": path, "test": os.environ.get("PYTEST_CURRENT_TEST", "")}
        if not _acquired(lock, wait, holder):
            raise _busy(path, lock)
        self._held.add(mine)
        try:
            yield
        finally:
            self._held.discard(mine)
            lock.release()

    def recover(self) -> Paths:
        """Carry out swaps that a killed process began; every write does so first. Returns what could not be.

        A cassette that was changed since by somebody else is left as it is, and is in the list.
        """
        from respool.cassette import placing

        return placing.roll_forward(self.state() / "swaps")

    def state(self) -> Path:
        """`.respool/` beside the nearest pyproject.toml at or above the folder; made, and ignored by git.

        Without one, in the working folder if the library is below it, else in the library's own folder.
        """
        from respool.config import project_file
        from respool.files import ignore_in_git, private_folder

        project = project_file(self.folder)
        folder, here = self.folder.absolute(), Path.cwd()
        if project is not None:
            folder = project.parent.absolute()
        elif folder.is_relative_to(here):
            folder = here
        state = private_folder(folder / ".respool")
        ignore_in_git(state)
        return state

    def _there(self, path: Path) -> Cassette | None:
        """What is in its place by now, after what others left half done was carried out."""
        self.recover()
        try:
            return self.load(path)
        except CassetteMissing:
            return None

    def _put(self, path: Path, cassette: Cassette, there: Cassette | None) -> None:
        from respool.cassette import placing

        origin = there.origin if there is not None else _FORMATS.get(path.suffix, "respool")
        if origin == "respool":
            written = own.write(cassette if cassette.writer else replace(cassette, writer=_writer()))
        else:
            from respool.cassette import foreign

            written = own.Written(foreign.write(cassette, origin, where=str(path)).data, {})
        if there is not None:
            self.keep_previous(path)
        placing.put(path, written)

    def keep_previous(self, path: Path) -> None:
        """Copy the cassette at `path` to where `restore` finds it; not one in staging, which nobody will want back."""
        from respool.cassette import placing

        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.state())):
            return
        placing.put(self.previous(path), placing.taken(path))

    def previous(self, name: str | Path) -> Path:
        """Where the cassette that was there before is kept, whether or not one is; it can be loaded like any other."""
        from respool.canonical import digest

        state = self.state()
        real = Path(os.path.realpath(self.path(name)))
        project = Path(os.path.realpath(state.parent))
        if real.is_relative_to(project):
            return state / "previous" / real.relative_to(project)
        return state / "previous" / digest(str(real.parent)) / real.name


def load_cassette(path: Path) -> Cassette:
    """The cassette in the file at `path`, for whoever needs no library around it. Raises what `Library.load` does."""
    return _read(_bytes_of(path), path)[0]


class Shelf:
    """Loads like `load_cassette`, for tests that share cassettes one after the other: none of the last few is taken apart
    again while its file holds the same bytes. One that has side files is, for their content is not in those bytes.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[bytes, Cassette]] = {}

    def load(self, path: Path) -> Cassette:
        """The cassette that is in the file now. Raises what `Library.load` does."""
        where, data = str(path), _bytes_of(path)
        latest = self._latest.get(where)
        if latest is not None and latest[0] == data:
            return latest[1]
        cassette, alone = _read(data, path)
        if alone and len(data) <= _LARGEST_KEPT:
            for older in list(self._latest)[: 1 - _KEPT]:
                self._latest.pop(older, None)
            self._latest[where] = data, cassette
        return cassette


_KEPT, _LARGEST_KEPT = 4, 1 << 24  # cassettes; bytes


def _bytes_of(path: Path) -> bytes:
    where = str(path)
    try:
        with open(where, "rb", buffering=0) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise CassetteMissing(
            f"there is no cassette {where!r}", command="pytest --cassettes=fill   (to record it)"
        ) from None
    except OSError as error:
        raise own.unreadable(where, None, str(error)) from None


def _read(data: bytes, path: Path) -> tuple[Cassette, bool]:
    """The cassette of a file, and whether its bytes alone decide what it is."""
    where = str(path)
    if b'"format"' not in data[:64]:
        from respool.cassette import foreign

        found = foreign.read(data, where)
        if found is not None:
            return found, True
    asked: list[str] = []

    def side(digest: str) -> bytes:
        asked.append(digest)
        return _side(path, digest)

    return own.read(data, where, side), not asked


_PATIENCE = 30.0  # seconds; who only adds holds a cassette for milliseconds, who records it for the length of a test
_FORMATS = {".yaml": "vcrpy-yaml", ".yml": "vcrpy-yaml", ".har": "har"}


def _side(path: Path, digest: str) -> bytes:
    from respool.cassette.placing import side_folder

    return (side_folder(path) / digest).read_bytes()


def _not_yet(
    there: Sequence[Interaction], loaded: Sequence[Interaction], fresh: Sequence[Interaction],
    key: Callable[[Request], Hashable],
) -> list[Interaction]:  # fmt: skip
    """Those of `fresh` whose occurrence nobody has added to what was loaded: of each key, as many are left out as came."""
    added = Counter(key(each.request) for each in there) if there != loaded else Counter()
    if added:
        added.subtract(key(each.request) for each in loaded)
    found = []
    for each in fresh:
        its = key(each.request)
        if added[its] > 0:
            added[its] -= 1
        else:
            found.append(each)
    return found


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CassetteRefused(
            f"the cassette {str(path)!r} could not be written; the one on disk is as it was",
            where=error.filename or str(path), why=error.strerror or str(error),
            command="make room, or the folder writable, and record again",
        ) from None  # fmt: skip


def _writer() -> str:
    from importlib.metadata import version

    return f"respool {version('respool')}"


def _acquired(lock: FileLock, wait: float, holder: dict[str, object]) -> bool:
    if lock.acquire(holder=holder):
        return True
    from respool.clock import SystemClock

    clock = SystemClock()
    end = clock.monotonic() + wait
    while clock.monotonic() < end:
        clock.sleep(0.005)
        if lock.acquire(holder=holder):
            return True
    return False


def _busy(path: str, lock: FileLock) -> CassetteBusy:
    holder = lock.holder()
    test = f", in {holder['test']}" if holder.get("test") else ""
    return CassetteBusy(
        f"the cassette {path!r} is being written by process {holder.get('pid', 'unknown')}{test}", where=str(lock.path),
        why="two processes that record one cassette at a time would each lose what the other recorded",
        command="wait for it to end, or record without xdist: pytest -n 0 --cassettes=fill",
    )  # fmt: skip
