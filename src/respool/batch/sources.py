"""Where items come from: files, globs, functions, values. All become lines that can be cut into blocks.

A line is the unit of comparing; what it means (key, payload) is parsed only when its block is new. Sources that are no
line files themselves (CSV, values, a pipe) are written to a scratch file first, one line `[key, payload]` each.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import IO, Any

from respool.batch.blocks import Span, cut
from respool.batch.declaration import Mode, Task
from respool.batch.model import Row, bad_key
from respool.canonical import NotCanonical, decode, digest, encode
from respool.errors import UsageError
from respool.files import file_digest, scratch_file

Parse = Callable[[bytes], tuple[str, Any, tuple[str, ...]]]
"""A line's key, its payload, and further parts of the fingerprint (digests of files)."""

KEY_FIELDS = ("key", "id")


class Source:
    """Items in lines: `lines` is a seekable binary file, `parse` says what a line means, `name` where it came from.

    `about` is kept with the job. Close it when done.
    """

    def __init__(self, name: str, lines: IO[bytes], parse: Parse, about: dict[str, Any]) -> None:
        self.name = name
        self.about = about
        self._lines = lines
        self._parse = parse

    def close(self) -> None:
        self._lines.close()

    def whole_digest(self, basis: str) -> str:
        """The digest of everything: equal means that nothing has to be looked at."""
        self._lines.seek(0)
        parts = [basis]
        while chunk := self._lines.read(1 << 22):
            parts.append(digest(chunk))
        return digest(*parts)

    def spans(self, basis: str) -> list[Span]:
        """The blocks of the source."""
        self._lines.seek(0)
        return list(cut(self._lines, basis))

    def rows(self, span: Span, task: Task) -> list[Row]:
        """The items of one block. Raises UsageError, naming the line, for what is no item."""
        self._lines.seek(span.offset)
        rows: list[Row] = []
        for number, line in enumerate(io.BytesIO(self._lines.read(span.size)), span.line):
            if not line.strip():
                continue
            try:
                key, payload, extra = self._parse(line)
                text = encode(payload)
                told = text if not task.aside else encode(_without(payload, task.aside))
            except (NotCanonical, UnicodeDecodeError) as error:
                raise self._bad(number, f"is no item: {error}", line) from None
            except UsageError as error:
                raise self._bad(number, error.what, line) from None
            problem = _key_problem(key)
            if problem:
                raise self._bad(number, problem, line)
            rows.append(Row(key, text, fingerprint(task, key, told, extra)))
        return rows

    def where_is(self, key: str) -> str:
        """Which items have this key, for a message: "cities.jsonl, items 2 and 7". Reads all lines again."""
        self._lines.seek(0)
        numbers = [str(number) for number, line in enumerate(self._lines, 1) if self._has(line, key)]
        return f"{self.name}, items {' and '.join(numbers)}"

    def _has(self, line: bytes, key: str) -> bool:
        with contextlib.suppress(NotCanonical, UnicodeDecodeError, UsageError):  # a later line may be no item
            return self._parse(line)[0] == key
        return False

    def _bad(self, number: int, problem: str, line: bytes) -> UsageError:
        shown = line.decode("utf-8", "replace").strip()
        return UsageError(
            f"item {number} {problem}", where=f"{self.name}:{number}: {shown[:80]}{'…' if len(shown) > 80 else ''}",
            command="mend it and run the same command again; nothing was run",
        )  # fmt: skip


def _key_problem(key: str) -> str | None:
    problem = bad_key(key)
    if problem:
        return f"has a key that {problem}"
    return f"has the key {key!r}; keys that begin with @ are respool's own" if key.startswith("@") else None


def _without(payload: Any, aside: Sequence[str]) -> Any:
    """The part of a payload that says what the work is."""
    return {name: value for name, value in payload.items() if name not in aside} if isinstance(payload, dict) else payload


def fingerprint(task: Task, key: str, payload: str, extra: tuple[str, ...] = ()) -> str:
    """The identity of a piece of work: task, declared version, payload, digests of files. For commands also the key,
    which stands in the command line."""
    own = (key,) if task.mode is Mode.COMMAND else ()
    return digest(task.name, task.version, payload, *own, *extra)


def basis(task: Task, source_form: str) -> str:
    """All that decides what the lines of a source mean, apart from the lines."""
    return digest(task.name, task.version, str(task.mode), source_form, *task.aside)


def from_file(path: Path, key: str | None = None) -> Source:
    """Items from a JSONL (.jsonl, .ndjson) or CSV (.csv, .tsv) file; `key` names the field that is an item's key."""
    try:
        lines = path.open("rb")
    except OSError as error:
        raise UsageError(f"the items cannot be read: {error.strerror}", where=str(path)) from None
    if path.suffix in (".csv", ".tsv"):
        return from_csv(lines, key, name=str(path), delimiter="\t" if path.suffix == ".tsv" else ",")
    if path.suffix not in (".jsonl", ".ndjson", ".json"):
        lines.close()
        raise UsageError(
            f"items come as .jsonl, .ndjson, .csv or .tsv, not {path.suffix or 'without an ending'!r}", where=str(path)
        )
    return from_jsonl(lines, key, name=str(path))


