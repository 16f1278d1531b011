"""The negative control deals the members anew, keeps the sizes, and counts what is flagged."""

from __future__ import annotations

import random
from dataclasses import replace

from respool.clusters.control import shuffled, shuffled_control
from respool.clusters.model import Cluster, ClusterKind, Control, Feature, identity

KIND = ClusterKind.PHENOTYPE
STRONG = Feature("f", "1", "over", 1e-40, 20.0, 0.9, 0.1)
CLUSTERS = [
    Cluster(
        number, identity(members, KIND), KIND, members, label="mine", stability=0.9, features=(STRONG,), central=members[:1]
    )
    for number, members in enumerate((tuple("abcdefgh"), tuple("ijklmn"), tuple("opqrst")), 1)
]


def test_a_shuffle_keeps_members_and_sizes_and_forgets_everything_else() -> None:
    dealt = shuffled(CLUSTERS, random.Random(1))
    assert [one.size for one in dealt] == [8, 6, 6]
    assert sorted(member for one in dealt for member in one.members) == list("abcdefghijklmnopqrst")
    assert [one.members for one in dealt] != [one.members for one in CLUSTERS]
    assert all(one.identity == identity(one.members, KIND) and one.members == tuple(sorted(one.members)) for one in dealt)
    assert all((one.features, one.terms, one.stability, one.central, one.label) == ((), (), None, (), None) for one in dealt)
    assert shuffled(CLUSTERS, random.Random(1)) == dealt != shuffled(CLUSTERS, random.Random(2))


def test_flags_are_counted() -> None:
    def generous(clusters: list[Cluster]) -> list[Cluster]:
        return [replace(clusters[0], features=(STRONG,)), *clusters[1:]]  # finds something in the first of them

    assert shuffled_control(CLUSTERS, lambda clusters: clusters, 5, 1) == Control(5, 15, 15, 3, 0)
    assert shuffled_control(CLUSTERS, generous, 5, 1) == Control(5, 15, 10, 3, 0)
    bare = [replace(one, features=()) for one in CLUSTERS]
    assert shuffled_control(bare, lambda clusters: clusters, 2, 1) == Control(2, 6, 6, 3, 3)


def test_nothing_to_shuffle_is_no_control() -> None:
    assert shuffled_control(CLUSTERS[:1], lambda clusters: clusters, 5, 1) is None
    assert shuffled_control(CLUSTERS, lambda clusters: clusters, 0, 1) is None
