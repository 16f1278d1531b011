"""From a table to phenotype clusters: planted groups are found, described and stable; where there are none, that is said."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest

from respool.clusters.confidence import Level, confidence
from respool.clusters.model import Clustering, ClusterKind, identity
from respool.clusters.phenotype import cluster_table
from respool.clusters.request import TableOptions
from respool.clusters.table import read_table
from respool.errors import UsageError

DATA = Path(__file__).parents[2] / "examples" / "data"
QUICK = {"resamples": 4, "shuffles": 3}


def planted(groups: int = 3, each: int = 30, features: int = 5, noise: float = 0.05) -> list[list[str]]:
    """Rows of 0 and 1: each group has features of its own; the last column is its letter."""
    rng = random.Random(1)
    header = ["id", *(f"f{group}{n}" for group in range(groups) for n in range(features)), "letter"]
    rows = [
        [f"r{group}_{row:02}",
         *(str(int((group == owner) != (rng.random() < noise))) for owner in range(groups) for _ in range(features)),
         chr(65 + group)]
        for group in range(groups) for row in range(each + group)
    ]  # fmt: skip
    return [header, *rows]


def clustered(folder: Path, rows: list[list[str]], **options: object) -> Clustering:
    (folder / "t.csv").write_text("\n".join(map(",".join, rows)))
    chosen = TableOptions(**{"supplementary": ("letter",), **QUICK, **options})  # type: ignore[arg-type]
    return cluster_table(read_table(folder / "t.csv", chosen), chosen)


def test_planted_groups_are_found_described_and_stable(tmp_path: Path) -> None:
    found = clustered(tmp_path, planted())
    assert [(one.number, one.size, one.members[0][:2]) for one in found.clusters] == [
        (1, 32, "r2"), (2, 31, "r1"), (3, 30, "r0"),
    ]  # fmt: skip
    assert (found.kind, found.structure, found.entities) == (ClusterKind.PHENOTYPE, "clusters", 93)
    assert found.silhouette is not None
    assert found.silhouette > 0.5
    first = found.clusters[0]
    assert first.identity == identity(first.members, ClusterKind.PHENOTYPE)
    over = {(one.name, one.level): one.supplementary for one in first.features if one.direction == "over"}
    assert over == {**{(f"f2{n}", "1"): False for n in range(5)}, ("letter", "C"): True}
    assert all(one.stability is not None and one.stability > 0.95 for one in found.clusters)
    assert all(confidence(one).level is not Level.LOW for one in found.clusters)
    assert found.control is not None
    assert (found.control.tested, found.control.low, found.control.real_low) == (9, 9, 0)
    assert set(first.central) <= set(first.members)
    assert len(found.picture.names) == 93
    assert Clustering.from_json(found.to_json()) == found


def test_permuted_rows_and_columns_give_the_same_clusters(tmp_path: Path) -> None:
    rows = planted()
    expected = {**clustered(tmp_path, rows).to_data(), "inputs": []}
    for seed in range(3):
        rng = random.Random(seed)
        order = [0, *rng.sample(range(1, len(rows[0])), len(rows[0]) - 1)]
        shuffled = [rows[0], *rng.sample(rows[1:], len(rows) - 1)]
        assert {**clustered(tmp_path, [[row[at] for at in order] for row in shuffled]).to_data(), "inputs": []} == expected


def test_noise_is_a_continuum(tmp_path: Path) -> None:
    found = clustered(tmp_path, planted(noise=0.5))
    assert found.structure == "continuum"
    assert found.silhouette is not None
    assert found.silhouette <= 0.25
    (notice,) = (one for one in found.notices if one.code == "continuum")
    assert f"mean silhouette {found.silhouette:.2f}" in notice.text


def test_numbers_are_clustered_by_their_principal_components(tmp_path: Path) -> None:
    rng = random.Random(2)
    rows = [["id", "a", "b", "c"]] + [
        [f"r{group}_{row:02}", *(f"{5 * (group == axis) + rng.gauss(0, 0.5):.3f}" for axis in range(3))]
        for group in range(3) for row in range(20)
    ]  # fmt: skip
    found = clustered(tmp_path, rows, supplementary=())
    assert [(one.size, one.members[0][:2]) for one in found.clusters] == [(20, "r0"), (20, "r1"), (20, "r2")]
    best = found.clusters[0].features[0]
    assert (best.name, best.level, best.direction, best.measure) == ("a", None, "over", "mean")
    assert best.in_cluster > 4 > best.overall
    assert found.method is not None
    assert "principal components" in found.method.algorithm


def test_the_number_of_clusters_may_be_given(tmp_path: Path) -> None:
    found = clustered(tmp_path, planted(), k=2)
    assert len(found.clusters) == 2
    assert "cut into 2 (as asked for)" in (found.method.algorithm if found.method else "")
    with pytest.raises(UsageError, match=r"t\.csv has .* different rows; 90 clusters need as many"):
        clustered(tmp_path, planted(noise=0.01), k=90)


def test_small_clusters_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = planted()
    found = clustered(tmp_path, [rows[0], *(row for row in rows[1:] if row[0] < "r0_06" or row[0] > "r1")])
    assert [one.size for one in found.clusters] == [32, 31]
    assert (found.dropped.minimum, found.dropped.clusters, found.dropped.members) == (10, 1, 6)


@cache
def real() -> Clustering:
    options = TableOptions(names="disease_name")
    return cluster_table(read_table(DATA / "hpo_ndd_entities_matrix.csv.gz", options), options)


def test_the_real_table_is_a_continuum_and_says_so() -> None:
    found = real()
    assert found.structure == "continuum"
    assert found.silhouette == pytest.approx(0.11, abs=0.03)
    assert sum(one.size for one in found.clusters) == found.entities == 2402
    assert found.names["OMIM:101200"] == "Apert syndrome"
    assert all(1 > one.in_cluster >= 0 for cluster in found.clusters for one in cluster.features)


def test_the_negative_control_of_the_real_table() -> None:
    control = real().control
    assert control is not None
    assert (control.shuffles, control.low, control.real_low) == (20, control.tested, 0)
    assert control.tested == 20 * control.real >= 60


def alike(many: int = 20) -> list[list[str]]:
    """Two kinds of rows, each as often."""
    return [["id", "a", "b", "letter"], *([f"r{n:02}", str(n % 2), str(1 - n % 2), "xy"[n % 2]] for n in range(many))]


def test_two_kinds_of_rows_are_two_clusters_if_two_are_asked_for(tmp_path: Path) -> None:
    found = clustered(tmp_path, alike(), k=2, min_size=2)
    assert [one.size for one in found.clusters] == [10, 10]
    assert set(found.picture.y) == {0.5}  # there is one axis only


def test_fewer_kinds_of_rows_than_clusters_are_refused_as_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"t\.csv has 2 different rows; 3 clusters need as many") as caught:
        clustered(tmp_path, alike())
    assert caught.value.command == "--k 2"
    with pytest.raises(UsageError, match="93 clusters need as many"):
        clustered(tmp_path, planted(), k=93)


def test_one_axis_is_enough(tmp_path: Path) -> None:
    found = clustered(tmp_path, planted(groups=2), axes=1)
    assert len(found.clusters) >= 2
    assert len(found.picture.x) == len(found.picture.y) == 61


@pytest.mark.parametrize("levels", ["01", "37"], ids=["categories", "numbers"])
def test_a_resample_in_which_all_rows_are_alike_is_one_cluster(tmp_path: Path, levels: str) -> None:
    low, high = levels
    rows = alike(24)
    for n, row in enumerate(rows[1:]):
        row[1:3] = (high, low) if n < 2 else (low, high)
    found = clustered(tmp_path, rows, k=2, min_size=2, min_share=0.0, resamples=60)  # 4 % of them draw neither
    assert [one.size for one in found.clusters] == [22, 2]
