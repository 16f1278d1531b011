"""vcrpy's own persister: a path, a serialiser, a text file; written atomically here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from respool import files
from respool.compat.vcr import serialize


class CassetteNotFoundError(FileNotFoundError):
    """There is no such cassette, or it is empty."""


class CassetteDecodeError(ValueError):
    """The file is no text."""


class FilesystemPersister:
    """Loads and saves cassettes as files."""

    @classmethod
    def load_cassette(cls, cassette_path: str | os.PathLike[str], serializer: Any) -> Any:
        """(requests, responses[, metadata]). Raises the two errors of this module, and the serialiser's."""
        path = Path(cassette_path)
        if not path.is_file():
            raise CassetteNotFoundError(str(path))
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise CassetteDecodeError(f"{path} is not UTF-8") from error
        if not text.strip():
            raise CassetteNotFoundError(f"{path} is empty")
        return serialize.deserialize(text, serializer)

    @staticmethod
    def save_cassette(cassette_path: str | os.PathLike[str], cassette_dict: dict[str, Any], serializer: Any) -> None:
        """Write the cassette; its folder is made."""
        path = Path(cassette_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, serialize.serialize(cassette_dict, serializer), mode=0o644, durable=False)
