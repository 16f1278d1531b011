"""Tree, number of clusters and consolidation are those of FactoMineR's HCPC; the silhouette is what its definition says."""

from __future__ import annotations

import numpy as np
import pytest
from factominer import categories, numbers, oracle, same_partition
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import cdist

from respool.clusters.axes import mca, pca
from respool.clusters.hierarchy import chosen_number, cluster, cut, silhouette


def points() -> np.ndarray:
    return mca([feature.levels for feature in categories()], axes=5).rows


def test_clusters_of_categories_are_those_of_hcpc() -> None:
    assert same_partition(cluster(points()), oracle()["mca"]["clusters"])
    assert same_partition(cluster(points(), 7), oracle()["mca"]["seven"])
    assert same_partition(cut(linkage(points(), "ward"), 7), oracle()["mca"]["plain"])


def test_clusters_of_numbers_are_those_of_hcpc() -> None:
    assert same_partition(cluster(pca(numbers(), axes=2).rows), oracle()["pca"]["clusters"])


def test_the_inertia_within_is_that_of_hcpc() -> None:
    tree = linkage(points(), "ward")
    within = (tree[:, 2] ** 2 / (2 * len(points()))).cumsum()[::-1]
    assert within[:10] == pytest.approx(oracle()["mca"]["within"], abs=1e-10)
    assert chosen_number(tree) == len(set(oracle()["mca"]["clusters"]))


def test_the_data_choose_their_number() -> None:
    angle = 2 * np.pi * np.arange(5) / 5
    centres = 20 * np.column_stack([np.cos(angle), np.sin(angle)])
    noise = np.random.default_rng(1).normal(size=(200, 2))
    labels = cluster(np.repeat(centres, 40, axis=0) + noise)
    assert np.array_equal(labels, np.repeat(np.arange(5), 40))


def test_rows_that_are_alike_are_not_divided_further() -> None:
    corners = np.array([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 2.0) for z in (0.0, 4.0)])
    assert chosen_number(linkage(np.repeat(corners, 5, axis=0), "ward")) == 8
    assert chosen_number(linkage(np.repeat(corners[:2], 10, axis=0), "ward")) == 3  # nothing to choose: the fewest


def test_a_cut_has_as_many_clusters_as_asked_for() -> None:
    tree = linkage(points(), "ward")
    for k in (1, 2, 7, len(points())):
        assert len(set(cut(tree, k).tolist())) == k
    assert len(set(cut(linkage(np.zeros((6, 2)), "ward"), 3).tolist())) == 3  # ties all over


def test_the_silhouette_is_its_definition() -> None:
    labels = cluster(points(), 4)
    distances = cdist(points(), points())
    widths = []
    for row, label in enumerate(labels):
        others = np.arange(len(labels)) != row
        means = {one: distances[row, (labels == one) & others].mean() for one in set(labels.tolist())}
        inside, outside = means[label], min(mean for one, mean in means.items() if one != label)
        widths.append((outside - inside) / max(inside, outside))
    assert silhouette(points(), labels) == pytest.approx(np.mean(widths), abs=1e-8)
    assert silhouette(points(), np.zeros(len(labels), dtype=np.int64)) == 0.0
    assert silhouette(np.array([[0.0], [1.0], [9.0]]), np.array([0, 0, 1])) == pytest.approx((8 / 9 + 7 / 8 + 0) / 3)
