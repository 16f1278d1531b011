"""`respool rerecord --stale` through the real command line, on libraries of both formats."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from recorded_suite import Project, Service


def recorded(project: Project) -> None:
    """Record what is missing with pytest itself, as one does at first."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--record-mode=once", "--cassettes=fill"],
        cwd=project.path, env=project.environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def stale(project: Project) -> dict[str, str]:
    """The cassettes that `rerecord --stale` would record again, and why."""
    planned = project.run("rerecord", "--stale", "--dry-run", "--json", code=0).data["units"]
    return dict(unit["reason"].split(": ", 1) for unit in planned)


@pytest.fixture
def library(project: Project) -> Project:
    """A cassette of each format, both recorded from a schema and a version of the service."""
    (project.path / "version").write_text("1\n")
    (project.path / "schema.json").write_text("{}")
    project.settings('[tool.respool.cassettes]\ninputs = ["schema.json"]\nupstream = "cat version"\n')
    project.plain("test_ours")
    project.test("test_vcr", "@pytest.mark.vcr\ndef test_it():\n    assert get('/ok/vcr')[0] == 200\n")
    recorded(project)
    return project


OURS, VCR = "tests/cassettes/test_ours/test_it.json", "tests/cassettes/test_vcr/test_it.yaml"


def test_what_a_cassette_was_recorded_from_is_known_in_either_format(library: Project) -> None:
    (library.path / "schema.json").write_text("[]")
    changed = "what it depends on has changed: schema.json"
    assert stale(library) == {OURS: changed, VCR: changed}
    (library.path / "schema.json").write_text("{}")
    (library.path / "version").write_text("2\n")
    newer = "it was recorded from version 1, the service has 2"
    assert stale(library) == {OURS: newer, VCR: newer}
    found = library.run("cassettes", "check", "--json", "--only", "stale", code=1).data["findings"]
    assert {each["path"]: each["message"] for each in found} == {OURS: newer, VCR: newer}


def test_what_is_recorded_in_staging_is_noted_under_its_own_name(library: Project, service: Service) -> None:
    (library.path / "schema.json").write_text("[]")
    service.version = 2
    library.run("rerecord", "--stale", "tests/test_vcr.py", code=0)
    assert '"version": 2' in (library.path / VCR).read_text()
    assert list(stale(library)) == [OURS]


def test_without_the_notes_the_age_is_left(library: Project) -> None:
    shutil.rmtree(library.path / ".respool" / "recorded-from")
    (library.path / "schema.json").write_text("[]")
    assert list(stale(library)) == [OURS]
    library.settings('refresh = "1d"\n')
    tape, (_, date) = library.path / VCR, (library.path / VCR).read_text().split("Date:\n      - ")
    tape.write_text(tape.read_text().replace(date.splitlines()[0], "Wed, 01 Jan 2025 00:00:00 GMT"))
    assert list(stale(library)) == [VCR]


def test_what_was_recorded_before_it_was_declared_is_told_once(library: Project) -> None:
    shutil.rmtree(library.path / ".respool" / "recorded-from")
    ended = library.run("cassettes", "check", "--only", "stale", code=0)
    assert f"info     CASSETTE_UNTRACED  {VCR}: 1 cassette does not tell what it was recorded from" in ended.out


def test_a_command_that_tells_no_version_is_named_and_nothing_is_stale_by_it(library: Project) -> None:
    (library.path / "version").unlink()
    ended = library.run("rerecord", "--stale", code=0)
    assert ended.err == (
        "'cat version' did not tell the version of its service: no cassette is called stale by it\n"
        "nothing to do: no cassette is stale\n"
    )
