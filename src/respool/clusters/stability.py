"""How well groups are known again when the data are drawn anew: the mean best Jaccard index over resamples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Membership = NDArray[np.int64]
"""The community of each of a fixed list of members; negative where a member was not drawn this time."""


def best_jaccard(groups: Sequence[NDArray[np.int64]], found: Membership) -> NDArray[np.float64]:
    """For each group the highest Jaccard index with one of the communities of a partition.

    A group are positions in `found`. Members that were not drawn count neither way.

    >>> best_jaccard([np.array([0, 1, 2]), np.array([3])], np.array([0, 0, 1, 1])).round(2).tolist()
    [0.67, 0.5]
    """
    communities = int(found.max(initial=-1)) + 1
    if not communities or not groups:
        return np.zeros(len(groups))
    members, owners = np.concatenate(groups), np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    drawn = found[members] >= 0
    pairs = owners[drawn] * communities + found[members][drawn]
    shared = np.bincount(pairs, minlength=len(groups) * communities).reshape(len(groups), communities)
    sizes = np.bincount(found[found >= 0], minlength=communities)
    best: NDArray[np.float64] = (shared / np.maximum(shared.sum(axis=1)[:, None] + sizes - shared, 1)).max(axis=1)
    return best


def stability(groups: Sequence[NDArray[np.int64]], partitions: Sequence[Membership]) -> list[float | None]:
    """The mean best Jaccard index of each group over resampled partitions, 0 to 1; None without any."""
    if not partitions:
        return [None] * len(groups)
    mean = np.mean([best_jaccard(groups, found) for found in partitions], axis=0)
    return [float(value) for value in mean]
