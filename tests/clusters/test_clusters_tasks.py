"""As tasks of a batch: computed once for a content, followed once by what the results ask for, gone on with after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from planted_clusters import write_network, write_table
from respool.batch.model import ItemState
from respool.batch.spool import JobHandle, Spool
from respool.clusters.model import Clustering
from respool.clusters.request import (
    ImportRequest,
    InputFile,
    NetworkOptions,
    NetworkRequest,
    TableOptions,
    TableRequest,
)
from respool.clusters.tasks import clustering, imported_clustering, network_question, phenotype_clustering
from respool.errors import UsageError

FOLLOW = """
from respool import SkipItem, task

def each_cluster(parent):
    found = {str(one["number"]): one["identity"] for row in parent for one in row["result"]["clusters"]}
    if not found:
        raise SkipItem("no clusters")
    return found

@task(mode="thread", expand=each_cluster)
def summary(payload):
    with open("written", "a") as file:
        file.write(payload + "\\n")
    return payload
"""
OPTIONS = NetworkOptions(tries=2, resamples=2, shuffles=2)


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "follow.py").write_text(FOLLOW)
    write_network(tmp_path)
    with Spool(tmp_path / "spool.db") as opened:
        yield opened


def asked(spool: Spool, name: str = "mine", options: NetworkOptions = OPTIONS) -> JobHandle:
    request = NetworkRequest(InputFile.of("edges.tsv"), (InputFile.of("sets.gmt"),), options=options)
    return spool.submit(clustering, {"clustering": request.to_data()}, name=name, then=[("follow.py:summary", "success")])


def written() -> list[str]:
    return Path("written").read_text().split() if Path("written").exists() else []


def result_of(handle: JobHandle) -> Clustering:
    (data,) = handle.results().values()
    return Clustering.from_data(data)


def test_a_finished_clustering_is_followed_once(spool: Spool) -> None:
    handle = asked(spool)
    spool.run([handle.id])
    found = result_of(handle)
    assert [one.size for one in found.clusters] == [14, 12, 11]
    assert sorted(written()) == sorted(one.identity for one in found.clusters)
    assert asked(spool).id == handle.id
    spool.run([handle.id])
    assert len(written()) == 3  # the same again: nothing ran, nothing followed


def test_a_clustering_from_the_cache_is_followed_too(spool: Spool) -> None:
    spool.run([asked(spool).id])
    other = asked(spool, "another name")
    spool.run([other.id])
    assert [item.state for item in other.items()] == [ItemState.CACHED]
    child = spool.job("another name > follow.py:summary")
    assert [item.state for item in child.items() if item.key != "@items"] == [ItemState.CACHED] * 3
    assert len(written()) == 3


def test_only_what_changed_is_done_again(spool: Spool) -> None:
    spool.run([asked(spool).id])
    with Path("edges.tsv").open("a") as file:
        file.writelines(f"C{one}\tC11\t0.9\n" for one in range(8))  # one more member of the third cluster
    handle = asked(spool)
    spool.run([handle.id])
    found = result_of(handle)
    assert [one.size for one in found.clusters] == [14, 12, 12]
    new = next(one.identity for one in found.clusters if "C11" in one.members)
    assert written()[3:] == [new]
    asked(spool, options=NetworkOptions(tries=2, resamples=2, shuffles=2, min_size=13))
    spool.run([handle.id])
    assert [one.size for one in result_of(handle).clusters] == [14]
    assert len(written()) == 4


def test_a_failed_clustering_is_final_and_followed_by_nothing(spool: Spool) -> None:
    handle = asked(spool)
    Path("edges.tsv").write_text("A\tB\n")  # after it was asked for
    report = spool.run([handle.id])
    (item,) = handle.items()
    assert item.state is ItemState.FAILED
    assert "edges.tsv changed after the clustering was asked for" in (item.message or "")
    assert item.attempts == 1  # trying again would not help
    assert len(report.jobs) == 1
    assert [job.name for job in spool.jobs()] == ["mine"]


def test_no_clusters_are_recorded_as_skipped(spool: Spool) -> None:
    handle = asked(spool, options=NetworkOptions(tries=1, resamples=0, shuffles=0, min_size=30))
    spool.run([handle.id])
    assert result_of(handle).clusters == ()
    (child,) = (job for job in spool.jobs() if job.parent == handle.id)
    assert child.skipped_reason == "no clusters"


def test_tables_and_imports_are_tasks_too(spool: Spool, tmp_path: Path) -> None:
    table = TableRequest(InputFile.of(write_table(tmp_path)), TableOptions(names="name", resamples=2, shuffles=2))
    (tmp_path / "clusters.tsv").write_text("cluster\tgene\nx\tA\nx\tB\n")
    imported = ImportRequest(InputFile.of(tmp_path / "clusters.tsv"))
    handles = [
        spool.submit(phenotype_clustering, {"clustering": table.to_data()}, name="table"),
        spool.submit(imported_clustering, {"clustering": imported.to_data()}, name="import"),
    ]
    spool.run([handle.id for handle in handles])
    assert [[one.size for one in result_of(handle).clusters] for handle in handles] == [[20, 20, 20], [2]]


def test_several_files_of_sets_and_a_background_of_its_own(tmp_path: Path) -> None:
    edges, sets = write_network(tmp_path)
    (tmp_path / "more.gmt").write_text("another\t\tA0\tA1\tA2\n")
    (tmp_path / "genes.txt").write_text("\n".join(f"A{n}" for n in range(9)))
    files = (InputFile.of(sets), InputFile.of(tmp_path / "more.gmt"))
    request = NetworkRequest(InputFile.of(edges), files, None, "file", InputFile.of(tmp_path / "genes.txt"))
    question = network_question(request)
    assert (question.enrichment.tested, question.enrichment.background) == (2, [f"A{n}" for n in range(9)])
    assert [(one.role, one.rows) for one in question.inputs[1:]] == [("gene sets", 3), ("gene sets", 1), ("background", 9)]
    with pytest.raises(UsageError, match="the set 'GO:0000000' is in 2 of the files"):
        network_question(replace(request, gene_sets=(files[0], files[0])))
    with pytest.raises(UsageError, match="no file is named"):
        network_question(replace(request, background_file=None))


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edges, sets = write_network(tmp_path)
    monkeypatch.setattr("respool.clusters.tasks.PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(UsageError, match="clustering needs no_such_package") as caught:
        network_question(NetworkRequest(InputFile.of(edges), (InputFile.of(sets),)))
    assert caught.value.command == "pip install 'respool[clusters]'"


def test_a_request_that_is_none_is_a_final_failure(spool: Spool) -> None:
    handle = spool.submit(clustering, {"clustering": {"edges": 3}}, name="wrong")
    spool.run([handle.id])
    (item,) = handle.items()
    assert (item.state, item.attempts) == (ItemState.FAILED, 1)
    assert "this is no networkrequest: it has no 'gene_sets'" in (item.message or "")
