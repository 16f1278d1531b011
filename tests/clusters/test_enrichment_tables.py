"""Exports of g:Profiler, Enrichr, gseapy and clusterProfiler, as their programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.clusters.enrichment_tables import read_enrichment
from respool.clusters.model import Term
from respool.errors import UsageError

GPROFILER_WEB = (
    "source,term_name,term_id,highlighted,adjusted_p_value,negative_log10_of_adjusted_p_value,term_size,query_size,"
    "intersection_size,effective_domain_size,intersections\n"
    'GO:BP,DNA repair,GO:0006281,true,1.5e-5,4.8,600,10,4,18000,"ATM,BRCA1,BRCA2,TP53"\n'
)
GPROFILER_R = (
    "query\tsignificant\tp_value\tterm_size\tquery_size\tintersection_size\tprecision\trecall\tterm_id\tsource\tterm_name\t"
    "effective_domain_size\tsource_order\tparents\tevidence_codes\tintersection\n"
    "c1\tTRUE\t1.5e-5\t600\t10\t4\t0.4\t0.1\tGO:0006281\tGO:BP\tDNA repair\t18000\t1\tGO:1\tIDA\tATM,BRCA1,BRCA2,TP53\n"
)
GPROFILER_PYTHON = (
    "source,native,name,p_value,significant,term_size,query_size,intersection_size,effective_domain_size,query,intersections\n"
    "GO:BP,GO:0006281,DNA repair,1.5e-5,True,600,10,4,18000,c1,\"['ATM', 'BRCA1', 'BRCA2', 'TP53']\"\n"
)
ENRICHR = (
    "Term\tOverlap\tP-value\tAdjusted P-value\tOld P-value\tOld Adjusted P-value\tOdds Ratio\tCombined Score\tGenes\n"
    "DNA repair (GO:0006281)\t4/600\t1e-6\t1.5e-5\t0\t0\t9.1\t80\tATM;BRCA1;BRCA2;TP53\n"
)
ENRICHR_R = ENRICHR.replace("\t", ",").replace("P-value", "P.value").replace("Adjusted P.value", "Adjusted.P.value")
GSEAPY = (
    "Gene_set,Term,Overlap,P-value,Adjusted P-value,Odds Ratio,Combined Score,Genes\n"
    "GO_BP,DNA repair (GO:0006281),4/600,1e-6,1.5e-5,9.1,80,ATM;BRCA1;BRCA2;TP53\n"
)
CLUSTERPROFILER = (
    '"","Cluster","ID","Description","GeneRatio","BgRatio","pvalue","p.adjust","qvalue","geneID","Count"\n'
    '"1","c1","GO:0006281","DNA repair","4/10","600/18000",1e-6,1.5e-5,1e-5,"ATM/BRCA1/BRCA2/TP53",4\n'
)
FOLD = (4 / 10) / (600 / 18000)


@pytest.mark.parametrize(
    ("text", "label", "source", "p", "sizes", "fold"),
    [
        (GPROFILER_WEB, None, "GO:BP", None, (600, 10, 18000), FOLD),
        (GPROFILER_R, "c1", "GO:BP", None, (600, 10, 18000), FOLD),
        (GPROFILER_PYTHON, "c1", "GO:BP", None, (600, 10, 18000), FOLD),
        (ENRICHR, None, "Enrichr", 1e-6, (600, None, None), None),
        (ENRICHR_R, None, "Enrichr", 1e-6, (600, None, None), None),
        (GSEAPY, None, "GO_BP", 1e-6, (600, None, None), None),
        (CLUSTERPROFILER, "c1", "clusterProfiler", 1e-6, (600, 10, 18000), FOLD),
    ],
    ids=["gprofiler-web", "gprofiler2", "gprofiler-python", "enrichr", "enrichR", "gseapy", "clusterProfiler"],
)
def test_every_export_says_the_same(
    tmp_path: Path, text: str, label: str | None, source: str, p: float | None, sizes: tuple[int | None, ...],
    fold: float | None,
) -> None:  # fmt: skip
    (tmp_path / "t").write_text(text)
    found = read_enrichment(tmp_path / "t")
    genes = ("ATM", "BRCA1", "BRCA2", "TP53")
    ((told, term),) = found.terms
    assert told == label
    assert term == Term("GO:0006281", "DNA repair", source, p, 1.5e-5, genes, *sizes, fold)  # type: ignore[call-arg]
    assert found.source.rows == 1


def test_another_table_and_a_row_that_is_no_term_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("gene,score\nA,1\n")
    with pytest.raises(UsageError, match="t is no enrichment table that is known here") as caught:
        read_enrichment(tmp_path / "t")
    assert caught.value.why == (
        "it has the columns gene, score; known are exports of g:Profiler, Enrichr, gseapy and clusterProfiler"
    )
    (tmp_path / "t").write_text(ENRICHR.replace("1.5e-5", "small"))
    with pytest.raises(UsageError, match="adjusted p between 0 and 1, not 'small'") as caught:
        read_enrichment(tmp_path / "t")
    assert caught.value.where == "t:2"


def test_an_export_without_genes_has_terms_without_overlap(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(GPROFILER_WEB.replace('"ATM,BRCA1,BRCA2,TP53"', ""))
    ((_, term),) = read_enrichment(tmp_path / "t").terms
    assert (term.overlap, term.set_size) == ((), 600)
