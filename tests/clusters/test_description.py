"""What is typical of a cluster is what FactoMineR's catdes says, p and v-test included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factominer import categories, numbers, oracle
from scipy.stats import norm

from respool.clusters.description import describe, in_order
from respool.clusters.table import Feature


def test_levels_are_described_as_by_catdes() -> None:
    features = [Feature(one.name, one.levels) for one in categories()]  # not as 0/1 features: catdes tells both levels
    checked = 0
    for name, rows in oracle()["mca"]["described"].items():
        inside = np.array([one == name for one in oracle()["mca"]["clusters"]])
        ours = {f"{one.name}={one.name}_{one.level}".replace(" ", "."): one for one in describe(features, inside, 0.05)}
        assert {row["row"].replace(" ", ".") for row in rows} == set(ours)
        for row in rows:
            one = ours[row["row"].replace(" ", ".")]
            assert one.p == pytest.approx(row["p.value"], rel=1e-9)
            assert one.v_test == pytest.approx(row["v.test"], rel=1e-9)
            assert (one.in_cluster, one.overall) == pytest.approx((row["Mod/Cla"] / 100, row["Global"] / 100))
            assert one.direction == ("over" if row["v.test"] > 0 else "under")
            checked += 1
    assert checked > 50


def test_numbers_are_described_as_by_catdes() -> None:
    features = [Feature(name, numbers=column) for name, column in zip("abcd", numbers().T, strict=True)]
    checked = 0
    for name, rows in oracle()["pca"]["described"].items():
        inside = np.array([one == name for one in oracle()["pca"]["clusters"]])
        ours = {one.name: one for one in describe(features, inside, 0.05)}
        assert {row["row"] for row in rows} == set(ours)
        for row in rows:
            one = ours[row["row"]]
            assert (one.v_test, one.p) == pytest.approx((row["v.test"], row["p.value"]), rel=1e-9)
            assert (one.in_cluster, one.overall) == pytest.approx((row["Mean in category"], row["Overall mean"]), rel=1e-9)
            assert (one.measure, one.level) == ("mean", None)
            checked += 1
    assert checked > 4


def test_of_a_feature_of_0_and_1_only_the_1_is_told() -> None:
    inside = np.arange(100) < 50
    levels = tuple("1" if row < 45 else "0" for row in range(100))
    (only,) = describe([Feature("f", levels, binary=True)], inside, 0.05)
    assert (only.level, only.direction) == ("1", "over")
    assert {one.level for one in describe([Feature("f", levels)], inside, 0.05)} == {"0", "1"}


def test_a_p_too_small_for_a_float_still_has_a_v_test() -> None:
    inside = np.arange(4000) < 2000
    levels = tuple("1" if row < 2000 else "0" for row in range(4000))
    found, opposite = describe([Feature("f", levels)], inside, 0.05)
    log_p = math.log(2) - (math.lgamma(4001) - 2 * math.lgamma(2001))  # 2 / C(4000, 2000), less the point itself
    assert found.p == opposite.p == 0.0
    assert math.isfinite(found.v_test)
    assert found.v_test == -opposite.v_test
    assert norm.logsf(abs(found.v_test)) == pytest.approx(log_p - math.log(2), rel=1e-3)


def test_over_comes_first_and_the_strongest_before_the_weak() -> None:
    inside = np.arange(100) < 50
    features = [
        Feature(name, tuple("1" if row in rows else "0" for row in range(100)), binary=True)
        for name, rows in (("low", range(60, 99)), ("some", range(35)), ("most", range(48)))
    ]
    assert [one.name for one in in_order(describe(features, inside, 0.05))] == ["most", "some", "low"]
    assert all(one.supplementary for one in describe(features, inside, 0.05, supplementary=True))
