"""The negative control: the members of all clusters shuffled among them, and judged as if they were clusters.

What says that a cluster is worth something has to say of a shuffled one that it is worth nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from respool.clusters.confidence import Level, confidence
from respool.clusters.model import Cluster, Control, identity

Judge = Callable[[list[Cluster]], list[Cluster]]


def shuffled_control(clusters: Sequence[Cluster], judge: Judge, shuffles: int, seed: int) -> Control | None:
    """How many of the shuffled clusters are flagged low, and how many of the real ones. None with nothing to shuffle.

    Each shuffle keeps the sizes; `judge` gives clusters their evidence and stability.
    """
    if len(clusters) < 2 or not shuffles:
        return None
    tested = low = 0
    for number in range(shuffles):
        judged = judge(shuffled(clusters, random.Random(seed * 1_000_003 + number)))
        tested += len(judged)
        low += sum(confidence(cluster).level is Level.LOW for cluster in judged)
    real = sum(confidence(cluster).level is Level.LOW for cluster in clusters)
    return Control(shuffles, tested, low, len(clusters), real)


def shuffled(clusters: Sequence[Cluster], chance: random.Random) -> list[Cluster]:
    """Clusters of the same sizes and numbers with the members dealt anew, without any evidence."""
    cards = sorted(member for cluster in clusters for member in cluster.members)
    chance.shuffle(cards)
    dealt, start = [], 0
    for cluster in clusters:
        members = tuple(sorted(cards[start : start + cluster.size]))
        start += cluster.size
        dealt.append(
            replace(cluster, members=members, identity=identity(members, cluster.kind), terms=(), features=(),
                    stability=None, central=(), label=None)
        )  # fmt: skip
    return dealt
