"""What is typical of a cluster: the features that are over- or under-represented in it, as FactoMineR's catdes tells it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri_exp
from scipy.stats import hypergeom

from respool.clusters.axes import indicator
from respool.clusters.model import Feature as Described
from respool.clusters.table import Feature

Floats = NDArray[np.float64]
TEST = "two-sided hypergeometric (mid p) of levels, normal approximation of means; v-test as FactoMineR's catdes"


def describe(
    features: Sequence[Feature], inside: NDArray[np.bool_], alpha: float, *, supplementary: bool = False
) -> list[Described]:
    """The features that tell the rows `inside` from all rows, with p up to `alpha`; of 0/1 features only the level 1."""
    levels = [feature for feature in features if feature.numbers is None]
    numbers = [feature for feature in features if feature.numbers is not None]
    found = [*_of_levels(levels, inside), *_of_numbers(numbers, inside)]
    return [
        Described(name, level, "over" if v > 0 else "under", p, v, here, overall, "mean" if level is None else "share",
                  supplementary)
        for name, level, p, v, here, overall in found if p <= alpha and v != 0
    ]  # fmt: skip


def in_order(features: Sequence[Described]) -> tuple[Described, ...]:
    """The over-represented first, each direction with the strongest first."""
    return tuple(sorted(features, key=lambda one: (one.direction, -abs(one.v_test), one.name, one.level or "")))


Row = tuple[str, str | None, float, float, float, float]


def _of_levels(features: Sequence[Feature], inside: NDArray[np.bool_]) -> list[Row]:
    if not features:
        return []
    z, columns = indicator([feature.levels for feature in features])
    total, size = len(inside), int(inside.sum())
    everywhere, here = z.sum(axis=0).astype(int), z[inside].sum(axis=0).astype(int)
    drawn = hypergeom(total, everywhere, size)
    point = drawn.pmf(here)
    tail = np.minimum(drawn.cdf(here), drawn.sf(here - 1))
    p = np.clip(2 * tail - point, 0.0, 1.0)
    share, overall = here / size, everywhere / total
    with np.errstate(divide="ignore"):
        v = np.where(share > overall, -1.0, 1.0) * ndtri_exp(np.minimum(np.log(p / 2), np.log(0.5)))
    for at in np.flatnonzero(p < np.finfo(float).tiny):  # too small for a float; its logarithm is not
        law = hypergeom(total, everywhere[at], size)
        log_tail = law.logsf(here[at] - 1) if share[at] > overall[at] else law.logcdf(here[at])
        v[at] = (-1.0 if share[at] > overall[at] else 1.0) * ndtri_exp(log_tail)
    return [
        (features[number].name, level, float(p[at]), float(v[at]), float(share[at]), float(overall[at]))
        for at, (number, level) in enumerate(columns) if level == "1" or not features[number].binary
    ]  # fmt: skip


def _of_numbers(features: Sequence[Feature], inside: NDArray[np.bool_]) -> list[Row]:
    total, size = len(inside), int(inside.sum())
    rows: list[Row] = []
    for feature in features:
        values = np.asarray(feature.numbers)
        spread = values.std() * np.sqrt((total - size) / (total - 1) / size) if size < total else 0.0
        if spread > 0:
            here, overall = float(values[inside].mean()), float(values.mean())
            v = (here - overall) / float(spread)
            rows.append((feature.name, None, float(2 * np.exp(log_ndtr(-abs(v)))), v, here, overall))
    return rows
