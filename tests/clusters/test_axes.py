"""Coordinates are FactoMineR's, but for the sign of an axis."""

from __future__ import annotations

import numpy as np
import pytest
from factominer import categories, numbers, oracle

from respool.clusters.axes import indicator, mca, pca


def same_up_to_signs(ours: np.ndarray, theirs: list[list[float]]) -> float:
    expected = np.array(theirs)
    signs = np.sign((ours * expected).sum(axis=0))
    return float(np.abs(ours * signs - expected).max())


def test_mca_is_factominers() -> None:
    found = mca([feature.levels for feature in categories()], axes=5)
    assert same_up_to_signs(found.rows, oracle()["mca"]["coordinates"]) < 1e-10
    assert found.eigenvalues == pytest.approx(oracle()["mca"]["eigenvalues"], abs=1e-12)


def test_pca_is_factominers() -> None:
    found = pca(numbers(), axes=2)
    assert same_up_to_signs(found.rows, oracle()["pca"]["coordinates"]) < 1e-10
    assert found.eigenvalues == pytest.approx(oracle()["pca"]["eigenvalues"], abs=1e-12)


def test_axes_above_the_average_are_kept() -> None:
    features = [feature.levels for feature in categories()]
    found = mca(features)
    assert found.rows.shape[1] == sum(value > 1 / len(features) for value in found.eigenvalues)


def test_the_sign_of_an_axis_does_not_hang_on_the_order_of_rows() -> None:
    features = [feature.levels for feature in categories()]
    backwards = mca([levels[::-1] for levels in features], axes=3)
    assert np.abs(backwards.rows[::-1] - mca(features, axes=3).rows).max() < 1e-9


def test_an_indicator_has_a_column_for_each_level() -> None:
    matrix, columns = indicator([["b", "a", "b"], ["x", "x", "y"]])
    assert columns == [(0, "a"), (0, "b"), (1, "x"), (1, "y")]
    assert matrix.tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