def from_jsonl(lines: IO[bytes], key: str | None, *, name: str) -> Source:
    """Items from lines of JSON; a line's key is its field `key`, else `key` or `id`, else the digest of the payload."""

    def parse(line: bytes) -> tuple[str, Any, tuple[str, ...]]:
        # A byte order mark begins what other systems write, and with it each part of what was joined from several files.
        payload = decode(line.removeprefix(BOM_UTF8))
        return _key_of(payload, key), payload, ()

    return Source(name, lines, parse, {"kind": "jsonl", "from": name, "key": key})


def from_pipe(pipe: IO[bytes], key: str | None) -> Source:
    """Items from lines of JSON on a pipe: kept in a scratch file, since they are read twice."""
    scratch = scratch_file()
    while chunk := pipe.read(1 << 20):
        scratch.write(chunk)
    return from_jsonl(scratch, key, name="-")


def from_csv(lines: IO[bytes], key: str | None, *, name: str, delimiter: str = ",") -> Source:
    """Items from a CSV file with a header; payloads are objects of text, one for each row. Closes `lines`."""
    with io.TextIOWrapper(lines, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        given = _Lines(text)
        reader = csv.DictReader(given, delimiter=delimiter, strict=True)
        try:
            columns = reader.fieldnames or []
            if len(set(columns)) != len(columns):
                raise UsageError(f"the header names a column twice: {list(columns)}", where=f"{name}:1")
            if key is not None and key not in columns:
                raise UsageError(f"there is no column {key!r}; there are {list(columns)}", where=f"{name}:1")
            source = from_values((_csv_item(row, key, name, reader.line_num) for row in reader), name=name)
        except (csv.Error, UnicodeDecodeError) as error:
            raise UsageError(f"the CSV cannot be read: {error}", where=f"{name}:{given.number}") from None
    source.about = {"kind": "csv", "from": name, "key": key}
    return source


class _Lines:
    """Lines one by one, with the number of the last: what cannot be read is an error of its own line, not of the buffer
    that it came in, nor of the line before."""

    def __init__(self, text: Iterable[str]) -> None:
        self.number = 0
        self._text = iter(text)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.number += 1
        if not line.isascii():
            line.encode("utf-8", "surrogateescape").decode("utf-8")
        return line


def _csv_item(row: dict[Any, Any], key: str | None, name: str, line: int) -> tuple[str, dict[str, Any]]:
    if None in row or None in row.values():
        raise UsageError("a row has more or fewer fields than the header", where=f"{name}:{line}")
    found = _key_of(row, key)
    problem = _key_problem(found)
    if problem:
        raise UsageError(f"a row {problem}", where=f"{name}:{line}")
    return found, row


def from_values(items: Mapping[str, Any] | Iterable[Any], *, name: str = "values") -> Source:
    """Items from a mapping of key → payload, or from (key, payload) pairs, in their order."""
    pairs = items.items() if isinstance(items, Mapping) else items
    scratch = scratch_file()
    try:
        for number, pair in enumerate(pairs, 1):
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
                raise UsageError(f"item {number} must be a pair of a text key and a payload, not {pair!r:.80}", where=name)
            try:
                scratch.write(encode(list(pair)).encode() + b"\n")
            except NotCanonical as error:
                raise UsageError(f"item {pair[0]!r} is no JSON: {error}", where=name) from None
    except BaseException:
        scratch.close()
        raise
    return Source(name, scratch, _parse_pair, {"kind": "values", "from": name})


def from_glob(
    pattern: str, folder: Path, content: Callable[[Path], str] | None = None
) -> Source:  # fmt: skip
    """One item for each file that matches; the key is the path below `folder` (always with /), the content's digest is
    part of the fingerprint. `content` gives the digest of a file (a memo); by default the file is read."""
    found = sorted(path for path in glob(pattern, root_dir=folder, recursive=True) if (folder / path).is_file())
    if not found:
        raise UsageError(f"no file matches {pattern!r}", where=str(folder), command="check the pattern and its quotes")
    scratch = scratch_file()
    try:
        for path in found:
            name = (content or file_digest)(folder / path)
            scratch.write(json.dumps([path.replace(os.sep, "/"), name]).encode() + b"\n")
    except OSError as error:
        scratch.close()
        raise UsageError(f"a file cannot be read: {error.strerror}", where=str(folder / path)) from None
    return Source(pattern, scratch, _parse_path, {"kind": "glob", "from": pattern, "folder": str(folder)})


def _parse_pair(line: bytes) -> tuple[str, Any, tuple[str, ...]]:
    key, payload = decode(line)
    return key, payload, ()


def _parse_path(line: bytes) -> tuple[str, Any, tuple[str, ...]]:
    path, content = json.loads(line)
    return path, {"path": path}, (content,)


def _key_of(payload: Any, field: str | None) -> str:
    if isinstance(payload, dict):
        for name in (field,) if field is not None else KEY_FIELDS:
            value = payload.get(name)
            if isinstance(value, str):
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
    if field is not None:
        raise UsageError(f"has no text or whole number in its key field {field!r}")
    if isinstance(payload, str):
        return payload
    return digest(encode(payload))[:16]


def pairs_of(rows: Iterable[Row]) -> Iterator[list[str]]:
    """Rows as JSON-ready triples, to be staged for a live runner."""
    for row in rows:
        yield [row.key, row.payload, row.fingerprint]
