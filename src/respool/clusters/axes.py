"""From a table to coordinates: multiple correspondence analysis of categories, principal components of numbers.

Both as FactoMineR computes them. The sign of an axis, which is a matter of chance, is fixed: its largest loading is positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NOTHING = 1e-12  # an eigenvalue below this is rounding


class Axes(NamedTuple):
    """`rows`: the coordinates of each row; `eigenvalues` of all axes, of which `rows` may hold the first few only."""

    rows: Floats
    eigenvalues: Floats


def indicator(features: Sequence[Sequence[str]]) -> tuple[Floats, list[tuple[int, str]]]:
    """The 0/1 matrix of all levels of all features, and which (feature, level) each of its columns is.

    >>> indicator([["a", "b"]])[0].tolist(), indicator([["a", "b"]])[1]
    ([[1.0, 0.0], [0.0, 1.0]], [(0, 'a'), (0, 'b')])
    """
    columns: list[tuple[int, str]] = []
    blocks = []
    for number, levels in enumerate(features):
        known = {level: code for code, level in enumerate(sorted(set(levels)))}
        columns += [(number, level) for level in known]
        blocks.append(np.eye(len(known))[[known[level] for level in levels]])
    return np.hstack(blocks), columns


def mca(features: Sequence[Sequence[str]], axes: int | None = None) -> Axes:
    """The multiple correspondence analysis of the indicator matrix.

    `axes`: how many to keep; None keeps those with more than the average eigenvalue, 1 / number of features.
    """
    z, _ = indicator(features)
    count = len(features)
    masses = z.mean(axis=0) / count
    residuals = (z / count - masses) / np.sqrt(masses) / np.sqrt(len(z))
    return _decomposed(residuals, axes, average=1 / count)


def pca(numbers: Floats, axes: int | None = None) -> Axes:
    """The principal components of standardised columns (rows × features, none of them constant).

    `axes`: how many to keep; None keeps those with more than the average eigenvalue, 1.
    """
    standard = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    return _decomposed(standard / np.sqrt(len(numbers)), axes, average=1.0)


def _decomposed(matrix: Floats, axes: int | None, average: float) -> Axes:
    # Tables are long and narrow: the small cross product takes a hundredth of the time that a singular value
    # decomposition of the table takes, and is as exact as its eigenvalues are apart.
    ascending, vectors = np.linalg.eigh(matrix.T @ matrix)
    eigenvalues, loadings = ascending[::-1], vectors[:, ::-1]
    real = min(int((eigenvalues > _NOTHING).sum()), len(matrix) - 1)
    kept = min(real, axes if axes is not None else max(2, int((eigenvalues > average + _NOTHING).sum())))
    loudest = np.abs(loadings[:, :kept]).argmax(axis=0)
    signs = np.sign(loadings[loudest, np.arange(kept)])
    return Axes(matrix @ (loadings[:, :kept] * signs) * np.sqrt(len(matrix)), eigenvalues[:real])
