"""Enrichment tables as other programs export them: g:Profiler, Enrichr and gseapy, clusterProfiler, told by their columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from respool.clusters.gene_sets import named
from respool.clusters.model import Input, Term
from respool.clusters.reading import MISSING, Rows, listed, number_of, read_text, rows_of
from respool.errors import UsageError

CLUSTER_COLUMNS = ("cluster", "cluster_id", "module", "community", "group", "gs_cluster", "query")
_SPLIT = re.compile(r"[;/,|]\s*")
_GPROFILER_SIZES = ("intersection_size", "term_size", "query_size", "effective_domain_size")
_PAIR = re.compile(r"(\d+)/(\d+)")
Cells = dict[str, str]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one program calls its columns (in small letters): the term's id, name and source, p, the adjusted p, the genes."""

    program: str
    id: str
    name: str
    source: str | None
    p: str | None
    q: str
    genes: str


LAYOUTS = (
    Layout("g:Profiler", "term_id", "term_name", "source", None, "adjusted_p_value", "intersections"),
    Layout("g:Profiler (gprofiler2)", "term_id", "term_name", "source", None, "p_value", "intersection"),
    Layout("g:Profiler (Python)", "native", "name", "source", None, "p_value", "intersections"),
    Layout("gseapy", "term", "term", "gene_set", "p-value", "adjusted p-value", "genes"),
    Layout("Enrichr", "term", "term", None, "p-value", "adjusted p-value", "genes"),
    Layout("clusterProfiler", "id", "description", None, "pvalue", "p.adjust", "geneid"),
)
_PROGRAMS = "exports of g:Profiler, Enrichr, gseapy and clusterProfiler"
_OTHERWISE = {"adjusted.p.value": "adjusted p-value", "p.value": "p-value"}  # as R writes them


@dataclass(frozen=True, slots=True)
class EnrichmentTable:
    """The terms of one file: each with the cluster that its row names (None: the table has no such column). The `overlap`
    of a term are all the genes that its row lists."""

    program: str
    genes_column: str
    terms: tuple[tuple[str | None, Term], ...]
    source: Input


def read_enrichment(path: Path) -> EnrichmentTable:
    """The terms of an export. Raises UsageError for columns of no known program and for a row that is no term."""
    text = read_text(path)
    rows = rows_of(text)
    header = [_OTHERWISE.get(cell.lower(), cell.lower()) for cell in rows.cells[0]]
    layout = next((one for one in LAYOUTS if {one.id, one.name, one.q, one.source or one.id} <= set(header)), None)
    if layout is None:
        raise UsageError(
            f"{text.name} is no enrichment table that is known here", where=rows.where(0),
            why=f"it has the columns {listed(rows.cells[0])}; known are {_PROGRAMS}",
        )  # fmt: skip
    column = next((name for name in CLUSTER_COLUMNS if name in header), None)
    terms = []
    for row in range(1, len(rows.cells)):
        cells = dict(zip(header, rows.cells[row], strict=False))
        terms.append((cells.get(column) if column is not None else None, _term(layout, cells, rows, row)))
    return EnrichmentTable(layout.program, layout.genes, tuple(terms), text.as_input("enrichment", len(terms)))


def _term(layout: Layout, cells: Cells, rows: Rows, row: int) -> Term:
    q = number_of(cells.get(layout.q, ""))
    if q is None or not 0 <= q <= 1 or not cells.get(layout.id):
        raise UsageError(
            f"a term needs a name and an adjusted p between 0 and 1, not {cells.get(layout.q)!r}", where=rows.where(row),
            why=f"{rows.name} is taken for an export of {layout.program}",
        )  # fmt: skip
    p = number_of(cells.get(layout.p, "")) if layout.p is not None else None
    text = cells.get(layout.genes, "")
    genes = {gene.strip(" []'\"") for gene in _SPLIT.split(text)} if text.lower() not in MISSING else set()
    one_title = layout.id == layout.name
    name, stable = named(cells[layout.id]) if one_title else (cells.get(layout.name, ""), cells[layout.id])
    source = cells.get(layout.source, "") if layout.source is not None else ""
    hits, in_set, in_cluster, in_all = _sizes(cells)
    fold = (hits / in_cluster) / (in_set / in_all) if hits and in_set and in_cluster and in_all else None
    return Term(
        stable, name or stable, source or layout.program, p, q, tuple(sorted(genes)), in_set, in_cluster, in_all, fold
    )  # fmt: skip


def _sizes(cells: Cells) -> tuple[int | None, int | None, int | None, int | None]:
    """(overlap, set, cluster, background), as far as the row tells them."""
    if pair := _PAIR.fullmatch(cells.get("overlap", "")):  # Enrichr: of the set
        return int(pair[1]), int(pair[2]), None, None
    if pair := _PAIR.fullmatch(cells.get("generatio", "")):  # clusterProfiler: of the cluster, and of the background
        whole = _PAIR.fullmatch(cells.get("bgratio", ""))
        return int(pair[1]), int(whole[1]) if whole else None, int(pair[2]), int(whole[2]) if whole else None
    told = [number_of(cells.get(name, "")) for name in _GPROFILER_SIZES]
    overlap, set_size, cluster, background = (int(size) if size is not None else None for size in told)
    return overlap, set_size, cluster, background
