"""The mean best Jaccard index, against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.clusters.stability import best_jaccard, stability


@given(
    st.lists(st.integers(-1, 4), min_size=1, max_size=30).flatmap(
        lambda found: st.tuples(st.just(found), st.sets(st.integers(0, len(found) - 1), min_size=1))
    )
)  # fmt: skip
def test_it_is_the_best_of_all_communities(case: tuple[list[int], set[int]]) -> None:
    found, group = case
    drawn = {at for at, community in enumerate(found) if community >= 0}
    there = group & drawn
    indices = [0.0]
    for community in set(found) - {-1}:
        members = {at for at in drawn if found[at] == community}
        if there:
            indices.append(len(there & members) / len(there | members))
    other = np.array([0])  # a group beside it changes nothing
    assert best_jaccard([np.array(sorted(group)), other], np.array(found))[0] == pytest.approx(max(indices))


def test_the_mean_over_resamples_and_none_without() -> None:
    group = np.array([0, 1])
    assert stability([group, group], [np.array([0, 0, 1]), np.array([0, 1, 1])]) == [pytest.approx((1 + 0.5) / 2)] * 2
    assert stability([group], []) == [None]
    assert stability([], [np.array([0])]) == []
