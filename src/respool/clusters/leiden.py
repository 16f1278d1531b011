"""Communities of a network by Leiden, made repeatable: one order, named seeds, the best of several, ties broken by content.

Two seeds, or the same seed over another order of the vertices, give different communities of the same network. So the
vertices and edges come in sorted, and of several seeds the partition of the highest modularity is kept.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import igraph
import numpy as np

from respool.clusters.stability import Membership

KEPT_EDGES = 0.8  # the share of the edges that a resample keeps


class Network:
    """A weighted undirected graph (`graph`, of igraph) whose vertices are called `names`, in this order."""

    def __init__(self, names: list[str], graph: Any) -> None:
        self.names = names
        self.graph = graph

    @classmethod
    def of(cls, weights: dict[tuple[str, str], float], lonely: Sequence[str] = ()) -> Network:
        """The network of these edges (each pair in order, once) and of the vertices without any; all sorted."""
        names = sorted({end for pair in weights for end in pair} | set(lonely))
        at = {name: position for position, name in enumerate(names)}
        links = sorted((at[one], at[other], weight) for (one, other), weight in weights.items())
        graph = igraph.Graph(len(names), [link[:2] for link in links], edge_attrs={"weight": [link[2] for link in links]})
        return cls(names, graph)

    def links(self) -> list[tuple[int, int, float]]:
        """The edges, sorted: (position, larger position, weight)."""
        ends = zip(self.graph.get_edgelist(), self.graph.es["weight"], strict=True)
        return [(one, other, weight) for (one, other), weight in ends]

    def communities(self, *, resolution: float, seed: int, tries: int) -> tuple[Membership, float]:
        """The community of each vertex, and the modularity: the best of `tries` seeds, from `seed` on."""
        return _best_of(self.graph, resolution, range(seed, seed + tries))

    def parts(self, members: Sequence[int], *, resolution: float, seed: int, tries: int) -> Membership:
        """The communities within some of the vertices, by their position in `members` (sorted)."""
        return _best_of(self.graph.induced_subgraph(members), resolution, range(seed, seed + tries))[0]

    def resampled(self, *, seed: int) -> Network:
        """The network with a random share of its edges, KEPT_EDGES of them; all vertices stay."""
        edges = self.graph.ecount()
        left_out = random.Random(seed).sample(range(edges), edges - round(edges * KEPT_EDGES))
        graph = self.graph.copy()
        graph.delete_edges(left_out)
        return Network(self.names, graph)


def _best_of(graph: Any, resolution: float, seeds: Sequence[int]) -> tuple[Membership, float]:
    found = []
    for seed in seeds:
        igraph.set_random_number_generator(random.Random(seed))
        try:
            partition = graph.community_leiden(
                objective_function="modularity", weights="weight", resolution=resolution, n_iterations=-1
            )  # fmt: skip
        finally:
            igraph.set_random_number_generator(random)
        membership = _by_first(partition.membership)
        quality = graph.modularity(membership, weights="weight", resolution=resolution) if graph.ecount() else 0.0
        found.append((-round(quality, 10), membership, quality))
    _, membership, quality = min(found)
    return np.asarray(membership, dtype=np.int64), quality


def _by_first(membership: Sequence[int]) -> list[int]:
    """The same partition with its communities numbered in the order in which they first occur."""
    number: dict[int, int] = {}
    return [number.setdefault(community, len(number)) for community in membership]
