"""What a clustering is, as values: clusters with their evidence, and everything that has to be said about how they came.

A cluster is known by its content: `identity` names a kind and a set of members, so the same cluster has the same name
wherever, whenever and in whatever company it is found. Its number only says where it stands in one clustering.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from respool import canonical
from respool.clusters.record import Record
from respool.errors import UsageError

FORMAT = 1


class ClusterKind(StrEnum):
    """What clusters are made of, and which evidence they carry."""

    FUNCTIONAL = "functional"  # genes of a network; the evidence is terms
    PHENOTYPE = "phenotype"  # entities of a table; the evidence is features


def identity(members: Iterable[str], kind: ClusterKind) -> str:
    """The content's name of a cluster, 32 hexadecimal digits: of its members' stable ids (in any order) and its kind.

    The one function that names clusters; summaries are kept under it.

    >>> identity(["B", "A"], ClusterKind.FUNCTIONAL) == identity(["A", "B", "A"], ClusterKind.FUNCTIONAL)
    True
    >>> identity(["A"], ClusterKind.FUNCTIONAL) == identity(["A"], ClusterKind.PHENOTYPE)
    False
    """
    return canonical.digest("cluster", kind.value, *sorted(set(members)))


def in_order(groups: Iterable[Iterable[str]]) -> list[tuple[str, ...]]:
    """Groups of members in the order in which clusters are numbered: the largest first, then by the smallest member.

    >>> in_order([["C"], ["B", "A"], ["E", "D"]])
    [('A', 'B'), ('D', 'E'), ('C',)]
    """
    return sorted((tuple(sorted(set(group))) for group in groups), key=lambda members: (-len(members), members[:1]))


@dataclass(frozen=True, slots=True)
class Term(Record):
    """A gene set that is over-represented in a cluster.

    `overlap` are the genes in both, sorted. `set_size` and `cluster_size` count genes of the background only; `fold` is
    the share of the set in the cluster over its share in the background. Tables made elsewhere leave some of it open
    (None); `p` is one-sided, `q` adjusted for the number of tests.
    """

    id: str
    name: str
    source: str
    p: float | None
    q: float
    overlap: tuple[str, ...]
    set_size: int | None
    cluster_size: int | None
    background_size: int | None
    fold: float | None


@dataclass(frozen=True, slots=True)
class Feature(Record):
    """A feature that is over- or under-represented in a cluster.

    `level` is the category ("1" of a 0/1 feature), None for a number. `in_cluster` and `overall` are shares between 0
    and 1 of the members that have this level, or means (`measure`). `p` is two-sided, `v_test` its normal quantile, positive
    for "over". A `supplementary` feature describes the clusters but took no part in making them.
    """

    name: str
    level: str | None
    direction: Literal["over", "under"]
    p: float
    v_test: float
    in_cluster: float
    overall: float
    measure: Literal["share", "mean"] = "share"
    supplementary: bool = False


@dataclass(frozen=True, slots=True)
class Cluster(Record):
    """One cluster. `members` are stable ids, sorted; `parent` is the number of the cluster that this one is a part of.

    `stability` is the mean best Jaccard index over resamples (0 to 1), None where none were made. `label` is the name that
    imported clusters came with. `central` are up to ten members in the middle of it (most links inside; nearest to the
    centre), the first the most central. `links_inside` and `links_outside` count the edges of a network.
    `terms` are sorted by (q, p, id), `features` by (direction, -|v_test|, name, level).
    """

    number: int
    identity: str
    kind: ClusterKind
    members: tuple[str, ...]
    parent: int | None = None
    label: str | None = None
    stability: float | None = None
    terms: tuple[Term, ...] = ()
    features: tuple[Feature, ...] = ()
    central: tuple[str, ...] = ()
    links_inside: int = 0
    links_outside: int = 0

    @property
    def size(self) -> int:
        return len(self.members)


@dataclass(frozen=True, slots=True)
class Dropped(Record):
    """What is no cluster because it has fewer than `minimum` members: counted, never silent."""

    minimum: int = 0
    clusters: int = 0
    members: int = 0


@dataclass(frozen=True, slots=True)
class Input(Record):
    """A file that went in: what it was (`role`: edges, gene sets, aliases, table, clusters, enrichment), its base name, the
    digest of its bytes, and how many rows of it were used."""

    role: str
    name: str
    digest: str
    rows: int


NoticeCode = Literal[
    "symbol_changed", "symbol_unmapped", "symbol_ambiguous", "other_alphabet",  # names
    "weak_link", "self_link", "repeated_link", "small_part",  # networks
    "feature_constant", "feature_naming", "missing_value", "continuum",  # tables
    "repeated_member", "term_unusable", "term_weak", "no_overlap",  # sets and imports
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice(Record):
    """Something a reader must know: `code` for programs, `text` for people, how many it concerns, and which ones (all of
    them, as "OLD → NEW" for what was changed; none where names would say nothing)."""

    code: NoticeCode
    text: str
    count: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method(Record):
    """How the result was computed. `test`, `background`, `correction` speak of the evidence; `resamples` of stability.

    `correction` says what the adjusted values cover. `versions` are those of the packages that computed.
    """

    algorithm: str
    test: str
    background: str
    background_size: int
    correction: str
    resamples: int
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Picture(Record):
    """Points and lines to draw: `x` and `y` (0 to 1) of each of `names`; `lines` are pairs of positions in `names`.

    Only the strongest lines are kept; `lines_left_out` says how many are not.
    """

    names: tuple[str, ...] = ()
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    lines: tuple[tuple[int, int], ...] = ()
    lines_left_out: int = 0


@dataclass(frozen=True, slots=True)
class Control(Record):
    """The negative control: of `tested` clusters with shuffled members (`shuffles` times all of them), `low` were flagged
    low; of the `real` clusters, `real_low` were."""

    shuffles: int
    tested: int
    low: int
    real: int
    real_low: int


@dataclass(frozen=True, slots=True)
class Clustering(Record):
    """The whole result. Equal inputs and parameters give equal values, and equal JSON text, byte for byte.

    `clusters` are in the order of their numbers: first those without parent by size, then sub-clusters by (parent, size).
    `structure` is "continuum" where the data show no clusters worth the name (`silhouette` says how far they are apart,
    -1 to 1, None for networks and imports; `modularity` is a network's). `entities` counts vertices or rows that took part;
    `isolates` have no link. `control` is None where there was nothing to shuffle. `names` gives a readable name for ids that
    have one. `parameters` are what was asked for.
    """

    kind: ClusterKind
    clusters: tuple[Cluster, ...]
    entities: int
    structure: Literal["clusters", "continuum"] = "clusters"
    silhouette: float | None = None
    modularity: float | None = None
    components: int | None = None
    isolates: tuple[str, ...] = ()
    dropped: Dropped = Dropped()
    inputs: tuple[Input, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    method: Method | None = None
    notices: tuple[Notice, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    picture: Picture = Picture()
    control: Control | None = None
    format: int = FORMAT

    @classmethod
    def from_data(cls, data: Any, *, where: str = "$") -> Clustering:
        """The clustering that `to_data` described. Raises UsageError for anything else, and for a newer format."""
        if isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > FORMAT:
            raise UsageError(
                f"this clustering has format {data['format']}; this program reads up to {FORMAT}", where=where,
                command="upgrade respool",
            )  # fmt: skip
        return super(Clustering, cls).from_data(data, where=where)  # (a dataclass with slots is not its own __class__)

    def cluster(self, number: int) -> Cluster:
        """The cluster of that number. Raises KeyError."""
        for cluster in self.clusters:
            if cluster.number == number:
                return cluster
        raise KeyError(number)
