"""Over-representation is gseapy's to 1e-12, over the background that is said, and the adjustment covers what is said."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.clusters.enrichment import Enrichment, benjamini_hochberg
from respool.clusters.gene_sets import GeneSet, all_genes, read_gene_sets
from respool.clusters.request import NetworkOptions

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "examples" / "data"


def network() -> list[list[str]]:
    with gzip.open(DATA / "string12_ndd_edges.tsv.gz", "rt") as file:
        return [line.split("\t")[:2] for line in file][1:]


def third_of_the_sets(folder: Path) -> list[GeneSet]:
    with gzip.open(DATA / "enrichr_GO_BP_2021.gmt.gz", "rt") as file:
        lines = list(file)[::3]
    path = folder / "third.gmt"
    path.write_text("".join(lines))
    return read_gene_sets(path)[0]


def test_every_term_is_gseapys(tmp_path: Path) -> None:
    oracle = json.loads((HERE / "oracle" / "gseapy.json").read_text())
    sets, edges = third_of_the_sets(tmp_path), network()
    background = {end for edge in edges for end in edge} & all_genes(sets)
    assert len(background) == oracle["background"]
    options = NetworkOptions(alpha=1.0, min_overlap=1, max_set_size=10**6, correction="overlapping")
    enrichment = Enrichment(sets, background, options)
    hubs = list(oracle["terms"])
    groups = [sorted({end for edge in edges if hub in edge for end in edge}) for hub in hubs]
    for hub, terms in zip(hubs, enrichment.terms(groups), strict=True):
        theirs = {name.rpartition("(")[2].rstrip(")"): values for name, values in oracle["terms"][hub].items()}
        assert {term.id for term in terms} == set(theirs)
        assert len(terms) > 30
        for term in terms:
            p, q, genes = theirs[term.id]
            assert math.isclose(term.p or 0.0, p, rel_tol=1e-12)
            assert math.isclose(term.q, q, rel_tol=1e-12)
            assert list(term.overlap) == genes


SETS = [GeneSet(f"S{n}", f"set {n}", "x", frozenset(f"G{i}" for i in range(n, n + 6))) for n in range(0, 40, 2)]
GENES = [f"G{i}" for i in range(50)]


def test_the_adjustment_covers_what_it_says() -> None:
    group = [f"G{i}" for i in range(6)]
    tested, overlapping = (
        Enrichment(SETS, GENES, NetworkOptions(correction=correction)) for correction in ("tested", "overlapping")
    )
    (ours,), (theirs,) = tested.terms([group]), overlapping.terms([group])
    best = ours[0]
    assert best.q == pytest.approx((best.p or 0) * 20)  # all 20 sets
    assert theirs[0].q == pytest.approx((best.p or 0) * 3)  # three share a gene: those from 0, 2 and 4
    assert "20 sets, with an overlap or without" in tested.covers
    assert "those that share a gene" in overlapping.covers


def test_only_genes_of_the_background_count() -> None:
    group = [*(f"G{i}" for i in range(6)), "stranger 1", "stranger 2"]
    ((best, *_),) = Enrichment(SETS, GENES, NetworkOptions()).terms([group])
    assert (best.id, best.cluster_size, best.set_size, best.background_size) == ("S0", 6, 6, 50)
    assert best.fold == pytest.approx((6 / 6) / (6 / 50))
    assert best.p == pytest.approx(1 / math.comb(50, 6))
    assert best.overlap == tuple(f"G{i}" for i in range(6))
    wider = Enrichment(SETS, [*GENES, *(f"other {i}" for i in range(950))], NetworkOptions())
    assert (wider.terms([group])[0][0].p or 0) < best.p / 1000  # the trap: a background that could never be drawn


def test_large_sets_are_not_tested_and_small_overlaps_not_reported() -> None:
    enrichment = Enrichment(SETS, GENES, NetworkOptions(max_set_size=5))
    assert enrichment.tested == 0
    assert enrichment.terms([GENES[:6]]) == [()]
    reported = Enrichment(SETS, GENES, NetworkOptions(alpha=1.0, min_overlap=4)).terms([GENES[:6]])[0]
    assert {len(term.overlap) for term in reported} == {4, 6}


def test_a_group_without_any_gene_of_the_background_has_no_terms() -> None:
    assert Enrichment(SETS, GENES, NetworkOptions()).terms([["stranger"], []]) == [(), ()]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 5))
def test_benjamini_hochberg_is_its_definition(p: list[float], more: int) -> None:
    adjusted, everything = benjamini_hochberg(np.array(p), len(p) + more), [*p, *[1.0] * more]
    for value, one in zip(adjusted, p, strict=True):
        steps = [other * len(everything) / sum(each <= other for each in everything) for other in everything if other >= one]
        assert value == pytest.approx(min(1.0, *steps))
