"""The long form of the kill torture: `make crash`, or KILLS=120 pytest tests/crash -s. Another SEED draws other moments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from torture import Torture

KILLS = int(os.environ.get("KILLS", "0"))


@pytest.mark.skipif(not KILLS, reason="the long kill torture: make crash")
@pytest.mark.timeout(3600)
def test_a_thousand_items_survive_every_kill(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("SEED", "1"))
    figures = Torture(tmp_path, seed=seed, items=1000, kills=KILLS).go()
    with capfd.disabled():
        sys.stdout.write(f"\nseed {seed}: {figures}\n")
    assert figures.kills == KILLS
    assert figures.in_settle >= KILLS // 10
