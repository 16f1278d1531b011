"""How well a group is known again when the data are drawn anew: the mean best Jaccard index over resamples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Membership = NDArray[np.int64]
"""The community of each of a fixed list of members; negative where a member was not drawn this time."""


def best_jaccard(group: NDArray[np.int64], found: Membership) -> float:
    """The highest Jaccard index of a group with one of the communities of a partition.

    `group` are positions in `found`. Members that were not drawn count neither way.

    >>> best_jaccard(np.array([0, 1, 2]), np.array([0, 0, 1, 1]))
    0.6666666666666666
    """
    there = found[group]
    there = there[there >= 0]
    if not len(there):
        return 0.0
    sizes = np.bincount(found[found >= 0])
    shared = np.bincount(there, minlength=len(sizes))
    return float((shared / (len(there) + sizes - shared)).max())


def stability(group: NDArray[np.int64], partitions: Sequence[Membership]) -> float | None:
    """The mean best Jaccard index of a group over resampled partitions, 0 to 1; None without any."""
    return float(np.mean([best_jaccard(group, found) for found in partitions])) if partitions else None
