"""The clusterings as tasks of a batch: one item is one request, its result the whole clustering as data.

A request holds the digests of its files, so an item is done again exactly when something that goes in has changed. What
is to be made of the clusters follows the job by the batch's `then`.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from respool.batch.context import Context
from respool.batch.policy import Retry
from respool.batch.tasks import task
from respool.clusters.edges import read_edges
from respool.clusters.gene_sets import read_gene_sets
from respool.clusters.imported import import_clusters
from respool.clusters.model import Clustering
from respool.clusters.reading import read_text
from respool.clusters.request import ImportRequest, NetworkRequest, TableRequest
from respool.clusters.symbols import Aliases, read_aliases
from respool.errors import GiveUp, UsageError

if TYPE_CHECKING:
    from respool.clusters.network import Question
    from respool.clusters.table import Table

PACKAGES = ("igraph", "numpy", "scipy")
HOUR = 3600.0


@task(retry=Retry(attempts=1), timeout=HOUR)
def clustering(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """The functional clusters of a network. `payload` is a NetworkRequest, the result a Clustering, both as data."""

    def work() -> Clustering:
        question = network_question(NetworkRequest.from_data(payload))
        from respool.clusters.network import cluster_network

        return cluster_network(question, context.note)

    return _result(work)


@task(retry=Retry(attempts=1), timeout=HOUR)
def phenotype_clustering(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """The phenotype clusters of a table. `payload` is a TableRequest, the result a Clustering, both as data."""

    def work() -> Clustering:
        request = TableRequest.from_data(payload)
        table = table_of(request)
        from respool.clusters.phenotype import cluster_table

        return cluster_table(table, request.options, context.note)

    return _result(work)


@task(retry=Retry(attempts=1), timeout=HOUR)
def imported_clustering(payload: dict[str, Any]) -> dict[str, Any]:
    """Clusters made elsewhere, in our form. `payload` is an ImportRequest, the result a Clustering, both as data."""
    return _result(lambda: import_clusters(ImportRequest.from_data(payload)))


def _result(work: Callable[[], Clustering]) -> dict[str, Any]:
    try:
        return work().to_data()
    except UsageError as error:  # the input is wrong, and will be as wrong at the next try
        raise GiveUp(str(error)) from None


def network_question(request: NetworkRequest) -> Question:
    """Everything that a request for a network names, read and checked. Raises UsageError for what cannot be used."""
    _need_packages()
    from respool.clusters.network import Genes, prepare

    found = [read_gene_sets(file.checked()) for file in request.gene_sets]
    sets, inputs = [each for some, _, _ in found for each in some], [one for _, one, _ in found]
    if not sets:
        raise UsageError("no gene sets", command="--gene-sets FILE.gmt")
    most, times = Counter(each.id for each in sets).most_common(1)[0]
    if times > 1:
        raise UsageError(f"the set {most!r} is in {times} of the files", where=", ".join(one.name for one in inputs))
    named: frozenset[str] = frozenset()
    if request.background == "file":
        if request.background_file is None:
            raise UsageError("the background is that of a file, and no file is named")
        text = read_text(request.background_file.checked())
        named = frozenset(line.strip() for line in text.lines if line.strip())
        inputs.append(text.as_input("background", len(named)))
    genes = Genes(sets, tuple(inputs), tuple(one for _, _, told in found for one in told), request.background, named)
    aliases = read_aliases(request.aliases.checked()) if request.aliases is not None else Aliases()
    edges = read_edges(request.edges.checked(), min_score=request.options.min_score)
    return prepare(edges, genes, aliases, request.options)


def table_of(request: TableRequest) -> Table:
    """The table that a request names, read and checked. Raises UsageError for what cannot be used."""
    _need_packages()
    from respool.clusters.table import read_table

    return read_table(request.table.checked(), request.options)


def _need_packages() -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"clustering needs {' and '.join(missing)}", why="they come with an extra",
            command="pip install 'respool[clusters]'",
        )  # fmt: skip
