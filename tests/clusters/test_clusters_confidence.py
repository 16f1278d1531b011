"""Confidence is the lowest of what evidence and stability allow, and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from respool.clusters.confidence import Level, confidence
from respool.clusters.model import Cluster, ClusterKind, Feature, Term

MEMBERS = tuple(f"G{n}" for n in range(10))
GENES = Cluster(1, "x", ClusterKind.FUNCTIONAL, MEMBERS)
ROWS = Cluster(1, "x", ClusterKind.PHENOTYPE, MEMBERS)


def term(q: float, genes: int) -> Term:
    return Term("T", "t", "s", q / 2, q, MEMBERS[:genes], 20, 10, 100, 5.0)


def feature(v: float, *, supplementary: bool = False) -> Feature:
    return Feature("f", "1", "over" if v > 0 else "under", 0.01, v, 0.5, 0.1, supplementary=supplementary)


@pytest.mark.parametrize(
    ("q", "genes", "stability", "level"),
    [
        (1e-9, 6, 0.9, "high"),
        (1e-9, 6, None, "high"),
        (1e-4, 6, 0.9, "medium"),
        (1e-2, 6, 0.9, "low"),
        (1e-9, 3, 0.9, "medium"),
        (1e-9, 1, 0.9, "low"),
        (1e-9, 6, 0.5, "medium"),
        (1e-9, 6, 0.19, "low"),
        (1e-9, 0, 0.9, "high"),  # an imported term that does not say which genes
    ],
)
def test_the_weakest_decides_for_genes(q: float, genes: int, stability: float | None, level: str) -> None:
    assert confidence(replace(GENES, terms=(term(q, genes),), stability=stability)).level == level


@pytest.mark.parametrize(
    ("v", "stability", "level"), [(-12, 0.8, "high"), (6, 0.8, "medium"), (4, 0.8, "low"), (12, 0.1, "low")]
)
def test_the_weakest_decides_for_rows(v: float, stability: float, level: str) -> None:
    assert confidence(replace(ROWS, features=(feature(v),), stability=stability)).level == level


def test_without_evidence_it_is_low_and_supplementary_features_are_none() -> None:
    assert confidence(GENES).reasons == ("no term is over-represented",)
    assert confidence(replace(ROWS, features=(feature(30, supplementary=True),))).level is Level.LOW


def test_the_weightiest_reason_comes_first() -> None:
    found = confidence(replace(GENES, terms=(term(1e-9, 6),), stability=0.1))
    assert found.reasons[0] == "found again in resamples with a mean Jaccard index of 0.10"
    assert found.reasons[1:] == ("the best term has q = 1.0e-09", "60% of the members are in a reported term")
