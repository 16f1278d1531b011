"""What a row of the input means for the item that is there, over every case there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.batch.model import ItemState
from respool.batch.reconcile import REASONS, WITHDRAWN, Change, Existing, reconcile

existing = st.builds(
    Existing, st.integers(1), st.sampled_from(["f", "g"]), st.sampled_from(ItemState),
    st.sampled_from([None, WITHDRAWN, "cancelled", "new"]),
)  # fmt: skip


@given(existing, st.sampled_from(["f", "g"]))
def test_the_payload_decides_first_then_whether_the_item_is_wanted_again(item: Existing, fingerprint: str) -> None:
    change = reconcile(item, fingerprint)
    assert (change is Change.CHANGED) == (item.fingerprint != fingerprint)
    if change is Change.REVIVED:
        assert (item.state, item.reason) == (ItemState.CANCELLED, WITHDRAWN)
    assert change is not Change.NEW


@pytest.mark.parametrize("state", ItemState)
@pytest.mark.parametrize("reason", [None, WITHDRAWN, "cancelled"])
def test_an_unchanged_item_is_kept_in_every_state_but_withdrawn(state: ItemState, reason: str | None) -> None:
    revived = state is ItemState.CANCELLED and reason == WITHDRAWN
    assert reconcile(Existing(1, "f", state, reason), "f") is (Change.REVIVED if revived else Change.KEPT)


def test_what_is_not_there_is_new_and_every_change_says_why() -> None:
    assert reconcile(None, "f") is Change.NEW
    assert set(REASONS) == set(Change) - {Change.KEPT}
    assert len(set(REASONS.values())) == len(REASONS)
