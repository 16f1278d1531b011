"""Clusters as the project's own clustering makes them of real data, computed once for each worker of the tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from respool.clusters.model import Clustering
from respool.clusters.network import cluster_network
from respool.clusters.phenotype import cluster_table
from respool.clusters.request import InputFile, NetworkOptions, NetworkRequest, TableOptions
from respool.clusters.table import read_table
from respool.clusters.tasks import network_question
from respool.summaries.evidence import Evidence, evidence_of

DATA = Path(__file__).parents[2] / "examples" / "data"


@cache
def functional() -> Clustering:
    """Clusters of 1,962 genes with their GO terms."""
    request = NetworkRequest(
        InputFile.of(DATA / "string12_ndd_edges.tsv.gz"), (InputFile.of(DATA / "enrichr_GO_BP_2021.gmt.gz"),),
        options=NetworkOptions(tries=1, resamples=2, shuffles=0),
    )  # fmt: skip
    return cluster_network(network_question(request))


@cache
def phenotype() -> Clustering:
    """Clusters of 2,402 diseases by their features."""
    options = TableOptions(names="disease_name", ignore=("genes",), resamples=0, shuffles=0)
    return cluster_table(read_table(DATA / "hpo_ndd_entities_matrix.csv.gz", options), options)


@cache
def evidences(kind: str) -> tuple[Evidence, ...]:
    """What is shown of each cluster."""
    clustering = functional() if kind == "functional" else phenotype()
    return tuple(evidence_of(clustering, cluster) for cluster in clustering.clusters)
