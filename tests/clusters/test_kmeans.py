"""k-means after Hartigan and Wong: no single move helps any more, and it is what R's kmeans finds (see test_hierarchy.py)."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage

from respool.clusters.hierarchy import cut
from respool.clusters.kmeans import consolidated


def inertia(points: np.ndarray, labels: np.ndarray) -> float:
    groups = [points[labels == label] for label in np.unique(labels)]
    return float(sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups))


@given(st.integers(0, 10**6), st.integers(3, 6))
def test_no_move_of_a_single_point_helps(seed: int, k: int) -> None:
    points = np.random.default_rng(seed).normal(size=(30, 2))
    start = cut(linkage(points, "ward"), k)
    labels = consolidated(points, start)
    reached = inertia(points, labels)
    assert set(labels.tolist()) == set(range(k))
    assert reached <= inertia(points, start) + 1e-9
    for at in range(len(points)):
        if (labels == labels[at]).sum() > 1:
            for other in range(k):
                moved = labels.copy()
                moved[at] = other
                assert inertia(points, moved) >= reached - 1e-9


def test_it_ends_lower_than_moving_all_to_the_nearest_centre() -> None:
    points, start = np.array([[0.0], [2.1], [3.9], [3.9]]), np.array([0, 0, 1, 1])
    centres = np.array([points[start == label].mean() for label in (0, 1)])
    assert np.abs(points - centres).argmin(axis=1).tolist() == [0, 0, 1, 1]  # so Lloyd's would stay
    assert consolidated(points, start).tolist() == [0, 1, 1, 1]
    assert inertia(points, np.array([0, 1, 1, 1])) < inertia(points, start)


def test_two_centres_in_one_place_become_one() -> None:
    points = np.array([[0.0], [0.0], [0.0], [0.0], [5.0]])
    assert consolidated(points, np.array([0, 0, 1, 1, 2])).tolist() == [0, 0, 0, 0, 1]
    assert consolidated(points[:4], np.array([0, 0, 1, 1])).tolist() == [0, 0, 0, 0]


def test_a_cluster_of_one_keeps_its_point() -> None:
    points = np.array([[0.0], [0.5], [10.0]])
    assert consolidated(points, np.array([0, 0, 1])).tolist() == [0, 0, 1]
