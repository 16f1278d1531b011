"""A cluster is known by its content, and a clustering survives its JSON form byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool import canonical
from respool.clusters.model import (
    Cluster,
    Clustering,
    ClusterKind,
    Dropped,
    Feature,
    Input,
    Method,
    Notice,
    Picture,
    Term,
    identity,
    in_order,
)
from respool.errors import UsageError

TERM = Term("GO:1", "repair", "GO", 1e-300, 0.04, ("A", "B"), 10, 5, 100, 4.0)
FEATURE = Feature("height", None, "under", 0.001, -3.29, 1.2, 1.7, "mean", True)
CLUSTERING = Clustering(
    ClusterKind.FUNCTIONAL,
    (Cluster(1, identity(["A", "B"], ClusterKind.FUNCTIONAL), ClusterKind.FUNCTIONAL, ("A", "B"), None, "mine", 0.5, (TERM,)),
     Cluster(2, "x", ClusterKind.PHENOTYPE, ("A",), 1, features=(FEATURE,), central=("A",), links_inside=1, links_outside=2)),
    5, "continuum", 0.1, 0.4, 2, ("Z",), Dropped(10, 3, 12), (Input("edges", "e.tsv.gz", "00", 7),), {"seed": 1, "k": None},
    Method("Leiden", "hypergeometric", "annotated", 100, "all", 20, {"igraph": "1"}),
    (Notice("symbol_changed", "y", 2, ("A → B",)),), {"A": "Ä"}, Picture(("A",), (0.5,), (0.25,), ((0, 0),), 4),
)  # fmt: skip


def test_a_clustering_is_read_back_exactly() -> None:
    text = CLUSTERING.to_json()
    assert Clustering.from_json(text) == CLUSTERING
    assert Clustering.from_json(text).to_json() == text
    assert Clustering.from_data(CLUSTERING.to_data()) == CLUSTERING


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(UsageError, match="format 99; this program reads up to 1"):
        Clustering.from_data({**CLUSTERING.to_data(), "format": 99})


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1), st.randoms())
def test_identity_is_of_the_members_and_the_kind_alone(members: list[str], random: object) -> None:
    shuffled = sorted(members * 2, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert identity(shuffled, ClusterKind.FUNCTIONAL) == identity(members, ClusterKind.FUNCTIONAL)
    assert identity(members, ClusterKind.FUNCTIONAL) != identity(members, ClusterKind.PHENOTYPE)
    assert identity([*members, "one more" * 9], ClusterKind.FUNCTIONAL) != identity(members, ClusterKind.FUNCTIONAL)


def test_identity_is_the_project_s_one_digest() -> None:
    assert identity(["B", "A"], ClusterKind.PHENOTYPE) == canonical.digest("cluster", "phenotype", "A", "B")
    assert identity(["B", "A"], ClusterKind.FUNCTIONAL) == "3fdb10bf4553e899fbdffe35ff4e6309"  # kept summaries hang on it


def test_numbers_go_by_size_and_then_by_the_smallest_member() -> None:
    assert in_order([["C", "X"], ["B"], ["A", "Y"], ["D", "E", "F"]]) == [("D", "E", "F"), ("A", "Y"), ("C", "X"), ("B",)]


def test_a_cluster_is_found_by_its_number() -> None:
    assert CLUSTERING.cluster(2).size == 1
    with pytest.raises(KeyError):
        CLUSTERING.cluster(3)
