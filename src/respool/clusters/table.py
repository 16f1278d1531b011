"""Entity × feature tables: which column is what, read without guessing silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from respool.clusters.model import Input, Notice
from respool.clusters.reading import MISSING, Rows, listed, number_of, read_text, rows_of
from respool.clusters.request import FEWEST, TableOptions
from respool.errors import UsageError
from respool.phrases import counted

MOST_ROWS = 10_000  # the tree of a table needs the distance of every two rows
MOST_LEVELS = 30  # a text column with more levels than this, or one for every other row, names things and groups nothing
ABSENT = "missing"  # the level of an entity that has none


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: a level for each row (`levels`), or a number (`numbers`). `binary` levels are "0" and "1"."""

    name: str
    levels: tuple[str, ...] = ()
    numbers: NDArray[np.float64] | None = None
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows sorted by id; `active` features make the clusters, `supplementary` ones describe them. All of the active are
    numbers, or none is. `kinds` numbers the rows so that those which are alike in all active features have one number."""

    ids: tuple[str, ...]
    names: dict[str, str]
    active: tuple[Feature, ...]
    supplementary: tuple[Feature, ...]
    kinds: NDArray[np.int64]
    source: Input
    notices: tuple[Notice, ...]

    @property
    def numeric(self) -> bool:
        return self.active[0].numbers is not None


def read_table(path: Path, options: TableOptions) -> Table:
    """The table of a file with a header, a row for each entity, plain or gzipped.

    Columns of 0 and 1 and of text are categorical, others numeric. Features that are (nearly) constant are left out, and
    so are text columns with about a level to a row, both counted. Raises UsageError for text in a numeric column, an id
    that is there twice, a row of another length, a table that mixes both kinds, and fewer different rows than clusters.
    """
    rows = rows_of(text := read_text(path))
    header = rows.cells[0]
    _check_shape(rows, header)
    key = rows.column(options.id, header) if options.id is not None else 0
    named = rows.column(options.names, header) if options.names is not None else None
    for name in (*options.supplementary, *options.ignore, *options.categorical):
        rows.column(name, header)
    order = sorted(range(1, len(rows.cells)), key=lambda row: rows.cells[row][key])
    ids = tuple(rows.cells[row][key] for row in order)
    _check_ids(ids, rows, order)
    apart = {key, named} | {header.index(name) for name in options.ignore}
    reader = _Reader(rows, order, options)
    features = [reader.feature(column) for column in sorted(set(range(len(header))) - apart, key=header.__getitem__)]
    found = [each for each in features if each is not None]
    active = tuple(each for each in found if each.name not in options.supplementary)
    _check_kinds(active, rows.name)
    kinds = _kinds(active)
    check_different(rows.name, int(kinds.max()) + 1, options)
    return Table(
        ids, {} if named is None else {rows.cells[row][key]: rows.cells[row][named] for row in order}, active,
        tuple(each for each in found if each.name in options.supplementary), kinds, text.as_input("table", len(ids)),
        reader.notices(),
    )  # fmt: skip


def check_different(name: str, different: int, options: TableOptions) -> None:
    """Raise UsageError if a table has fewer different rows than there have to be clusters."""
    wanted = options.k or FEWEST
    if different < wanted:
        raise UsageError(
            f"{name} has {counted(different, 'different row')}; {wanted} clusters need as many", where=name,
            command=f"--k {different}",
        )  # fmt: skip


def _kinds(active: Sequence[Feature]) -> NDArray[np.int64]:
    columns = [each.levels if each.numbers is None else each.numbers.tolist() for each in active]
    known: dict[tuple[Any, ...], int] = {}
    return np.array([known.setdefault(row, len(known)) for row in zip(*columns, strict=True)], dtype=np.int64)


def _check_shape(rows: Rows, header: Sequence[str]) -> None:
    twice = [name for name, many in Counter(header).items() if many > 1]
    if twice:
        raise UsageError(f"{rows.name} has the column {twice[0]!r} twice", where=rows.where(0))
    if len(rows.cells) < 5 or len(header) < 3:
        raise UsageError(
            f"{rows.name} has {counted(len(rows.cells) - 1, 'row')} and {counted(len(header), 'column')}", where=rows.name,
            why="there must be a header, four rows or more, an id column and two features or more",
        )  # fmt: skip
    if len(rows.cells) - 1 > MOST_ROWS:
        raise UsageError(f"{rows.name} has {len(rows.cells) - 1} rows; up to {MOST_ROWS} can be clustered", where=rows.name,
                         why="the distance of every two rows is needed", command="cluster a sample of it")  # fmt: skip
    for row, cells in enumerate(rows.cells):
        if len(cells) != len(header):
            what = f"this row has {counted(len(cells), 'cell')}, the header {counted(len(header), 'column')}"
            raise UsageError(what, where=rows.where(row))


def _check_ids(ids: Sequence[str], rows: Rows, order: Sequence[int]) -> None:
    for at, (one, other) in enumerate(pairwise(ids)):
        if one == other:
            where = f"{rows.where(order[at])} and {rows.where(order[at + 1])}"
            raise UsageError(f"the id {one!r} is there twice", where=where)
    if not ids[0]:
        raise UsageError("a row has no id", where=rows.where(order[0]))


def _check_kinds(active: Sequence[Feature], name: str) -> None:
    numeric = [each.name for each in active if each.numbers is not None]
    categorical = [each.name for each in active if each.numbers is None]
    if numeric and categorical:
        raise UsageError(
            f"{name} mixes {counted(len(numeric), 'numeric column')} with {counted(len(categorical), 'categorical one')}",
            where=f"numeric: {listed(numeric)}; categorical: {listed(categorical)}",
            why="one kind makes the clusters; the other can describe them",
            command="--supplementary NAME for those of one kind, or --categorical NAME for numbers that mean categories",
        )  # fmt: skip
    if len(active) < 2:
        raise UsageError(
            f"{name} has {counted(len(active), 'usable feature')}; clusters need two", where=name,
            why="constant and name-like columns are left out",
        )  # fmt: skip


class _Reader:
    """Columns to features, remembering what has to be told."""

    def __init__(self, rows: Rows, order: Sequence[int], options: TableOptions) -> None:
        self._rows, self._order, self._options = rows, order, options
        self._constant: list[str] = []
        self._naming: list[str] = []
        self._missing: dict[str, int] = {}

    def feature(self, column: int) -> Feature | None:
        """The feature in a column, or None if it says nothing."""
        name = self._rows.cells[0][column]
        cells = [self._rows.cells[row][column] for row in self._order]
        present = [cell for cell in cells if cell.lower() not in MISSING]
        values = [number_of(cell) for cell in present]
        binary = bool(values) and set(values) <= {0.0, 1.0}
        mostly_numbers = sum(each is not None for each in values) * 2 > len(values)
        numeric = mostly_numbers and not binary and name not in self._options.categorical
        if numeric and None in values:
            self._refuse_text(name, column)
        levels = [ABSENT if cell.lower() in MISSING else str(int(float(cell))) if binary else cell for cell in cells]
        if self._says_nothing(name, levels, numeric):
            return None
        if len(present) < len(cells):
            self._missing[name] = len(cells) - len(present)
        if not numeric:
            return Feature(name, tuple(levels), binary=binary)
        known = [each for each in values if each is not None]
        with np.errstate(over="ignore", invalid="ignore"):
            mean, spread = float(np.mean(known)), float(np.std(known))
        if not 0 < spread < np.inf:  # their squares are no numbers
            raise UsageError(f"the numbers of the column {name!r} are too large or too near to each other to be compared",
                             where=self._rows.name, command=f"another unit, or --ignore {name!r}")  # fmt: skip
        return Feature(name, numbers=np.array([mean if level == ABSENT else float(level) for level in levels]))

    def _says_nothing(self, name: str, levels: list[str], numeric: bool) -> bool:
        counts = Counter(levels)
        rest = len(levels) - max(counts.values())
        if rest < max(2, self._options.min_share * len(levels)):
            self._constant.append(name)
            return True
        if not numeric and (len(counts) > MOST_LEVELS or len(counts) * 2 > len(levels)):
            self._naming.append(name)
            return True
        return False

    def _refuse_text(self, name: str, column: int) -> None:
        wrong = [
            row for row in sorted(self._order)
            if number_of(self._rows.cells[row][column]) is None and self._rows.cells[row][column].lower() not in MISSING
        ]  # fmt: skip
        raise UsageError(
            f"the column {name!r} is numeric, but this row says {self._rows.cells[wrong[0]][column]!r}",
            where=self._rows.where(wrong[0]), why=f"{counted(len(wrong), 'row')} of {len(self._order)} have text there",
            command=f"mend it, or --categorical {name!r} if its numbers mean categories, or --ignore {name!r}",
        )  # fmt: skip

    def notices(self) -> tuple[Notice, ...]:
        """What was left out or filled in, counted and listed."""
        filled = [f"{name}: {many}" for name, many in self._missing.items()]
        found = (
            Notice("feature_constant", f"{counted(len(self._constant), 'feature')} left out: nearly the same in every row",
                   len(self._constant), tuple(self._constant)),
            Notice("feature_naming", f"{counted(len(self._naming), 'text column')} left out: about as many levels as rows",
                   len(self._naming), tuple(self._naming)),
            Notice("missing_value", f"{counted(sum(self._missing.values()), 'missing value')}: a level of its own, or the "
                   "column's mean", sum(self._missing.values()), tuple(filled)),
        )  # fmt: skip
        return tuple(one for one in found if one.count)
