"""What is asked of a clustering, as a value: which files, with the digests of their contents, and which options.

A request is the payload of its task, so equal requests are the same work: a file that changed makes another request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

from respool.clusters.record import Record
from respool.errors import UsageError
from respool.files import file_digest

FEWEST = 3  # clusters of a table, where the data choose their number
LARGEST_SEED = 2**32 - 1  # what other programs take too
MOST_ROUNDS = 10_000  # of anything that is done over and over: more would not end within the hour of a clustering
FINEST = 1_000_000  # resolution, at which every vertex of a network is alone


def _check(options: Any, names: Iterable[str], *, least: float = -inf, above: float = -inf, most: float = inf) -> None:
    for name in names:
        value = getattr(options, name)
        if value is None:
            continue
        if not (least <= value <= most and value > above):
            limits = [f"{word} {limit if isinstance(limit, int) else f'{limit:g}'}"
                      for word, limit in (("at least", least), ("more than", above), ("at most", most))
                      if abs(limit) != inf]  # fmt: skip
            raise UsageError(f"{name} must be {' and '.join(limits)}, not {value!r}")
        if value == inf:
            raise UsageError(f"{name} must be a finite number, not {value!r}")


@dataclass(frozen=True, slots=True)
class InputFile(Record):
    """A file and the digest of its bytes when it was asked for."""

    path: str
    digest: str

    @classmethod
    def of(cls, path: str | Path) -> InputFile:
        """The file as it is now. Raises UsageError if it cannot be read."""
        place = Path(path).absolute()
        try:
            return cls(str(place), file_digest(place))
        except OSError as error:
            raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}", where=str(place)) from None

    def checked(self) -> Path:
        """The path, if the file still is what was asked for. Raises UsageError otherwise."""
        if InputFile.of(self.path).digest != self.digest:
            raise UsageError(
                f"{Path(self.path).name} changed after the clustering was asked for", where=self.path,
                command="the same command again asks for it as it is now",
            )  # fmt: skip
        return Path(self.path)


@dataclass(frozen=True, slots=True)
class NetworkOptions(Record):
    """What may be asked of a clustering of a network. Equal options over equal inputs give equal results.

    `tries` seeds from `seed` on are tried; clusters above `split_above` members are split once into parts; what has fewer
    than `min_size` members is no cluster. Edges below `min_score` are left out. Terms are reported up to `alpha` with
    at least `min_overlap` genes shared, and sets above `max_set_size` genes are not tested; `correction` says whether the
    adjustment covers every tested set or only those that share a gene. `resamples` measure stability, `shuffles` are the
    negative control. Raises UsageError for a value that makes no sense.
    """

    resolution: float = 1.0
    seed: int = 1
    tries: int = 10
    min_size: int = 10
    min_score: float = 0.0
    split_above: int = 100
    alpha: float = 0.05
    min_overlap: int = 3
    max_set_size: int = 500
    correction: Literal["tested", "overlapping"] = "tested"
    resamples: int = 20
    shuffles: int = 20

    def __post_init__(self) -> None:
        _check(self, ("resolution",), above=0.0, most=FINEST)
        _check(self, ("tries",), least=1, most=MOST_ROUNDS)
        _check(self, ("min_overlap", "max_set_size"), least=1)
        _check(self, ("min_size",), least=2)
        _check(self, ("min_score", "split_above"), least=0)
        _check(self, ("seed",), least=0, most=LARGEST_SEED)
        _check(self, ("resamples", "shuffles"), least=0, most=MOST_ROUNDS)
        _check(self, ("alpha",), above=0.0, most=1.0)


@dataclass(frozen=True, slots=True)
class TableOptions(Record):
    """What may be asked of a clustering of a table. Columns are named as in its header.

    `id` is the column of stable ids (None: the first), `names` one with readable names. `supplementary` columns describe
    the clusters and do not make them, `ignore`d ones do neither; `categorical` are numbers that mean categories. `k` is
    the number of clusters and `axes` the number of axes, None: from the data. Features of which all but the commonest
    level hold less than `min_share` of the rows are dropped. The others are as for networks.
    """

    id: str | None = None
    names: str | None = None
    supplementary: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    k: int | None = None
    axes: int | None = None
    seed: int = 1
    min_size: int = 10
    min_share: float = 0.01
    alpha: float = 0.05
    resamples: int = 20
    shuffles: int = 20

    def __post_init__(self) -> None:
        _check(self, ("k",), least=2)
        _check(self, ("axes",), least=1)
        _check(self, ("min_size",), least=2)
        _check(self, ("seed",), least=0, most=LARGEST_SEED)
        _check(self, ("resamples", "shuffles"), least=0, most=MOST_ROUNDS)
        _check(self, ("min_share",), least=0.0, most=0.5)
        _check(self, ("alpha",), above=0.0, most=1.0)


@dataclass(frozen=True, slots=True)
class NetworkRequest(Record):
    """Functional clusters of a network. `background`: the genes that count as background are those of the network that
    are in a set ("annotated"), all of the network ("network"), or those named in `background_file` ("file")."""

    edges: InputFile
    gene_sets: tuple[InputFile, ...]
    aliases: InputFile | None = None
    background: Literal["annotated", "network", "file"] = "annotated"
    background_file: InputFile | None = None
    options: NetworkOptions = NetworkOptions()

    def files(self) -> tuple[str, ...]:
        """The paths of everything that goes in."""
        more = (one.path for one in (self.aliases, self.background_file) if one is not None)
        return (self.edges.path, *(one.path for one in self.gene_sets), *more)


@dataclass(frozen=True, slots=True)
class TableRequest(Record):
    """Phenotype clusters of a table."""

    table: InputFile
    options: TableOptions = TableOptions()

    def files(self) -> tuple[str, ...]:
        """The paths of everything that goes in."""
        return (self.table.path,)


@dataclass(frozen=True, slots=True)
class ImportRequest(Record):
    """Clusters that were made elsewhere, with the enrichment tables that were made for them."""

    clusters: InputFile
    enrichment: tuple[InputFile, ...] = ()
    kind: Literal["functional", "phenotype"] = "functional"
    min_size: int = 2
    alpha: float = 0.05

    def __post_init__(self) -> None:
        _check(self, ("min_size",), least=1)
        _check(self, ("alpha",), above=0.0, most=1.0)

    def files(self) -> tuple[str, ...]:
        """The paths of everything that goes in."""
        return (self.clusters.path, *(one.path for one in self.enrichment))


Request = NetworkRequest | TableRequest | ImportRequest
