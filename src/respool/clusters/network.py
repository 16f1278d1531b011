"""From edges and gene sets to functional clusters: communities, their parts, their terms, their stability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from respool.clusters.control import shuffled_control
from respool.clusters.edges import Edges
from respool.clusters.enrichment import TEST, Correction, Enrichment, Rules
from respool.clusters.gene_sets import GeneSet, all_genes
from respool.clusters.leiden import KEPT_EDGES, Network, best_jaccard
from respool.clusters.model import Cluster, Clustering, ClusterKind, Dropped, Input, Method, Notice, identity, in_order
from respool.clusters.picture import draw_network
from respool.clusters.symbols import Aliases, foreign_alphabet, id_system
from respool.errors import UsageError
from respool.phrases import counted

Told = Callable[[str], None]
MOST_CENTRAL = 10


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What may be asked of a clustering of a network. Equal options over equal inputs give equal results.

    `tries` seeds from `seed` on are tried; clusters above `split_above` members are split once into parts; what has fewer
    than `min_size` members is no cluster. `resamples` measure stability, `shuffles` are the negative control.
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
    correction: Correction = "tested"
    resamples: int = 20
    shuffles: int = 20


@dataclass(frozen=True, slots=True)
class Genes:
    """The gene sets, and which genes may count: `background` names them, None means those of the network with a set."""

    sets: Sequence[GeneSet]
    inputs: tuple[Input, ...]
    notices: tuple[Notice, ...] = ()
    background: frozenset[str] | None = None
    background_name: str = "genes of the network that are in at least one gene set"


def cluster_network(
    edges: Edges, genes: Genes, aliases: Aliases, options: NetworkOptions, told: Told = lambda _: None
) -> Clustering:
    """The functional clusters of a network. `told` hears how far it is.

    Raises UsageError if no name of the network is in any gene set (other ids, say).
    """
    network, notices = _present(edges, aliases)
    sets, set_notices = _renamed(genes.sets, aliases)
    enrichment = _enrichment(network, sets, genes, options)
    told("finding communities")
    membership, modularity = network.communities(resolution=options.resolution, seed=options.seed, tries=options.tries)
    linked = np.array(network.graph.degree()) > 0
    found = [np.flatnonzero((membership == community) & linked) for community in range(membership.max() + 1)]
    whole = [group for group in found if len(group) >= options.min_size]
    small = [group for group in found if 0 < len(group) < options.min_size]
    order = in_order([network.names[at] for at in group] for group in whole)
    clusters = [_cluster(network, number, members, None) for number, members in enumerate(order, 1)]
    parts, too_small = _parts(network, clusters, options)
    clusters += parts
    told(f"{counted(len(clusters), 'cluster')}; measuring how stable they are")
    clusters, partitions = _with_stability(network, clusters, options)
    told(f"testing {counted(enrichment.tested, 'gene set')} against {counted(len(clusters), 'cluster')}")
    terms = enrichment.terms([cluster.members for cluster in clusters])
    clusters = [replace(cluster, terms=found) for cluster, found in zip(clusters, terms, strict=True)]
    told("shuffling members for the negative control")
    tops = [cluster for cluster in clusters if cluster.parent is None]
    control = shuffled_control(tops, _judge(network, enrichment, partitions), options.shuffles, options.seed)
    drawn = [_central_first(network, cluster) for cluster in tops]
    return Clustering(
        ClusterKind.FUNCTIONAL, tuple(clusters), len(network.names), modularity=modularity,
        components=len(network.graph.connected_components()),
        isolates=tuple(name for name, some in zip(network.names, linked, strict=True) if not some),
        dropped=Dropped(options.min_size, len(small), sum(map(len, small))),
        inputs=tuple(one for one in (edges.source, *genes.inputs, aliases.source) if one is not None),
        parameters=asdict(options), method=_method(enrichment, genes, options),
        notices=(*edges.notices, *notices, *genes.notices, *set_notices, *too_small),
        picture=draw_network(network, drawn), control=control,
    )  # fmt: skip


def _present(edges: Edges, aliases: Aliases) -> tuple[Network, tuple[Notice, ...]]:
    """The network under present names, each pair once with its strongest weight; loops are left out and counted."""
    names = [end for one, other, _ in edges.links for end in (one, other)]
    new, notices = aliases.resolve([*names, *edges.lonely], "the network")
    weights: dict[tuple[str, str], float] = {}
    loops = 0
    for one, other, weight in edges.links:
        pair = (new[one], new[other]) if new[one] < new[other] else (new[other], new[one])
        if pair[0] == pair[1]:
            loops += 1
        elif weight > weights.get(pair, 0.0):
            weights[pair] = weight
    told = []
    if loops:
        told.append(Notice("self_link", f"{counted(loops, 'edge')} from a gene to itself left out", loops))
    repeated = len(edges.links) - loops - len(weights)
    if repeated:
        text = f"{counted(repeated, 'edge')} given more than once; the strongest counts"
        told.append(Notice("repeated_link", text, repeated))
    foreign = foreign_alphabet(names)
    if not weights:
        raise UsageError(f"{edges.source.name} has no edge between two different genes", where=edges.source.name)
    lonely = {new[name] for name in edges.lonely} | {new[name] for name in names}
    return Network.of(weights, sorted(lonely)), (*notices, *((foreign,) if foreign else ()), *told)


def _renamed(sets: Sequence[GeneSet], aliases: Aliases) -> tuple[list[GeneSet], tuple[Notice, ...]]:
    new, notices = aliases.resolve(all_genes(sets), "the gene sets")
    return [replace(each, genes=frozenset(new[gene] for gene in each.genes)) for each in sets], notices


def _enrichment(network: Network, sets: Sequence[GeneSet], genes: Genes, options: NetworkOptions) -> Enrichment:
    annotated = all_genes(sets)
    background = genes.background if genes.background is not None else frozenset(network.names) & annotated
    if not background & frozenset(network.names) & annotated:
        ids, theirs = id_system(network.names), id_system(annotated)
        raise UsageError(
            f"none of the {len(network.names)} names of the network is in a gene set",
            where=", ".join(one.name for one in genes.inputs),
            why=f"the network has {ids or 'names'} such as {network.names[0]!r}, the sets {theirs or 'names'} such as "
            f"{min(annotated)!r}",
            command="--aliases 9606.protein.info.v12.0.txt.gz (from STRING's download page)" if ids == "STRING protein ids"
            else "--aliases TABLE, a table from the one to the other",
        )  # fmt: skip
    return Enrichment(sets, background, Rules(options.alpha, options.min_overlap, options.max_set_size, options.correction))


def _cluster(network: Network, number: int, members: tuple[str, ...], parent: int | None) -> Cluster:
    at = {name: position for position, name in enumerate(network.names)}
    inside = [at[name] for name in members]
    graph = network.graph.induced_subgraph(inside)
    degrees = graph.degree()
    central = sorted(range(len(inside)), key=lambda one: (-degrees[one], members[one]))[:MOST_CENTRAL]
    links = graph.ecount()
    return Cluster(
        number, identity(members, ClusterKind.FUNCTIONAL), ClusterKind.FUNCTIONAL, members, parent,
        central=tuple(members[one] for one in central), links_inside=links,
        links_outside=sum(network.graph.degree(inside)) - 2 * links,
    )  # fmt: skip


def _parts(
    network: Network, clusters: Sequence[Cluster], options: NetworkOptions
) -> tuple[list[Cluster], tuple[Notice, ...]]:  # fmt: skip
    """One level of parts of the large clusters; numbers go on where those of the clusters end."""
    at = {name: position for position, name in enumerate(network.names)}
    parts: list[Cluster] = []
    small = 0
    for cluster in clusters:
        if cluster.size <= options.split_above:
            continue
        inside = [at[name] for name in cluster.members]
        found = network.parts(inside, resolution=options.resolution, seed=options.seed, tries=options.tries)
        groups = [[cluster.members[one] for one in np.flatnonzero(found == part)] for part in range(found.max() + 1)]
        large = [group for group in groups if len(group) >= options.min_size]
        if len(large) < 2:
            continue
        small += len(groups) - len(large)
        start = len(clusters) + len(parts) + 1
        parts += [_cluster(network, number, members, cluster.number) for number, members in enumerate(in_order(large), start)]
    if not small:
        return parts, ()
    text = f"{counted(small, 'part')} of large clusters with fewer than {options.min_size} members not listed on their own"
    return parts, (Notice("small_part", text, small),)


def _with_stability(
    network: Network, clusters: Sequence[Cluster], options: NetworkOptions
) -> tuple[list[Cluster], list[NDArray[np.int64]]]:  # fmt: skip
    """The clusters with the mean of how well resampled networks know them, and the resampled partitions."""
    at = {name: position for position, name in enumerate(network.names)}
    places = {cluster.number: np.array([at[name] for name in cluster.members]) for cluster in clusters}
    split = sorted({cluster.parent for cluster in clusters if cluster.parent is not None})
    seen: dict[int, list[float]] = {cluster.number: [] for cluster in clusters}
    partitions = []
    for resample in range(options.resamples):
        seed = options.seed + 1000 + resample
        again = network.resampled(seed=seed)
        found, _ = again.communities(resolution=options.resolution, seed=seed, tries=1)
        partitions.append(found)
        within = {}
        for parent in split:
            within[parent] = np.full(len(network.names), -1, dtype=np.int64)
            within[parent][places[parent]] = again.parts(
                places[parent].tolist(), resolution=options.resolution, seed=seed, tries=1
            )  # fmt: skip
        for cluster in clusters:
            partition = found if cluster.parent is None else within[cluster.parent]
            seen[cluster.number].append(best_jaccard(places[cluster.number], partition))
    if not options.resamples:
        return list(clusters), []
    return [replace(one, stability=float(np.mean(seen[one.number]))) for one in clusters], partitions


def _judge(
    network: Network, enrichment: Enrichment, partitions: Sequence[NDArray[np.int64]]
) -> Callable[[list[Cluster]], list[Cluster]]:
    """What gives clusters of any members the evidence and the stability that they deserve."""
    at = {name: position for position, name in enumerate(network.names)}

    def judge(clusters: list[Cluster]) -> list[Cluster]:
        judged = []
        for cluster, terms in zip(clusters, enrichment.terms([one.members for one in clusters]), strict=True):
            places = np.array([at[name] for name in cluster.members])
            known = [best_jaccard(places, partition) for partition in partitions]
            judged.append(replace(cluster, terms=terms, stability=float(np.mean(known)) if known else None))
        return judged

    return judge


def _central_first(network: Network, cluster: Cluster) -> list[int]:
    at = {name: position for position, name in enumerate(network.names)}
    inside = [at[name] for name in cluster.members]
    degrees = network.graph.induced_subgraph(inside).degree()
    return [inside[one] for one in sorted(range(len(inside)), key=lambda one: (-degrees[one], inside[one]))]


def _method(enrichment: Enrichment, genes: Genes, options: NetworkOptions) -> Method:
    versions: dict[str, Any] = {package: version(package) for package in ("igraph", "numpy", "scipy", "respool")}
    return Method(
        f"Leiden on weighted modularity, the best of {options.tries} seeds; stability: mean best Jaccard over "
        f"{counted(options.resamples, 'resample')} with {KEPT_EDGES:.0%} of the edges",
        TEST, genes.background_name, len(enrichment.background), enrichment.covers, options.resamples, versions,
    )  # fmt: skip
