"""k-means after Hartigan and Wong (Applied Statistics 28, 1979, algorithm AS 136), from clusters that are there.

It moves one point at a time, and takes into account that both centres follow. That ends lower than moving every point to
the nearest centre (Lloyd's), and it is what R's kmeans, and so FactoMineR's HCPC, do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from respool.clusters.stability import Membership

Floats = NDArray[np.float64]
ROUNDS = 100


def consolidated(points: Floats, labels: Membership) -> Membership:
    """The clusters from which no move of a single point lowers the inertia within; `labels` are where it starts.

    >>> consolidated(np.array([[0.0], [1.0], [2.0], [9.0], [10.0]]), np.array([0, 0, 1, 1, 1])).tolist()
    [0, 0, 0, 1, 1]
    """
    codes = np.unique(labels, return_inverse=True)[1]
    centres = np.array([points[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    if len(centres) < 2:
        return np.zeros(len(points), dtype=np.int64)
    nearest = cdist(points, centres, "sqeuclidean").argsort(axis=1, kind="stable")
    if len(np.unique(nearest[:, 0])) < len(centres):  # two centres in one place: one of them is nobody's
        return consolidated(points, nearest[:, 0])
    moving = _Moving(points, nearest[:, 0].tolist(), nearest[:, 1].tolist(), len(centres))
    for _ in range(ROUNDS):
        if moving.look_at_all() or len(centres) == 2:
            break
    return np.array(moving.own, dtype=np.int64)


class _Moving:
    """Points on their way: `own` is the cluster of each, `second` the one it would go to first.

    A cluster is *live* for a point if it changed since the point was looked at; `live[c]` is one past the last point of
    this look for which it is. Between two clusters that are not live nothing can have become better.
    """

    def __init__(self, points: Floats, own: list[int], second: list[int], k: int) -> None:
        self.points, self.own, self.second = points, own, second
        self._sizes = np.bincount(own, minlength=k).astype(np.float64)
        self._centres = np.array([points[np.array(own) == c].mean(axis=0) for c in range(k)])
        self._live = [len(points)] * k
        self._unmoved = 0  # points looked at since the last move

    def look_at_all(self) -> bool:
        """Every point against every cluster, then the quick moves between a point's first two; True if nothing moved
        for a whole round."""
        many = len(self.points)
        touched = [0] * len(self._live)  # in the steps of this round, when a cluster last changed
        for at in range(many):
            self._unmoved += 1
            if self._sizes[self.own[at]] > 1 and self._best(at):
                for c in (self.own[at], self.second[at]):
                    self._live[c], touched[c] = many + at + 1, at + 1
            if self._unmoved == many:
                return True
        self._live = [last - many for last in self._live]
        for c in self._quick(touched):
            self._live[c] = many
        return False

    def _best(self, at: int) -> bool:
        """Find the best other cluster of a point among those that may have become better, and move it if that helps."""
        own, first = self.own[at], self.second[at]
        squares = ((self._centres - self.points[at]) ** 2).sum(axis=1)
        costs = squares * self._sizes / (self._sizes + 1)
        best = first
        for c in range(len(costs)):
            is_live = at < self._live[own] or at < self._live[c]
            if is_live and c not in (own, first) and costs[c] < costs[best]:
                best = c
        if costs[best] >= squares[own] * self._sizes[own] / (self._sizes[own] - 1):
            self.second[at] = best
            return False
        self._move(at, best)
        return True

    def _quick(self, touched: list[int]) -> set[int]:
        """Moves between the first two clusters of points, until a whole round had none; the clusters that changed."""
        many, step, quiet = len(self.points), 0, 0
        changed: set[int] = set()
        while quiet < many:
            at = step % many
            step, quiet = step + 1, quiet + 1
            own, second = self.own[at], self.second[at]
            if self._sizes[own] > 1 and (step < touched[own] or step < touched[second]):
                away, there = self.points[at] - self._centres[own], self.points[at] - self._centres[second]
                leaving = float(away @ away) * self._sizes[own] / (self._sizes[own] - 1)
                if float(there @ there) * self._sizes[second] / (self._sizes[second] + 1) < leaving:
                    self._move(at, second)
                    touched[own] = touched[second] = step + many
                    changed |= {own, second}
                    quiet = 0
        return changed

    def _move(self, at: int, to: int) -> None:
        own, point = self.own[at], self.points[at]
        self._centres[own] -= (point - self._centres[own]) / (self._sizes[own] - 1)
        self._centres[to] += (point - self._centres[to]) / (self._sizes[to] + 1)
        self._sizes[own] -= 1
        self._sizes[to] += 1
        self.own[at], self.second[at] = to, own
        self._unmoved = 0
