"""Re-recording as a job: when it goes on, what its items are, what earlier ones came to."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from respool.batch.declaration import Batch, Mode, Task
from respool.batch.spool import Spool
from respool.batch.store.reading import Event
from respool.batch.workers.command_line import preflight
from respool.cassette.drift import Drift
from respool.cassette.drift.report import as_data
from respool.cassette.drift.volatile import Proposal
from respool.cassette.library import Library
from respool.files import FileLock
from respool.rerecord.history import TASK, ended, failure_records, latest_failures
from respool.rerecord.job import clear_staging, goes_on, run_of, source, task
from respool.rerecord.plan import Plan, Planned
from respool.rerecord.report import FAILURES, Batches, drift_lines, export, headline, proposed
from respool.rerecord.settings import Settings
from respool.rerecord.units import Unit


def plan(*files: str) -> Plan:
    return Plan(tuple(Planned(Unit((file,)), "all") for file in files), (), ())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / ".respool")


def judging(spool: Spool, name: str, verdicts: dict[str, str], only: tuple[str, ...] = ()) -> None:
    """A job as `rerecord` makes it, whose units come to what `verdicts` says of each file."""
    made = task(Settings(Path.cwd()), run="one", timeout=9, batch=Batch(20))
    assert made.command is not None
    script = 'printf %s "$1" > "$RESPOOL_VERDICT"'
    saying: Task = replace(made, command=replace(made.command, argv=("sh", "-c", script, "sh", "{verdict}")))
    items = {file: {"files": file.split(), "verdict": verdict} for file, verdict in verdicts.items()}
    spool.submit(saying, items, name=name).run(workers=1, only=only)


DONE = '{"outcome": "done"}'
FAILED = '{"outcome": "failed", "kind": "leak", "message": "a secret", "final": true}'


def test_the_task_can_run_as_it_stands(tmp_path: Path) -> None:
    made = task(Settings(tmp_path / "a {b}"), run="2026", timeout=90, batch=Batch(20, 0.5))
    (tmp_path / "a {b}").mkdir()
    preflight(made)
    assert (made.mode, made.name, made.retry.attempts, made.batch) == (Mode.COMMAND, TASK, 1, Batch(20, 0.5))
    assert Task.from_settings(made.name, made.version, made.to_settings()) == made


def test_a_job_goes_on_if_something_of_it_is_still_open(spool: Spool) -> None:
    with spool:
        judging(spool, "rerecord --all", {"a": DONE, "b": FAILED, "c": DONE}, only=("a", "b"))
        handle = spool.job("rerecord --all")
        job = handle.read()
        assert run_of(job) is None
        assert goes_on(job, handle.items(), plan("a", "b", "c"))
        assert not goes_on(job, handle.items(), plan("a", "b")), "what is still open is not asked for any more"
        assert not goes_on(None, [], plan("a"))
        made = task(Settings(Path.cwd()), run="two", timeout=9, batch=Batch(20))
        with closing(source(plan("a"), {"KEY": "77"})) as rows:
            job = spool.submit(made, source=rows, name="other").read()
        assert run_of(job) == "two"
        assert job.source["keys"] == {"KEY": "77"}


def test_the_latest_run_of_each_file_counts(spool: Spool) -> None:
    with spool:
        judging(spool, "rerecord --all", {"a": FAILED, "b": FAILED, "c d": FAILED, "e": DONE})
        judging(spool, "rerecord a", {"a": DONE})
        judging(spool, "rerecord d", {"d": DONE})
        judging(spool, "rerecord e", {"e": FAILED})
        spool.submit(Task("other", Mode.COMMAND), {"z": {"files": ["z"]}}, name="no job of ours")
        found = ended(spool.database())
        assert sorted(latest_failures(found)) == ["b", "c", "e"]
        records = list(failure_records(spool.database(), found))
        assert [each["file"] for each in records] == ["a", "b", "c", "d", "e"], "what was mended since is not forgotten"
        assert records[0]["kind"] == "leak"
        assert records[0]["message"] == "a secret"
        assert set(records[0]) == {"file", "cassette", "kind", "status", "attempt", "time", "seconds", "message"}
        file = export(spool.places.folder, records)
        assert file == spool.places.folder / FAILURES
        assert [json.loads(line) for line in file.read_text().splitlines()] == records


def test_a_batch_is_told_when_the_last_of_it_has_ended() -> None:
    batches = Batches(["a", "b", "c", "d", "e"], 2)
    events = [Event(1, 0, 1, 1, 1, kind, {}, 1, key) for key, kind in (
        ("a", "item_done"), ("e", "item_failed"), ("x", "item_done"), ("d", "item_retry"), ("b", "item_failed"),
        ("b", "item_done"),
    )]  # fmt: skip
    assert list(batches.heard(events, 2.0)) == [
        "batch 3/3: 0 recorded, 1 failed (after 2.0 s)", "batch 1/3: 1 recorded, 1 failed (after 2.0 s)"
    ]


def test_the_lines_of_a_run() -> None:
    assert headline(1, 1, 1) == "Re-recording 1 test file in batches of 1 with 1 worker"
    results = {"a": {"said": {"cassettes": {"x.json": {"summary": "no change"}, "b.json": {"summary": "1 call added"}}}}}
    assert list(drift_lines({**results, "b": None, "c": {}})) == ["b.json: 1 call added"]


def test_what_always_changed_is_proposed_for_all_cassettes_at_once() -> None:
    report = as_data(Drift(1, 1, proposals=(Proposal("$.at", "date", 2),)))
    results = {unit: {"said": {"cassettes": {f"{unit}.json": {"report": report}}}} for unit in "ab"}
    assert proposed({**results, "c": None}) == 'volatile = ["$.at"]  # date in 4 places'
    assert proposed({}) == ""


def test_staging_is_cleared_but_not_under_somebody_who_records(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    library = Library(tmp_path)
    folders = [library.staging(f"rerecord-{name}").folder for name in ("a", "b")]
    for folder in folders:
        folder.mkdir(parents=True)
        folder.with_suffix(".lock").touch()
    with FileLock(folders[1].with_suffix(".lock")).hold():
        clear_staging(library)
    assert [folder.exists() for folder in folders] == [False, True]
    clear_staging(library)
    assert not list(folders[0].parent.iterdir())
