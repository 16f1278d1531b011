"""The short form of the kill torture: `make crash` is the long one."""

from __future__ import annotations

from pathlib import Path

from torture import Torture


def test_whatever_kills_the_runner_every_item_is_done_and_recorded_once(tmp_path: Path) -> None:
    figures = Torture(tmp_path, seed=20260, items=200, kills=18).go()
    assert figures.kills == 18
    assert figures.in_settle > 0
