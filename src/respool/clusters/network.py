"""From edges and gene sets to functional clusters: communities, their parts, their terms, their stability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from respool.clusters.control import shuffled_control
from respool.clusters.edges import Edges
from respool.clusters.enrichment import TEST, Enrichment
from respool.clusters.gene_sets import GeneSet, all_genes
from respool.clusters.leiden import KEPT_EDGES, Network
from respool.clusters.model import Cluster, Clustering, ClusterKind, Dropped, Input, Method, Notice, identity, in_order
from respool.clusters.picture import draw_network
from respool.clusters.request import NetworkOptions
from respool.clusters.stability import Membership, stability
from respool.clusters.symbols import Aliases, foreign_alphabet, id_system
from respool.errors import UsageError
from respool.phrases import counted

Told = Callable[[str], None]
MOST_CENTRAL = 10
BACKGROUNDS = {
    "annotated": "genes of the network that are in at least one gene set",
    "network": "all genes of the network",
    "file": "the genes of a file",
}


@dataclass(frozen=True, slots=True)
class Genes:
    """The gene sets, and which genes may count: a key of BACKGROUNDS, and for "file" the names in it."""

    sets: Sequence[GeneSet]
    inputs: tuple[Input, ...] = ()
    notices: tuple[Notice, ...] = ()
    background: str = "annotated"
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that was read, under present names and checked: what is left is computing."""

    network: Network
    enrichment: Enrichment
    background: str
    inputs: tuple[Input, ...]
    notices: tuple[Notice, ...]
    options: NetworkOptions
    positions: dict[str, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", {name: at for at, name in enumerate(self.network.names)})

    def where(self, members: Sequence[str]) -> NDArray[np.int64]:
        """The positions of some genes in the network."""
        return np.array([self.positions[name] for name in members], dtype=np.int64)


def prepare(edges: Edges, genes: Genes, aliases: Aliases, options: NetworkOptions) -> Question:
    """Edges and gene sets brought together under present names.

    Raises UsageError if there is no edge between two genes, or no name of the network is in any gene set (other ids, say).
    """
    network, notices = _present(edges, aliases)
    new, set_notices = aliases.resolve(all_genes(genes.sets), "the gene sets")
    sets = [replace(each, genes=frozenset(new[gene] for gene in each.genes)) for each in genes.sets]
    annotated, own = all_genes(sets), frozenset(network.names)
    if not own & annotated:
        raise _strangers(network.names, annotated, genes.inputs)
    if genes.background == "file":
        renamed, more = aliases.resolve(genes.named, "the background")
        background, set_notices = frozenset(renamed.values()), (*set_notices, *more)
    else:
        background = own & annotated if genes.background == "annotated" else own
    if not background & own & annotated:
        raise UsageError("no annotated gene of the network is in the background", why="nothing could be over-represented")
    inputs = (edges.source, *genes.inputs, *((aliases.source,) if aliases.source else ()))
    told = (*edges.notices, *notices, *genes.notices, *set_notices)
    return Question(network, Enrichment(sets, background, options), BACKGROUNDS[genes.background], inputs, told, options)


def _present(edges: Edges, aliases: Aliases) -> tuple[Network, tuple[Notice, ...]]:
    """The network under present names, each pair once with its strongest weight; loops are left out and counted."""
    new, notices = aliases.resolve([*(end for link in edges.links for end in link[:2]), *edges.lonely], "the network")
    weights: dict[tuple[str, str], float] = {}
    loops = 0
    for one, other, weight in edges.links:
        pair = (new[one], new[other]) if new[one] < new[other] else (new[other], new[one])
        if pair[0] == pair[1]:
            loops += 1
        elif weight > weights.get(pair, 0.0):
            weights[pair] = weight
    if not weights:
        raise UsageError(f"{edges.source.name} has no edge between two different genes", where=edges.source.name)
    repeated = len(edges.links) - loops - len(weights)
    told = [
        Notice("self_link", f"{counted(loops, 'edge')} from a gene to itself left out", loops),
        Notice("repeated_link", f"{counted(repeated, 'edge')} given more than once; the strongest counts", repeated),
        foreign_alphabet(new),
    ]
    return Network.of(weights, sorted(new.values())), (*notices, *(one for one in told if one and one.count))


def _strangers(names: Sequence[str], annotated: frozenset[str], inputs: Sequence[Input]) -> UsageError:
    ids, theirs = id_system(names), id_system(annotated)
    return UsageError(
        f"none of the {len(names)} names of the network is in a gene set", where=", ".join(one.name for one in inputs),
        why=f"the network has {ids or 'names'} such as {names[0]!r}, the sets {theirs or 'names'} such as {min(annotated)!r}",
        command="--aliases 9606.protein.info.v12.0.txt.gz (from STRING's download page)" if ids == "STRING protein ids"
        else "--aliases TABLE, a table that leads from the one to the other",
    )  # fmt: skip


def cluster_network(question: Question, told: Told = lambda _: None) -> Clustering:
    """The functional clusters of a network. `told` hears how far it is. Equal questions have equal answers."""
    network, options, enrichment = question.network, question.options, question.enrichment
    told("finding communities")
    membership, modularity = network.communities(resolution=options.resolution, seed=options.seed, tries=options.tries)
    linked = np.array(network.graph.degree()) > 0
    found = [np.flatnonzero((membership == community) & linked) for community in range(membership.max() + 1)]
    small = [group for group in found if 0 < len(group) < options.min_size]
    order = in_order([network.names[at] for at in group] for group in found if len(group) >= options.min_size)
    whole = [_cluster(question, number, members, None) for number, members in enumerate(order, 1)]
    parts, too_small = _parts(question, whole)
    told(f"{counted(len(whole), 'cluster')} with {counted(len(parts), 'part')}; measuring how stable they are")
    partitions = _resampled(question, [cluster for cluster in whole if any(part.parent == cluster.number for part in parts)])
    told(f"testing {counted(enrichment.tested, 'gene set')} against {counted(len(whole) + len(parts), 'cluster')}")
    clusters = _judged(question, partitions, [*whole, *parts])
    told("shuffling members for the negative control")
    control = shuffled_control(
        clusters[: len(whole)], lambda shuffled: _judged(question, partitions, shuffled), options.shuffles, options.seed
    )
    return Clustering(
        ClusterKind.FUNCTIONAL, tuple(clusters), len(network.names), modularity=modularity,
        components=len(network.graph.connected_components()),
        isolates=tuple(name for name, some in zip(network.names, linked, strict=True) if not some),
        dropped=Dropped(options.min_size, len(small), sum(map(len, small))), inputs=question.inputs,
        parameters=options.to_data(), method=_method(question), notices=(*question.notices, *too_small),
        picture=draw_network(network, [_central_first(question, cluster.members) for cluster in whole]), control=control,
    )  # fmt: skip


def _cluster(question: Question, number: int, members: tuple[str, ...], parent: int | None) -> Cluster:
    central = _central_first(question, members)
    links = question.network.graph.induced_subgraph(sorted(central)).ecount()
    return Cluster(
        number, identity(members, ClusterKind.FUNCTIONAL), ClusterKind.FUNCTIONAL, members, parent,
        central=tuple(question.network.names[at] for at in central[:MOST_CENTRAL]), links_inside=links,
        links_outside=sum(question.network.graph.degree(central)) - 2 * links,
    )  # fmt: skip


def _central_first(question: Question, members: Sequence[str]) -> list[int]:
    """The positions of the members, those with the most links to others of them first."""
    inside = question.where(members).tolist()
    degrees = question.network.graph.induced_subgraph(inside).degree()
    return [at for _, at in sorted(zip((-degree for degree in degrees), inside, strict=True))]


def _parts(question: Question, whole: Sequence[Cluster]) -> tuple[list[Cluster], tuple[Notice, ...]]:
    """One level of parts of the large clusters; numbers go on where those of the clusters end."""
    options = question.options
    parts: list[Cluster] = []
    small = 0
    for cluster in whole:
        if cluster.size <= options.split_above:
            continue
        inside = question.where(cluster.members)
        found = question.network.parts(inside.tolist(), resolution=options.resolution, seed=options.seed, tries=options.tries)
        groups = [[cluster.members[one] for one in np.flatnonzero(found == part)] for part in range(found.max() + 1)]
        large = in_order(group for group in groups if len(group) >= options.min_size)
        if len(large) < 2:
            continue
        small += len(groups) - len(large)
        start = len(whole) + len(parts) + 1
        parts += [_cluster(question, number, members, cluster.number) for number, members in enumerate(large, start)]
    if not small:
        return parts, ()
    text = f"{counted(small, 'part')} of large clusters with fewer than {options.min_size} members not listed on their own"
    return parts, (Notice("small_part", text, small),)


Partitions = dict[int | None, list[Membership]]
"""How resampled networks fall apart: as a whole under None, a cluster that has parts under its number."""


def _resampled(question: Question, split: Sequence[Cluster]) -> Partitions:
    network, options = question.network, question.options
    partitions: Partitions = {None: [], **{cluster.number: [] for cluster in split}}
    for seed in range(options.seed + 1000, options.seed + 1000 + options.resamples):
        again = network.resampled(seed=seed)
        partitions[None].append(again.communities(resolution=options.resolution, seed=seed, tries=1)[0])
        for cluster in split:
            inside = question.where(cluster.members)
            within = np.full(len(network.names), -1, dtype=np.int64)
            within[inside] = again.parts(inside.tolist(), resolution=options.resolution, seed=seed, tries=1)
            partitions[cluster.number].append(within)
    return partitions


def _judged(question: Question, partitions: Partitions, clusters: list[Cluster]) -> list[Cluster]:
    """The clusters with the terms and the stability that their members deserve."""
    terms = question.enrichment.terms([cluster.members for cluster in clusters])
    known: dict[int, float | None] = {}
    for parent in {cluster.parent for cluster in clusters}:
        siblings = [cluster for cluster in clusters if cluster.parent == parent]
        values = stability([question.where(cluster.members) for cluster in siblings], partitions[parent])
        known |= {cluster.number: value for cluster, value in zip(siblings, values, strict=True)}
    return [
        replace(cluster, terms=found, stability=known[cluster.number])
        for cluster, found in zip(clusters, terms, strict=True)
    ]


def _method(question: Question) -> Method:
    enrichment, options = question.enrichment, question.options
    return Method(
        f"Leiden on weighted modularity, the best of {counted(options.tries, 'seed')}; stability: mean best Jaccard index "
        f"over {counted(options.resamples, 'resample')} with {KEPT_EDGES:.0%} of the edges",
        TEST, question.background, len(enrichment.background), enrichment.covers, options.resamples,
        {package: version(package) for package in ("igraph", "numpy", "respool", "scipy")},
    )  # fmt: skip
