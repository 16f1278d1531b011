"""Cassettes that others need, too: those of tests that did not run this time, and of tests in other units."""

from __future__ import annotations

import subprocess
import sys

import pytest
from recorded_suite import Project, Service

from respool.cassette.library import Library
from respool.cassette.mapping import observed
from respool.rerecord import claims
from respool.rerecord.settings import load_settings

MAY_RUN = "@pytest.mark.skipif('WITHOUT' in os.environ, reason='not today')\n"
NAMED = "import pytest\n\n@pytest.fixture\ndef {fixture}(request):\n    return {gives}\n"
FOLDER = "\n@pytest.fixture(scope='module')\ndef vcr_cassette_dir():\n    return 'tests/tapes'\n"


def recorded(project: Project, *arguments: str) -> None:
    """Record with pytest itself, as one does at first."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=project.path,
        env=project.environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("fixture", "gives"), [
    ("vcr_cassette_name", "'shared'"),
    ("default_cassette_name", "request.node.name.partition('_')[0].replace('test', 'shared')"),
])  # fmt: skip
def test_a_cassette_that_a_fixture_names_stays_if_a_skipped_test_of_another_module_plays_it(
    project: Project, service: Service, fixture: str, gives: str,
) -> None:  # fmt: skip
    project.test("test_a", "@pytest.mark.vcr\ndef test_runs():\n    get('/ok/runs')\n")
    project.test("test_b", f"@pytest.mark.vcr\n{MAY_RUN}def test_may_run():\n    get('/ok/may_run')\n")
    project.plain("test_own")
    (project.path / "tests" / "conftest.py").write_text(NAMED.format(fixture=fixture, gives=gives) + FOLDER)
    recorded(project, "--record-mode=new_episodes", "tests/test_a.py", "tests/test_b.py")
    tape = project.path / "tests" / "tapes" / "shared.yaml"
    before = tape.read_text()
    assert ("/ok/runs" in before, "/ok/may_run" in before) == (True, True)
    project.env["WITHOUT"] = "1"
    ended = project.run("rerecord", "--all", code=1)
    assert tape.read_text() == before
    why = f"tests/test_b.py::test_may_run, which did not run, plays GET {service.url}/ok/may_run"
    assert f"tests/test_a.py tests/test_b.py  nothing_recorded: tests/tapes/shared.yaml stays as it was: {why}" in ended.err
    assert list(project.cassettes) == ["test_own/test_it.json"], "the others go on"


def test_what_nobody_saw_played_counts_by_its_name(project: Project, service: Service) -> None:
    """In a fresh clone there is no journal: what the names allow is all that is known."""
    project.test("test_a", f"""
@pytest.fixture
def default_cassette_name(request):
    return request.node.name.partition("_")[0]

@pytest.mark.vcr
def test_runs():
    get(f"/ok/runs/{{os.environ.get('WITHOUT', '0')}}")

@pytest.mark.vcr
{MAY_RUN}def test_may_run():
    get("/ok/may_run")

@pytest.mark.cassette
def test_alone():
    get("/ok/alone")
""")  # fmt: skip
    recorded(project, "--record-mode=new_episodes", "-k", "run")
    for file in (project.path / ".respool" / "observed").iterdir():
        file.unlink()
    tape = project.path / "tests" / "cassettes" / "test_a" / "test.yaml"
    before = tape.read_text()
    project.env["WITHOUT"] = "1"
    ended = project.run("rerecord", "--all", code=0)
    assert tape.read_text() == before
    assert "test.yaml: stays as it was: tests/test_a.py::test_may_run, which did not run, may play GET" in ended.err
    assert "test_a/test_alone.json" in project.cassettes


def test_what_a_test_outside_of_the_unit_was_seen_to_play_stays(project: Project, service: Service) -> None:
    body = "from respool import use_cassette\n\ndef test_{0}():\n    with use_cassette('tests/{1}.json', {2!r}):\n{3}"
    call = "        get('/ok/{0}')\n"
    project.settings('tests = ["tests/unit"]\n')
    (project.path / "tests").mkdir()
    for folder in ("unit", "other"):
        (project.path / "tests" / folder).mkdir()
    gets = f"{call.format('both')}        if 'OTHER' in os.environ:\n    {call.format('late')}"
    project.test("unit/test_in", body.format("in", "shared", "fill", gets) + "    with use_cassette('tests/own.json'):\n"
                 + call.format("own"))  # fmt: skip
    project.test("other/test_out", body.format("out", "shared", "fill", call.format("both") + call.format("out")))
    recorded(project, "tests/other")
    tape = project.path / "tests" / "shared.json"
    before = tape.read_bytes()
    ended = project.run("rerecord", "--all", code=0)
    assert tape.read_bytes() == before
    why = f"tests/other/test_out.py::test_out, which is recorded in another unit, plays GET {service.url}/ok/out"
    assert f"tests/shared.json: stays as it was: {why}" in ended.err
    assert (project.path / "tests" / "own.json").exists()
    (project.path / "tests" / "other" / "test_out.py").unlink()
    project.run("rerecord", "--all", code=0)
    assert tape.read_bytes() != before, "nobody needs it any more"


def test_who_recorded_a_cassette_is_remembered(project: Project) -> None:
    project.settings()
    settings = load_settings(project.path)
    path = project.path / "tests" / "cassettes" / "a.json"
    claims.remember(settings, {"tests/cassettes/a.json": ["tests/test_a.py::test_it", ""]})
    ((test, uses),) = observed.read(Library(project.path).state(), project.path).tests.items()
    assert (test, [use.cassette for use in uses], uses[0].unplayed) == ("tests/test_a.py::test_it", [path], None)
