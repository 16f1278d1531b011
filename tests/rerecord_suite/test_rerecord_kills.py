"""A suite is recorded again, killed again and again, and watched. The short form is a part of every run of the tests; the
long one is `make crash`, or RERECORD_KILLS=30 pytest tests/rerecord_suite -s. Another SEED draws other moments."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rerecord_torture import RIGHT, RerecordTorture, respool

KILLS = int(os.environ.get("RERECORD_KILLS", "0"))
SEED = int(os.environ.get("SEED", "1"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch hears of files through inotify")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RerecordTorture]:
    torture = RerecordTorture(tmp_path, files=20, late=2, kills=3, seed=SEED, limit=40, most=3)
    yield torture
    torture.close()


@pytest.mark.timeout(900)  # half a minute on a machine of its own
def test_a_suite_survives_kills_and_names_that_begin_alike_do_not_touch_each_other(small: RerecordTorture) -> None:
    figures = small.go()
    assert figures.kills == 3
    assert figures.busiest > 1
    _one_of_names_that_begin_alike(small)


def _one_of_names_that_begin_alike(torture: RerecordTorture) -> None:
    """test_gene.py is recorded, with whom it shares a cassette; test_gene_1.py, test_genes.py … stay byte for byte."""
    suite = torture.suite
    before = {name: (suite.folder / name).read_bytes() for name in suite.cassettes}
    torture.api.set(generation=99, fail_every=0)
    told = respool(suite.folder, "rerecord", "tests/test_partners.py", "--delay", "0", code=0, key=RIGHT)
    ran = {file for unit in told["units"] for file in unit["files"]}
    assert "tests/test_partners.py" in ran
    modules = {Path(file).stem for file in ran}
    own = {name for name, tests in suite.cassettes.items() if {test.partition(".")[0] for test in tests} & modules}
    assert {name for name, data in before.items() if (suite.folder / name).read_bytes() != data} == own
    assert not any(name.startswith(("tests/cassettes/test_partners_of/", "tests/cassettes/test_partner/")) for name in own)


@pytest.mark.skipif(not KILLS, reason="the long form: make crash")
@pytest.mark.timeout(7200)
def test_three_hundred_files_survive_every_kill(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torture = RerecordTorture(tmp_path, files=300, late=12, kills=KILLS, seed=SEED, limit=60)
    try:
        figures = torture.go()
    finally:
        torture.close()
    with capfd.disabled():
        sys.stdout.write(f"\nseed {SEED}: {figures}\n")
    assert figures.files >= 300
    assert figures.cassettes >= 700
    assert figures.kills == KILLS
