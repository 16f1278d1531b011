"""What the end of a run leaves in order. (Through the command line: test_whole_runs.py.)"""

from __future__ import annotations

from pathlib import Path

from respool.batch.declaration import Batch
from respool.batch.spool import Spool
from respool.cassette.library import Library
from respool.rerecord.job import root_of, task
from respool.rerecord.report import FAILURES
from respool.rerecord.settings import Settings
from respool.rerecord.tidying import tidy_after


def test_staging_stays_while_a_unit_of_any_job_is_open_and_other_jobs_do_not_matter(tmp_path: Path) -> None:
    root = tmp_path / "a {b}"
    root.mkdir()
    (root / "pyproject.toml").touch()
    left = Library(root).staging("rerecord-0").folder
    left.mkdir(parents=True)
    left.with_suffix(".lock").touch()
    made = task(Settings(root), run="one", timeout=9, batch=Batch(20))
    with Spool(tmp_path / "spool.db") as spool:
        spool.submit(made, {"t": {"files": ["t"]}}, name="rerecord t")
        jobs = [spool.job("rerecord t").read()]
        assert [root_of(job) for job in jobs] == [root]
        tidy_after(spool.database(), jobs)
        assert (left.is_dir(), (root / ".respool" / FAILURES).read_text()) == (True, "")
        spool.job("rerecord t").cancel()
        spool.run(workers=1)
        tidy_after(spool.database(), [])
        assert left.is_dir(), "no job of ours has ended"
        tidy_after(spool.database(), jobs)
        assert not left.exists()
