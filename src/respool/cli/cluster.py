"""`respool cluster`: clusters of a network, of a table, or made elsewhere, as a job of the spool; then their summaries."""

from __future__ import annotations

from typing import Any

import click

from respool.batch.tasks import task_of
from respool.cli import options
from respool.cli.cluster_job import HOW, run_clustering, tell
from respool.cli.options import option, together
from respool.clusters import tasks
from respool.clusters.imported import import_clusters
from respool.clusters.record import Record
from respool.clusters.request import (
    ImportRequest,
    InputFile,
    NetworkOptions,
    NetworkRequest,
    TableOptions,
    TableRequest,
)
from respool.phrases import counted

_NETWORK, _TABLE = NetworkOptions(), TableOptions()
RESAMPLING = together(
    option("--seed", type=int, default=_NETWORK.seed, show_default=True, help="Where chance starts from."),
    option("--resamples", type=int, default=_NETWORK.resamples, show_default=True, help="To measure stability."),
    option("--shuffles", type=int, default=_NETWORK.shuffles, show_default=True, help="Of the negative control."),
)  # fmt: skip
FILE = click.Path(dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cluster() -> None:
    """Find clusters, say what they are made of, and how far they can be trusted.

    Equal inputs and options give equal clusters; nothing is computed twice. A summary of every cluster follows, if a model
    is configured.
    """


@cluster.command()
@click.argument("edges", type=FILE)
@together(
    option("--gene-sets", type=FILE, multiple=True, required=True, metavar="GMT", help="Gene sets; may be repeated."),
    option("--aliases", type=FILE, metavar="TABLE", help="HGNC's, or STRING's protein.info: brings names up to date."),
    option("--min-score", type=float, default=_NETWORK.min_score, show_default=True, help="Leave weaker edges out (0 to 1)."),
    option("--resolution", type=float, default=_NETWORK.resolution, show_default=True, help="Higher: smaller clusters."),
    option("--tries", type=int, default=_NETWORK.tries, show_default=True, help="Seeds to take the best of."),
    option("--min-size", type=int, default=_NETWORK.min_size, show_default=True, help="Members that make a cluster."),
    option("--split-above", type=int, default=_NETWORK.split_above, show_default=True, help="Split larger ones once."),
    option("--background", default="annotated", show_default=True, metavar="annotated|network|FILE",
           help="The genes that count: those of the network in a set, all of it, or a list."),
    option("--alpha", type=float, default=_NETWORK.alpha, show_default=True, help="Report terms up to this adjusted p."),
    option("--min-overlap", type=int, default=_NETWORK.min_overlap, show_default=True, help="Genes that a term must share."),
    option("--max-set-size", type=int, default=_NETWORK.max_set_size, show_default=True, help="Larger sets are not tested."),
    option("--correction", type=click.Choice(["tested", "overlapping"]), default=_NETWORK.correction, show_default=True,
           help="What the adjustment covers: every tested set, or those that share a gene."),
)  # fmt: skip
@RESAMPLING
@HOW
@options.WHERE
@options.FOR_MACHINES
def network(edges: str, **given: Any) -> int:
    """Cluster a network of genes, and test each cluster for gene sets.

    EDGES: STRING's protein.links or web export, two or three columns (ends, weight), or GraphML; plain or gzipped.

    \b
    respool cluster network string.tsv.gz --gene-sets GO_BP.gmt.gz --aliases hgnc.tsv.gz
    """
    own_file = given["background"] not in ("annotated", "network")
    request = NetworkRequest(
        InputFile.of(edges), tuple(InputFile.of(path) for path in given["gene_sets"]),
        InputFile.of(given["aliases"]) if given["aliases"] else None, "file" if own_file else given["background"],
        InputFile.of(given["background"]) if own_file else None, NetworkOptions(**_fields(NetworkOptions, given)),
    )  # fmt: skip

    def check() -> str:
        question = tasks.network_question(request)
        for notice in question.notices:
            tell(notice)
        genes, links = counted(len(question.network.names), "gene"), counted(question.network.graph.ecount(), "edge")
        sets, background = counted(question.enrichment.tested, "gene set"), len(question.enrichment.background)
        return f"{genes}, {links}; {sets} to test against a background of {counted(background, 'gene')}"

    return run_clustering(task_of(tasks.clustering), request, f"cluster network {edges}", check, given)


@cluster.command()
@click.argument("matrix", type=FILE)
@together(
    option("--id", metavar="COLUMN", help="The column of stable ids [the first]."),
    option("--names", metavar="COLUMN", help="A column with a readable name for each row."),
    option("--supplementary", multiple=True, metavar="COLUMN", help="Describes the clusters, does not make them."),
    option("--ignore", multiple=True, metavar="COLUMN", help="Leave this column out."),
    option("--categorical", multiple=True, metavar="COLUMN", help="Its numbers mean categories."),
    option("--k", type=int, help="How many clusters [the data choose]."),
    option("--axes", type=int, help="How many axes [those above the average]."),
    option("--min-size", type=int, default=_TABLE.min_size, show_default=True, help="Members that make a cluster."),
    option("--min-share", type=float, default=_TABLE.min_share, show_default=True,
           help="Features with less variety than this are left out."),
    option("--alpha", type=float, default=_TABLE.alpha, show_default=True, help="Report features up to this p."),
)  # fmt: skip
@RESAMPLING
@HOW
@options.WHERE
@options.FOR_MACHINES
def table(matrix: str, **given: Any) -> int:
    """Cluster the rows of a table, and find the features typical of each cluster.

    MATRIX: a row for each entity, a column for each feature: 0 and 1, categories, or numbers; plain or gzipped.

    \b
    respool cluster table phenotypes.csv.gz --names disease_name
    """
    request = TableRequest(InputFile.of(matrix), TableOptions(**_fields(TableOptions, given)))

    def check() -> str:
        found = tasks.table_of(request)
        for notice in found.notices:
            tell(notice)
        kind = "numeric" if found.numeric else "categorical"
        return f"{counted(len(found.ids), 'row')}, {counted(len(found.active), f'{kind} feature')}"

    return run_clustering(task_of(tasks.phenotype_clustering), request, f"cluster table {matrix}", check, given)


@cluster.command("import")
@click.argument("clusters", type=FILE)
@together(
    option("--enrichment", type=FILE, multiple=True, metavar="TABLE",
           help="An export of g:Profiler, Enrichr, gseapy or clusterProfiler; may be repeated."),
    option("--kind", type=click.Choice(["functional", "phenotype"]), default="functional", show_default=True,
           help="What the members are: genes, or entities of a table."),
    option("--min-size", type=int, default=2, show_default=True, help="Members that make a cluster."),
    option("--alpha", type=float, default=0.05, show_default=True, help="Keep terms up to this adjusted p."),
)  # fmt: skip
@HOW
@options.WHERE
@options.FOR_MACHINES
def import_(clusters: str, **given: Any) -> int:
    """Take in clusters that were made elsewhere.

    CLUSTERS: columns cluster and member, a row for each member. A table of terms has a column that names the cluster, or
    is named after it.

    \b
    respool cluster import mine.tsv --enrichment gprofiler.csv
    """
    request = ImportRequest(
        InputFile.of(clusters), tuple(InputFile.of(path) for path in given["enrichment"]), given["kind"], given["min_size"],
        given["alpha"],
    )  # fmt: skip

    def check() -> str:
        found = import_clusters(request)
        for notice in found.notices:
            tell(notice)
        return f"{counted(len(found.clusters), 'cluster')}, {counted(found.entities, 'member')}"

    return run_clustering(task_of(tasks.imported_clustering), request, f"cluster import {clusters}", check, given)


def _fields(kind: type[Record], given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in kind.__dataclass_fields__ if name in given}  # type: ignore[attr-defined]
