"""Clusters that were made elsewhere: a table of clusters and members, and the enrichment tables that were made for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from respool.clusters.enrichment_tables import CLUSTER_COLUMNS, EnrichmentTable, read_enrichment
from respool.clusters.model import Cluster, Clustering, ClusterKind, Dropped, Method, Notice, Term, identity
from respool.clusters.reading import Rows, listed, read_text, rows_of
from respool.clusters.request import ImportRequest
from respool.errors import UsageError
from respool.phrases import counted

_MEMBERS = ("member", "gene", "symbol", "gene_symbol", "node", "entity", "entity_id", "id", "name")
Groups = dict[str, tuple[str, ...]]
ELSEWHERE = Method("imported: made elsewhere", "as the imported tables say", "not told by the tables", 0,
                   "as the imported tables say", 0, {})  # fmt: skip


def import_clusters(request: ImportRequest) -> Clustering:
    """The clusters of a file, with the terms of the enrichment tables, as if they had been made here.

    Raises UsageError for a file without a cluster and a member column, and for a table of which nobody knows whose it is.
    """
    text = read_text(request.clusters.checked())
    groups, notices = _groups(rows_of(text))
    large = {label: members for label, members in groups.items() if len(members) >= request.min_size}
    small = [members for label, members in groups.items() if label not in large]
    tables = [read_enrichment(file.checked()) for file in request.enrichment]
    terms: dict[str, list[Term]] = {label: [] for label in large}
    for table in tables:
        notices += _share_out(table, large, terms, request.alpha)
    kind = ClusterKind(request.kind)
    order = sorted(large, key=lambda label: (-len(large[label]), large[label][0], label))
    return Clustering(
        kind,
        tuple(
            Cluster(number, identity(large[label], kind), kind, large[label], label=label, terms=_in_order(terms[label]))
            for number, label in enumerate(order, 1)
        ),
        entities=len({member for members in groups.values() for member in members}),
        dropped=Dropped(request.min_size, len(small), sum(map(len, small))),
        inputs=(text.as_input("clusters", sum(map(len, groups.values()))), *(table.source for table in tables)),
        parameters={"min_size": request.min_size, "alpha": request.alpha}, method=ELSEWHERE, notices=tuple(notices),
    )  # fmt: skip


def _groups(rows: Rows) -> tuple[Groups, list[Notice]]:
    """Members by cluster, as a table of pairs says: by its header, or the cluster in the first of two columns."""
    header = [cell.lower() for cell in rows.cells[0]]
    cluster = next((header.index(name) for name in CLUSTER_COLUMNS if name in header), None)
    member = next((header.index(name) for name in _MEMBERS if name in header), None)
    start = 1
    if cluster is None and member is None and len(header) == 2:
        cluster, member, start = 0, 1, 0
    if cluster is None or member is None:
        raise UsageError(
            f"{rows.name} has no column for the {'cluster' if cluster is None else 'member'}", where=rows.where(0),
            why=f"it has {listed(rows.cells[0])}", command="call the columns cluster and member",
        )  # fmt: skip
    groups: dict[str, set[str]] = {}
    repeated = 0
    for row in range(start, len(rows.cells)):
        cells = rows.cells[row]
        if len(cells) <= max(cluster, member) or not cells[cluster] or not cells[member]:
            raise UsageError("this row names no cluster or no member", where=rows.where(row))
        group = groups.setdefault(cells[cluster], set())
        repeated += cells[member] in group
        group.add(cells[member])
    if not groups:
        raise UsageError(f"{rows.name} has a header and no members", where=rows.name)
    told = [Notice("repeated_member", f"{counted(repeated, 'row')} given more than once", repeated)] if repeated else []
    return {label: tuple(sorted(members)) for label, members in groups.items()}, told


def _share_out(table: EnrichmentTable, groups: Groups, terms: dict[str, list[Term]], alpha: float) -> list[Notice]:
    """Put the terms of a table to their clusters; what was left out is told."""
    labels = [label for label, _ in table.terms]
    own = None if any(label in groups for label in labels) else _label_of(table.source.name, groups)
    strangers: set[str] = set()
    weak = nameless = 0
    for told_label, term in table.terms:
        label = own or str(told_label)
        if label not in groups:
            strangers.add(label)
        elif term.q > alpha:
            weak += 1
        else:
            genes = tuple(gene for gene in term.overlap if gene in groups[label])
            nameless += not genes
            terms[label].append(replace(term, overlap=genes))
    name, column = table.source.name, table.genes_column
    found = (
        Notice("term_unusable", f"terms of {counted(len(strangers), 'cluster')} in {name} that are no clusters here, or too "
               "small ones", len(strangers), tuple(sorted(strangers))),
        Notice("term_weak", f"{counted(weak, 'term')} of {name} with an adjusted p above {alpha:g} left out", weak),
        Notice("no_overlap", f"{counted(nameless, 'term')} of {name} without genes of the cluster in {column!r}", nameless),
    )  # fmt: skip
    return [notice for notice in found if notice.count]


def _label_of(name: str, groups: Groups) -> str:
    """The cluster that a file is named after: "cluster_3.enrichr.txt" holds the terms of "cluster_3", or of "3"."""
    stem = name.split(".")[0]
    words = [rf"(?:^|[^A-Za-z0-9]){re.escape(label)}(?:[^A-Za-z0-9]|$)" for label in groups]
    found = [label for label in groups if label == stem] or [
        label for label, word in zip(groups, words, strict=True) if re.search(word, stem)
    ]
    found = list(groups) if len(groups) == 1 else found
    if len(found) != 1:
        raise UsageError(
            f"{name} does not say which cluster its terms are of", where=name,
            why="no column names one that is here, and the file's name is that of no cluster, or of several",
            command=f"name it after its cluster, such as {next(iter(groups), 'cluster')}.tsv, or add a column called cluster",
        )  # fmt: skip
    return found[0]


def _in_order(terms: Sequence[Term]) -> tuple[Term, ...]:
    return tuple(sorted(terms, key=lambda term: (term.q, 1.0 if term.p is None else term.p, term.id)))
