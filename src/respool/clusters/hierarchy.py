"""From coordinates to clusters: Ward's tree, a number of clusters, and k-means that starts from the cut (HCPC's way)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import cdist

from respool.clusters.kmeans import consolidated
from respool.clusters.request import FEWEST
from respool.clusters.stability import Membership

Floats = NDArray[np.float64]
MOST = 10  # clusters, where the data choose their number, which are FEWEST at least
_CHUNK = 1000  # rows whose distances to all others are in memory at once


def cluster(points: Floats, k: int | None = None) -> Membership:
    """The cluster of each point, numbered in the order in which they first occur. `k` None: the data choose it.

    They choose as HCPC does: where one cluster more lowers the inertia within the clusters by the largest factor, between
    3 and 10 (and at most half as many as points).
    """
    tree = linkage(points, "ward")
    k = k if k is not None else chosen_number(tree)
    return _by_first(consolidated(points, cut(tree, k)))


def cut(tree: Floats, k: int) -> Membership:
    """The `k` clusters that are there before the last k - 1 merges of a tree."""
    points = len(tree) + 1
    labels = np.arange(2 * points - 1)
    for merge in range(points - k - 1, -1, -1):  # from the top down: what was merged gets the label of its merge
        labels[tree[merge, :2].astype(np.int64)] = labels[points + merge]
    return labels[:points].astype(np.int64)


def chosen_number(tree: Floats) -> int:
    """How many clusters the heights of a Ward tree suggest."""
    points = len(tree) + 1
    gains = (tree[:, 2] ** 2 / (2 * points))[::-1]
    within = gains[::-1].cumsum()[::-1]  # within[k - 1]: the inertia within k clusters
    most = min(MOST, round(points / 2), points - 1)
    if most <= FEWEST:
        return max(2, min(FEWEST, points - 1))
    before, after = within[FEWEST - 2 : most - 1], within[FEWEST - 1 : most]
    # Where rows are alike, nothing is left within some number of clusters; one more is then no gain.
    return FEWEST + int(np.argmin(np.divide(after, before, out=np.ones_like(after), where=before > 0)))


def silhouette(points: Floats, labels: Membership) -> float:
    """The mean silhouette, -1 to 1; a point alone in its cluster counts 0. 0.0 if there is one cluster only."""
    present, codes = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return 0.0
    member = np.eye(len(present))[codes]
    sizes = member.sum(axis=0)
    widths = []
    for start in range(0, len(points), _CHUNK):
        own = codes[start : start + _CHUNK]
        sums = cdist(points[start : start + _CHUNK], points) @ member
        at = np.arange(len(own))
        inside = sums[at, own] / np.maximum(sizes[own] - 1, 1)
        means = sums / sizes
        means[at, own] = np.inf
        outside = means.min(axis=1)
        widths.append(np.where(sizes[own] > 1, (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-300), 0.0))
    return round(float(np.concatenate(widths).mean()), 9)  # what follows depends on the machine's linear algebra


def _by_first(labels: Membership) -> Membership:
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[first.argsort()] = np.arange(len(first))
    return rank[codes]
