"""From edges to functional clusters: repeatable, complete in what it tells, right where the answer is known."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respool.clusters.edges import read_edges
from respool.clusters.gene_sets import GeneSet, read_gene_sets
from respool.clusters.model import Clustering, ClusterKind, identity
from respool.clusters.network import Edges, Genes, cluster_network, prepare
from respool.clusters.reading import Input
from respool.clusters.request import NetworkOptions
from respool.clusters.symbols import Aliases, read_aliases
from respool.errors import UsageError

DATA = Path(__file__).parents[2] / "examples" / "data"
SOURCE = Input("edges", "edges.tsv", "00", 0)
SETS = [
    GeneSet(f"S:{letter}", f"set of {letter}", "made up", frozenset(f"{letter}{n}" for n in range(12))) for letter in "ABCDE"
]
Links = list[tuple[str, str, float]]


def planted(sizes: Iterable[tuple[str, int]] = (("A", 14), ("B", 12), ("C", 12), ("D", 4)), seed: int = 1) -> Links:
    """Dense groups with a few links between them."""
    rng = random.Random(seed)
    groups = [[f"{letter}{n}" for n in range(size)] for letter, size in sizes]
    inside = [(one, other, 0.9) for group in groups for one in group for other in group if one < other and rng.random() < 0.7]
    between = [(rng.choice(groups[n]), rng.choice(groups[n - 1]), 0.2) for n in range(len(groups)) for _ in range(2)]
    return inside + between


QUICK = NetworkOptions(tries=3, resamples=4, shuffles=2)


def clustered(links: Links, options: NetworkOptions = QUICK, **genes: object) -> Clustering:
    question = prepare(Edges(links, (), SOURCE, ()), Genes(SETS, **genes), Aliases(), options)  # type: ignore[arg-type]
    return cluster_network(question)


def test_planted_groups_are_found_with_their_sets() -> None:
    found = clustered(planted())
    assert [(one.number, one.size, one.members[0], one.terms[0].id) for one in found.clusters] == [
        (1, 14, "A0", "S:A"), (2, 12, "B0", "S:B"), (3, 12, "C0", "S:C"),
    ]  # fmt: skip
    assert all(one.identity == identity(one.members, ClusterKind.FUNCTIONAL) for one in found.clusters)
    assert all(one.stability is not None and one.stability > 0.9 for one in found.clusters)
    assert (found.dropped.minimum, found.dropped.clusters, found.dropped.members) == (10, 1, 4)
    assert (found.components, found.isolates, found.entities, found.structure) == (1, (), 42, "clusters")
    first = found.clusters[0]
    assert first.links_inside == sum(one[0] == other[0] == "A" for one, other, _ in planted())
    degrees = {name: sum(name in link[:2] and link[0][0] == link[1][0] for link in planted()) for name in first.members}
    assert degrees[first.central[0]] == max(degrees.values())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_permuted_input_gives_the_same_bytes(seed: int, world: int) -> None:
    links = planted(seed=world)
    expected = clustered(links).to_json()
    rng = random.Random(seed)
    shuffled = [(other, one, weight) if rng.random() < 0.5 else (one, other, weight) for one, other, weight in links]
    rng.shuffle(shuffled)
    assert clustered(shuffled).to_json() == expected


def test_permuted_files_give_the_same_clusters(tmp_path: Path) -> None:
    """The real network, its rows, its columns and its gene sets in another order: all but the digests is the same."""
    links = read_edges(DATA / "string12_ndd_edges.tsv.gz").links
    rows = [f"{other}\t{one}\t{weight}\n" for one, other, weight in links]
    rng = random.Random(4)
    rng.shuffle(rows)
    (tmp_path / "edges.tsv").write_text("".join(rows))
    options = NetworkOptions(tries=2, resamples=2, shuffles=1)
    sets = read_gene_sets(DATA / "enrichr_GO_BP_2021.gmt.gz")[0]
    turned = cluster_network(prepare(read_edges(tmp_path / "edges.tsv"), Genes(sets[::-1]), Aliases(), options))
    straight = cluster_network(prepare(read_edges(DATA / "string12_ndd_edges.tsv.gz"), Genes(sets), Aliases(), options))
    assert {**turned.to_data(), "inputs": []} == {**straight.to_data(), "inputs": []}


@cache
def real() -> Clustering:
    sets, source, _ = read_gene_sets(DATA / "enrichr_GO_BP_2021.gmt.gz")
    edges, aliases = read_edges(DATA / "string12_ndd_edges.tsv.gz"), read_aliases(DATA / "hgnc_symbols_aliases.tsv.gz")
    return cluster_network(prepare(edges, Genes(sets, (source,)), aliases, NetworkOptions()))


def test_the_real_network() -> None:
    found = real()
    tops = [one for one in found.clusters if one.parent is None]
    assert [one.number for one in found.clusters] == list(range(1, len(found.clusters) + 1))
    assert [one.size for one in tops] == sorted((one.size for one in tops), reverse=True)
    assert found.clusters[: len(tops)] == tuple(tops)
    assert sum(one.size for one in tops) + found.dropped.members + len(found.isolates) == found.entities == 1962
    for part in found.clusters[len(tops) :]:
        assert part.parent is not None
        parent = found.cluster(part.parent)
        assert parent.size > 100
        assert set(part.members) < set(parent.members)
    assert found.modularity is not None
    assert found.modularity > 0.77
    assert found.method is not None
    assert (found.method.background_size, found.method.background) == (
        1879, "genes of the network that are in at least one gene set",
    )  # fmt: skip
    assert [(one.role, one.name) for one in found.inputs] == [
        ("edges", "string12_ndd_edges.tsv.gz"), ("gene sets", "enrichr_GO_BP_2021.gmt.gz"),
        ("aliases", "hgnc_symbols_aliases.tsv.gz"),
    ]  # fmt: skip
    assert {"symbol_changed", "symbol_unmapped"} <= {one.code for one in found.notices}
    for one in found.clusters:
        assert all(set(term.overlap) <= set(one.members) and len(term.overlap) >= 3 and term.q <= 0.05 for term in one.terms)
    assert Clustering.from_json(found.to_json()) == found


def test_the_negative_control_of_the_real_network() -> None:
    """20 shuffles of all members across the clusters: every one is flagged low, and of the real clusters none."""
    control = real().control
    assert control is not None
    assert (control.shuffles, control.low, control.real_low) == (20, control.tested, 0)
    assert control.tested == 20 * control.real >= 400


def test_what_was_wrong_with_the_edges_is_counted() -> None:
    links = [*planted(), ("A0", "A0", 1.0), ("A1", "A2", 0.1), ("A2", "A1", 0.1), ("ТР53", "A1", 0.1)]
    aliases = Aliases(frozenset({"A0"}), {"old": "A0"}, {}, Input("aliases", "hgnc", "0", 1))
    question = prepare(Edges([*links, ("old", "A0", 1.0)], ("lonely",), SOURCE, ()), Genes(SETS), aliases, NetworkOptions())
    counts = {one.code: one.count for one in question.notices}
    assert counts["self_link"] == 2  # "old" is A0
    assert counts["repeated_link"] == (2 if any({"A1", "A2"} == set(link[:2]) for link in planted()) else 1)
    assert counts["other_alphabet"] == 1
    assert "old → A0" in next(one for one in question.notices if one.code == "symbol_changed").names
    assert "lonely" in question.network.names
    found = cluster_network(question)
    assert found.isolates == ("lonely",)


def test_of_an_edge_given_twice_the_strongest_counts_whatever_the_order() -> None:
    links = [("A0", "A1", 0.2), ("A1", "A0", 0.9), ("A0", "A1", 0.5), ("A1", "A2", 0.3)]
    for turned in (links, links[::-1]):
        network = prepare(Edges(turned, (), SOURCE, ()), Genes(SETS), Aliases(), QUICK).network
        assert network.links() == [(0, 1, 0.9), (1, 2, 0.3)]


def test_a_large_cluster_has_parts_that_have_numbers_of_their_own() -> None:
    links = planted((("A", 12), ("B", 12), ("C", 14)))
    dense = [(f"A{n}", f"B{m}", 0.9) for n in range(12) for m in range(12) if (n + m) % 3 == 0]
    options = NetworkOptions(tries=3, resamples=2, shuffles=1, split_above=20, resolution=0.5)
    found = clustered([*links, *dense], options)
    whole = [one for one in found.clusters if one.parent is None]
    assert whole[0].size > 20
    coarse = clustered([*links, *dense], NetworkOptions(tries=3, resamples=2, shuffles=1, split_above=10**6, resolution=0.5))
    assert [one.members for one in coarse.clusters] == [one.members for one in whole]  # splitting changes no cluster


def test_the_background_is_what_is_asked_for() -> None:
    links = planted()
    sizes = {
        name: clustered(links, background=name, named=frozenset(named)).method
        for name, named in (("annotated", ()), ("network", ()), ("file", ["A0", "A1", "A2", "A3", "elsewhere"]))
    }
    # 12 of 14 A, 12 B, 12 C and 4 D are in a set; 42 are in the network; a file says for itself
    found = {name: method.background_size for name, method in sizes.items() if method}
    assert found == {"annotated": 40, "network": 42, "file": 5}
    with pytest.raises(UsageError, match="no annotated gene of the network is in the background"):
        clustered(links, background="file", named=frozenset({"elsewhere"}))


def test_other_ids_are_one_clear_error() -> None:
    links = [(f"9606.ENSP0000000{one}", f"9606.ENSP0000000{one + 1}", 0.9) for one in range(1000, 1020)]
    with pytest.raises(UsageError, match="none of the 21 names of the network is in a gene set") as caught:
        clustered(links)
    assert "STRING protein ids such as '9606.ENSP00000001000', the sets names such as 'A0'" in (caught.value.why or "")
    assert "protein.info" in (caught.value.command or "")


def test_another_alphabet_throughout_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="none of the 3 names"):
        clustered([("ТР53", "ВRСА1", 1.0), ("ВRСА1", "АТМ", 1.0)])


def test_no_clusters_is_a_result() -> None:
    found = clustered([("A0", "A1", 1.0), ("B0", "B1", 1.0)])
    assert (found.clusters, found.control, found.dropped.clusters, found.dropped.members) == ((), None, 2, 4)
    assert Clustering.from_json(found.to_json()) == found


def test_only_loops_are_no_network() -> None:
    with pytest.raises(UsageError, match=r"edges\.tsv has no edge between two different genes"):
        clustered([("A0", "A0", 1.0)])
