"""One unit, called as its runner calls it: again after its death at each point, and its tests killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from recorded_suite import Project, Service

from respool.canonical import digest
from respool.cassette.library import Library


def run(project: Project, *files: str, stamp: str = "one") -> dict[str, Any]:
    """The verdict of the unit's program."""
    attempt = project.path / "attempt"
    attempt.mkdir(exist_ok=True)
    (attempt / "payload.json").write_text(json.dumps({"files": files}))
    env = {
        **project.environment(), "RESPOOL_PAYLOAD": str(attempt / "payload.json"), "RESPOOL_PACE": str(project.path / "pace"),
        "RESPOOL_VERDICT": str(attempt / "verdict.json"),
    }  # fmt: skip
    argv = ["--root", str(project.path), "--run", stamp, "--timeout", "60"]
    done = subprocess.run(
        [sys.executable, "-m", "respool.rerecord.unit", *argv], env=env, cwd=project.path, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    verdict: dict[str, Any] = json.loads((attempt / "verdict.json").read_text())
    assert (done.returncode == 0) == (verdict["outcome"] == "done")
    return verdict


def staging(project: Project, *files: str) -> Path:
    return project.path / ".respool" / "staging" / f"rerecord-{digest(*files)[:16]}"


def previous(project: Project) -> set[int]:
    path = project.path / ".respool" / "previous" / "tests" / "cassettes" / "test_a" / "test_it.json"
    return {each["response"]["body"]["json"]["version"] for each in json.loads(path.read_text())["interactions"]}


def test_after_a_death_between_the_swap_and_the_receipt_nothing_is_paid_or_lost(project: Project, service: Service) -> None:
    project.plain("test_a")
    assert run(project, "tests/test_a.py", stamp="zero")["outcome"] == "done"
    service.version = 2
    first = run(project, "tests/test_a.py", stamp="one")
    assert (project.versions(), previous(project)) == ({"test_a/test_it.json": {2}}, {1})
    asked = len(service.log)
    again = run(project, "tests/test_a.py", stamp="one")
    assert len(service.log) == asked, "the same run of the job: what was accepted counts"
    assert (again["outcome"], again["result"]["cassettes"]) == ("done", first["result"]["cassettes"])
    assert previous(project) == {1}, "the previous one is not overwritten by the new one"
    # Died before the swap: staged and accepted, but not in place.
    base = staging(project, "tests/test_a.py")
    Library(project.path).restore(project.path / "tests/cassettes/test_a/test_it.json")
    assert project.versions() == {"test_a/test_it.json": {1}}
    tapes = base / "tapes" / "tests" / "cassettes" / "test_a"
    tapes.mkdir(parents=True)
    kept = project.path / ".respool/previous/tests/cassettes/test_a/test_it.json"
    (tapes / "test_it.json").write_bytes(kept.read_bytes())
    told = json.loads((base / "accepted.json").read_text())
    (base / "accepted.json").write_text(json.dumps({**told, "swapped": False}))
    assert run(project, "tests/test_a.py", stamp="one")["outcome"] == "done"
    assert (len(service.log), project.versions(), previous(project)) == (asked, {"test_a/test_it.json": {2}}, {1})
    # Another run records anew.
    service.version = 3
    run(project, "tests/test_a.py", stamp="two")
    assert (len(service.log), project.versions(), previous(project)) == (asked + 1, {"test_a/test_it.json": {3}}, {2})


def test_tests_that_are_killed_are_no_failure_of_the_tests(project: Project) -> None:
    project.test("test_a", "@pytest.mark.cassette\ndef test_it():\n    get('/ok/a')\n    os.kill(os.getpid(), 9)\n")
    verdict = run(project, "tests/test_a.py")
    assert (verdict["kind"], verdict["message"], verdict["final"]) == ("crashed", "pytest was ended by signal 9", False)
    assert not project.cassettes
    assert not staging(project, "tests/test_a.py").exists()


def test_a_cassette_that_cannot_be_read_is_not_overwritten(project: Project) -> None:
    project.plain("test_a")
    path = project.path / "tests" / "cassettes" / "test_a" / "test_it.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 99}')
    verdict = run(project, "tests/test_a.py")
    assert (verdict["outcome"], verdict["kind"]) == ("failed", "invalid")
    assert "test_it.json" in verdict["message"] + verdict["detail"]
    assert path.read_text() == '{"format": 99}'


def test_what_is_outside_of_the_project_or_not_to_be_kept_is_left_alone(project: Project, service: Service) -> None:
    project.test("test_a", """
from respool import use_cassette

@pytest.mark.cassette
def test_marked():
    get("/ok/marked")

@pytest.mark.cassette(mode="bypass")
def test_live():
    get("/ok/live")

def test_live_for_a_moment():
    with use_cassette("tests/cassettes/bypassed.json", mode="bypass"):
        get("/ok/moment")

def test_called():
    with use_cassette("tests/cassettes/called.json"):
        get("/ok/called")

def test_elsewhere(tmp_path):
    with use_cassette(tmp_path / "own.json", "fill"):
        get("/ok/own")
    assert (tmp_path / "own.json").exists()
""")  # fmt: skip
    verdict = run(project, "tests/test_a.py")
    assert verdict["outcome"] == "done", verdict
    assert sorted(project.cassettes) == ["called.json", "test_a/test_marked.json"]
    asked = ["/ok/marked", "/ok/live", "/ok/moment", "/ok/called", "/ok/own"]
    assert service.paths() == asked, "once each: the proof that what was recorded can be played is offline"


def test_tests_marked_vcr_are_recorded_again_in_their_own_format(project: Project, service: Service) -> None:
    project.test("test_a", """
@pytest.mark.vcr
def test_it():
    assert get("/busy/1/0.1/a")[0] == 200
    assert get("/status/404")[0] == 404
""")  # fmt: skip
    path = project.path / "tests" / "cassettes" / "test_a" / "test_it.yaml"
    verdict = run(project, "tests/test_a.py", stamp="one")
    assert (verdict["kind"], "/status/404 was answered with 404" in verdict["message"]) == ("bad_status", True)
    path.parent.mkdir(parents=True)
    path.write_text(
        f"interactions:\n- request: {{method: GET, uri: '{service.url}/x', body: null, headers: {{}}}}\n"
        "  response: {status: {code: 404, message: no}, headers: {}, body: {string: ''}}\nversion: 1\n"
    )
    verdict = run(project, "tests/test_a.py", stamp="two")
    assert verdict["outcome"] == "done", verdict
    text = path.read_text()
    assert text.startswith("interactions:")
    assert "code: 404" in text, "it was on the tape before, so it is wanted"
    assert "code: 429" not in text
