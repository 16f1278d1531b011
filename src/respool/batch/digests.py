"""The digests of files, remembered by size, time and inode, so that an unchanged file is not read again."""

from __future__ import annotations

from pathlib import Path

from respool.batch.store.connection import Database
from respool.files import file_digest


class Digests:
    """A memo in the spool; `remember=False` for runs that write nothing."""

    def __init__(self, database: Database | None) -> None:
        self._database = database
        self._fresh: list[tuple[str, int, int, int, str]] = []

    def of(self, path: Path) -> str | None:
        """The digest of the file, or None if it is not there or cannot be read."""
        try:
            stat = path.stat()
            known = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
            row = self._database.one("file_digest", *known) if self._database is not None else None
            if row is not None:
                return str(row[0])
            digest = file_digest(path)
        except OSError:
            return None
        self._fresh.append((*known, digest))
        return digest

    def save(self) -> None:
        """Keep what was learnt since, in one transaction."""
        if self._fresh and self._database is not None:
            with self._database.write():
                self._database.many("save_file_digest", self._fresh)
            self._fresh.clear()
