"""GMT files of Enrichr, of MSigDB and of hand: the sets, or one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.clusters.gene_sets import all_genes, named, read_gene_sets
from respool.errors import UsageError

DATA = Path(__file__).parents[2] / "examples" / "data"


def test_enrichrs_empty_column_and_weights_are_read_as_meant(tmp_path: Path) -> None:
    (tmp_path / "GO.gmt").write_text("repair (GO:0006281)\t\tBRCA1,1.0\tTP53\t\nalpha\thttp://x\tA\tB,C\n")
    sets, source, notices = read_gene_sets(tmp_path / "GO.gmt")
    assert [(one.id, one.name, one.source, sorted(one.genes)) for one in sets] == [
        ("GO:0006281", "repair", "GO", ["BRCA1", "TP53"]), ("alpha", "alpha", "GO", ["A", "B,C"]),
    ]  # fmt: skip
    assert (source.rows, notices) == (2, ())
    assert all_genes(sets) == {"BRCA1", "TP53", "A", "B,C"}


def test_the_real_file() -> None:
    sets, source, notices = read_gene_sets(DATA / "enrichr_GO_BP_2021.gmt.gz")
    assert (len(sets), source.name, notices) == (6036, "enrichr_GO_BP_2021.gmt.gz", ())
    assert all(one.id.startswith("GO:") and one.source == "enrichr_GO_BP_2021" for one in sets)


@pytest.mark.parametrize(
    ("title", "name", "stable"),
    [
        ("Mitotic Prophase R-HSA-68875", "Mitotic Prophase", "R-HSA-68875"),
        ("Apoptosis WP254", "Apoptosis", "WP254"),
        ("Seizure (HP:0001250)", "Seizure", "HP:0001250"),
        ("HALLMARK_HYPOXIA", "HALLMARK_HYPOXIA", "HALLMARK_HYPOXIA"),
        ("(GO:0000001)", "(GO:0000001)", "(GO:0000001)"),
    ],
)
def test_an_id_in_a_title_is_found(title: str, name: str, stable: str) -> None:
    assert named(title) == (name, stable)


def test_sets_without_genes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.gmt").write_text("some\t\tA\nnone\t\n")
    _, _, (notice,) = read_gene_sets(tmp_path / "x.gmt")
    assert (notice.code, notice.count, notice.names) == ("term_unusable", 1, ("none",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.gmt is empty"),
        ("a\t\nb\t\t\n", "x.gmt has no gene set with a gene in it"),
        ("# nothing but a remark\n", "x.gmt has no gene set"),
        ("a\t\tA\nnot a set\n", "x.gmt has a line that is no gene set: 'not a set'"),
        ("a\t\tA\na\t\tB\n", "x.gmt has the set 'a' twice"),
    ],
)
def test_a_file_without_sets_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.gmt").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_gene_sets(tmp_path / "x.gmt")
    assert message in caught.value.what
