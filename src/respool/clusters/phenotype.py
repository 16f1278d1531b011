"""From a table to phenotype clusters: axes, tree, consolidation, what is typical of each; and whether there are any."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from respool.clusters.axes import Axes, mca, pca
from respool.clusters.control import shuffled_control
from respool.clusters.description import TEST, describe, in_order
from respool.clusters.hierarchy import cluster, silhouette
from respool.clusters.model import Cluster, Clustering, ClusterKind, Dropped, Method, Notice, Picture, identity
from respool.clusters.model import in_order as numbered
from respool.clusters.picture import fitted
from respool.clusters.request import TableOptions
from respool.clusters.stability import Membership, stability
from respool.clusters.table import Table, check_different
from respool.phrases import counted

NO_STRUCTURE = 0.25  # a mean silhouette up to here is "no substantial structure" (Kaufman and Rousseeuw 1990)
DRAWN_ROWS = 0.8  # the share of the rows that a resample draws
MOST_CENTRAL = 10
Told = Callable[[str], None]


def cluster_table(table: Table, options: TableOptions, told: Told = lambda _: None) -> Clustering:
    """The phenotype clusters of a table. `told` hears how far it is. Equal tables and options have equal answers.

    Raises UsageError for more clusters than there are different rows.
    """
    told("finding axes")
    everything = np.arange(len(table.ids))
    points = _axes(table, options, everything)
    check_different(table.source.name, len(np.unique(points.rows.round(9), axis=0)), options)  # on the axes that are kept
    told("growing the tree")
    labels = cluster(points.rows, options.k)
    groups = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    small = [group for group in groups if len(group) < options.min_size]
    order = numbered([table.ids[at] for at in group] for group in groups if len(group) >= options.min_size)
    whole = [_cluster(table, number, members, points.rows) for number, members in enumerate(order, 1)]
    told(f"{counted(len(whole), 'cluster')}; measuring how stable they are")
    partitions = [_again(table, options, len(groups), seed) for seed in range(options.seed, options.seed + options.resamples)]
    clusters = _judged(table, options, partitions, whole)
    told("shuffling members for the negative control")
    control = shuffled_control(
        clusters, lambda shuffled: _judged(table, options, partitions, shuffled), options.shuffles, options.seed
    )
    width = silhouette(points.rows, labels)
    continuum = Notice(
        "continuum", f"no substantial structure (mean silhouette {width:.2f}): the clusters are parts of a continuum", 1
    )
    plane = np.pad(points.rows, ((0, 0), (0, 1)))  # there may be one axis only
    across, down = fitted([(float(row[0]), float(row[1])) for row in plane])
    return Clustering(
        ClusterKind.PHENOTYPE, tuple(clusters), len(table.ids), "continuum" if width <= NO_STRUCTURE else "clusters", width,
        dropped=Dropped(options.min_size, len(small), sum(map(len, small))), inputs=(table.source,),
        parameters=options.to_data(), method=_method(table, options, points, len(groups)),
        notices=(*table.notices, *((continuum,) if width <= NO_STRUCTURE else ())),
        names=table.names, picture=Picture(table.ids, across, down), control=control,
    )  # fmt: skip


def _axes(table: Table, options: TableOptions, rows: NDArray[np.int64]) -> Axes:
    """The coordinates of some of the rows, from these rows alone."""
    if table.numeric:
        numbers = np.column_stack([np.asarray(feature.numbers)[rows] for feature in table.active])
        return pca(numbers[:, numbers.std(axis=0) > 0], options.axes)
    return mca([[feature.levels[row] for row in rows] for feature in table.active], options.axes)


def _cluster(table: Table, number: int, members: tuple[str, ...], points: NDArray[np.float64]) -> Cluster:
    inside = _where(table, members)
    distance = ((points[inside] - points[inside].mean(axis=0)) ** 2).sum(axis=1).round(12)
    central = sorted(zip(distance.tolist(), members, strict=True))[:MOST_CENTRAL]
    kind = ClusterKind.PHENOTYPE
    return Cluster(number, identity(members, kind), kind, members, central=tuple(member for _, member in central))


def _where(table: Table, members: Sequence[str]) -> NDArray[np.int64]:
    return np.searchsorted(np.asarray(table.ids), np.asarray(members)).astype(np.int64)


def _again(table: Table, options: TableOptions, k: int, seed: int) -> Membership:
    """The clusters of a random share of the rows, with everything done anew; -1 for the rows that were not drawn."""
    many = len(table.ids)
    drawn = np.array(sorted(random.Random(seed).sample(range(many), max(k + 1, round(many * DRAWN_ROWS)))), dtype=np.int64)
    found = np.full(many, -1, dtype=np.int64)
    different = len(np.unique(table.kinds[drawn]))
    found[drawn] = cluster(_axes(table, options, drawn).rows, min(k, different)) if different > 1 else 0
    return found


def _judged(table: Table, options: TableOptions, partitions: Sequence[Membership], clusters: list[Cluster]) -> list[Cluster]:
    """The clusters with the features and the stability that their members deserve."""
    judged = []
    where = [_where(table, one.members) for one in clusters]
    for one, places, known in zip(clusters, where, stability(where, partitions), strict=True):
        inside = np.zeros(len(table.ids), dtype=bool)
        inside[places] = True
        features = in_order([
            *describe(table.active, inside, options.alpha),
            *describe(table.supplementary, inside, options.alpha, supplementary=True),
        ])
        judged.append(replace(one, features=features, stability=known))
    return judged


def _method(table: Table, options: TableOptions, points: Axes, k: int) -> Method:
    axes, inertia = points.rows.shape[1], float(points.eigenvalues.sum())
    share = float(points.eigenvalues[:axes].sum()) / inertia
    kind = "principal components of standardised columns" if table.numeric else "multiple correspondence analysis"
    chosen = "as asked for" if options.k is not None else "chosen by the data"
    return Method(
        f"{kind}, {counted(axes, 'axis', 'axes')} ({share:.0%} of the inertia); Ward's tree cut into {k} ({chosen}), "
        f"consolidated by k-means; stability: mean best Jaccard index over {counted(options.resamples, 'resample')} with "
        f"{DRAWN_ROWS:.0%} of the rows",
        TEST, "all rows", len(table.ids), "none, as in catdes", options.resamples,
        {package: version(package) for package in ("numpy", "respool", "scipy")},
    )  # fmt: skip
