"""Text files as people have them: plain or gzipped, with commas, tabs or blanks, a header or none. Read once, with digest."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from respool.clusters.model import Input
from respool.errors import UsageError
from respool.phrases import meant

_GZIP, _ZIP, _UTF16 = b"\x1f\x8b", b"PK\x03\x04", (b"\xff\xfe", b"\xfe\xff")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})  # what says "no value", in any case


@dataclass(frozen=True, slots=True)
class Text:
    """A file that was read: its base name, the digest of its bytes as they are on disk, and its lines."""

    name: str
    digest: str
    lines: list[str]

    def as_input(self, role: str, rows: int) -> Input:
        """What the result keeps of this file."""
        return Input(role, self.name, self.digest, rows)


def read_text(path: Path) -> Text:
    """The text of a UTF-8 file, plain or gzipped, without byte order mark.

    Raises UsageError for a file that is missing, empty, damaged, or no text (a spreadsheet, say).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}", where=str(path)) from None
    digest = blake2b(data, digest_size=16).hexdigest()
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{path.name} is a damaged gzip file", where=str(path), why=str(error)) from None
    if (what := _no_text(data)) is not None:
        raise UsageError(f"{path.name} {what}", where=str(path), command="export it as UTF-8 text, tab separated")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path.name} is no UTF-8 text: byte 0x{data[error.start]:02x}", where=f"{path}:{line}",
            command=f"iconv -f LATIN1 -t UTF-8 {path.name}",
        ) from None  # fmt: skip
    if not text.strip():
        raise UsageError(f"{path.name} is empty", where=str(path))
    return Text(path.name, digest, text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def _no_text(data: bytes) -> str | None:
    """What bytes are that cannot be UTF-8 text, or None."""
    if data.startswith(_ZIP):
        return "is a zip file (a spreadsheet is one)"
    if data.startswith(_UTF16):
        return "is UTF-16 text"
    return "holds zero bytes: it is UTF-16, or no text" if b"\0" in data else None  # valid UTF-8, but nobody's name


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a delimited text: `numbers` are their lines in the file, from 1; blank lines and comments are left out."""

    name: str
    delimiter: str
    numbers: list[int]
    cells: list[list[str]]

    def where(self, row: int) -> str:
        """The place of a row, for messages."""
        return f"{self.name}:{self.numbers[row]}"

    def column(self, name: str, header: Sequence[str]) -> int:
        """Where the column of that name is. Raises UsageError that says which columns there are."""
        try:
            return list(header).index(name)
        except ValueError:
            close = meant(name, header)
            raise UsageError(
                f"{self.name} has no column {name!r}", where=self.where(0), why=f"it has {listed(header)}",
                command=f"did you mean {' or '.join(map(repr, close))}?" if close else None,
            ) from None  # fmt: skip


def rows_of(text: Text) -> Rows:
    """The cells of a text whose delimiter is told by its first line: tab, semicolon, comma, else runs of blanks.

    A first line that starts with # is a header (STRING writes it so); later ones are comments.
    """
    numbered = [(number, line) for number, line in enumerate(text.lines, 1) if line.strip()]
    numbered = [numbered[0], *(pair for pair in numbered[1:] if not pair[1].startswith("#"))]
    first = numbered[0][1]
    delimiter = next((each for each in "\t;," if each in first), " ")
    numbers, lines = [number for number, _ in numbered], [line for _, line in numbered]
    lines[0] = lines[0].removeprefix("#")
    if delimiter == " ":
        return Rows(text.name, delimiter, numbers, [line.split() for line in lines])
    return Rows(text.name, delimiter, numbers, list(_separated(text.name, numbers, lines, delimiter)))


def _separated(name: str, numbers: list[int], lines: list[str], delimiter: str) -> Iterator[list[str]]:
    for number, line in zip(numbers, lines, strict=True):
        if '"' not in line:
            yield [cell.strip() for cell in line.split(delimiter)]
            continue
        try:
            yield [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
        except csv.Error as error:
            raise UsageError(f"{name} has a line that cannot be split", where=f"{name}:{number}", why=str(error)) from None


def number_of(cell: str) -> float | None:
    """The finite number that a cell holds, or None.

    >>> number_of("1e-3"), number_of("tall"), number_of("inf"), number_of("1_0")
    (0.001, None, None, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if value - value == 0 and "_" not in cell else None


def listed(names: Sequence[str], most: int = 8) -> str:
    """Some names for a message, and how many more there are.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
