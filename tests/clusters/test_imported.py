"""Clusters made elsewhere stand beside our own: same identity, numbers, order; nothing of theirs is lost silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.clusters.imported import import_clusters
from respool.clusters.model import Clustering, ClusterKind, identity
from respool.clusters.request import ImportRequest, InputFile
from respool.errors import UsageError

CLUSTERS = "cluster\tgene\nm2\tC\nm2\tD\nm1\tA\nm1\tB\nm1\tE\nm1\tA\nlone\tZ\n"
TERMS = "Cluster,ID,Description,GeneRatio,BgRatio,pvalue,p.adjust,qvalue,geneID,Count\n"


def row(cluster: str, name: str, q: float, genes: str = "A/B/X") -> str:
    return f"{cluster},{name},about {name},2/3,5/100,{q / 2},{q},{q},{genes},2\n"


def imported(folder: Path, clusters: str = CLUSTERS, *, kind: str = "functional", **tables: str) -> Clustering:
    (folder / "clusters.tsv").write_text(clusters)
    files = []
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
        files.append(InputFile.of(folder / f"{name}.csv"))
    return import_clusters(ImportRequest(InputFile.of(folder / "clusters.tsv"), tuple(files), kind))  # type: ignore[arg-type]


def test_clusters_are_numbered_named_and_counted_as_our_own(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert [(one.number, one.label, "".join(one.members)) for one in found.clusters] == [(1, "m1", "ABE"), (2, "m2", "CD")]
    assert found.clusters[0].identity == identity("ABE", ClusterKind.FUNCTIONAL)
    assert imported(tmp_path, kind="phenotype").clusters[0].identity == identity("ABE", ClusterKind.PHENOTYPE)
    assert (found.dropped.minimum, found.dropped.clusters, found.dropped.members, found.entities) == (2, 1, 1, 6)
    assert [(one.code, one.count) for one in found.notices] == [("repeated_member", 1)]
    assert found.clusters[0].stability is None
    assert Clustering.from_json(found.to_json()) == found


def test_terms_go_to_their_clusters(tmp_path: Path) -> None:
    table = TERMS + row("m1", "late", 0.03) + row("m1", "soon", 0.01) + row("m2", "other", 0.02, "C") + row("m1", "weak", 0.2)
    table += row("lone", "small", 0.01) + row("m2", "nameless", 0.01, "X")
    found = imported(tmp_path, terms=table)
    assert [(term.id, term.overlap) for term in found.clusters[0].terms] == [("soon", ("A", "B")), ("late", ("A", "B"))]
    assert [(term.id, term.overlap) for term in found.clusters[1].terms] == [("nameless", ()), ("other", ("C",))]
    assert {one.code: (one.count, one.names) for one in found.notices if one.code != "repeated_member"} == {
        "term_unusable": (1, ("lone",)), "term_weak": (1, ()), "no_overlap": (1, ()),
    }  # fmt: skip
    assert [one.role for one in found.inputs] == ["clusters", "enrichment"]


def test_a_table_without_the_cluster_is_named_after_it(tmp_path: Path) -> None:
    plain = TERMS.replace("Cluster,", "") + row("", "soon", 0.01).removeprefix(",")
    found = imported(tmp_path, go_m2=plain)
    assert [len(one.terms) for one in found.clusters] == [0, 1]
    with pytest.raises(UsageError, match=r"all\.csv does not say which cluster its terms are of") as caught:
        imported(tmp_path, all=plain)
    assert "name it after its cluster, such as m2.tsv" in (caught.value.command or "")


def test_two_columns_need_no_header(tmp_path: Path) -> None:
    assert [one.label for one in imported(tmp_path, "x,A\nx,B\ny,C\ny,D\n").clusters] == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("cluster\tscore\nx\t1\n", "clusters.tsv has no column for the member", "clusters.tsv:1"),
        ("gene\tscore\nA\t1\n", "clusters.tsv has no column for the cluster", "clusters.tsv:1"),
        ("cluster\tgene\nx\t\n", "this row names no cluster or no member", "clusters.tsv:2"),
        ("cluster\tgene\n", "clusters.tsv has a header and no members", "clusters.tsv"),
    ],
)
def test_what_is_no_list_of_clusters_is_one_error(tmp_path: Path, text: str, message: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        imported(tmp_path, text)
    assert (caught.value.what, caught.value.where) == (message, where)
