"""Whole runs through the real command line, against a real service."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from itertools import pairwise

import psutil
import pytest
from recorded_suite import KEY, TOKEN, Project, Service, until

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response

pytestmark = pytest.mark.timeout(900)  # seconds on a machine of its own


def old(project: Project, name: str) -> bytes:
    """A cassette that was there before."""
    path = project.path / "tests" / "cassettes" / name
    call = Interaction(Request("GET", "http://old.example/"), Response(200, body=b'{"version": 0}'))
    Library(path.parent).save(path, Cassette((call,)))
    return path.read_bytes()


def test_what_fails_keeps_its_cassette_and_says_why_and_all_else_is_replaced(project: Project, service: Service) -> None:
    mark = "@pytest.mark.cassette"
    project.plain("test_good")
    project.plain("test_good_more")
    project.test("test_fails", f"{mark}\ndef test_it():\n    assert get('/ok/fails')[1]['version'] == 99\n")
    project.test("test_nothing", f"{mark}\ndef test_it():\n    pass\n")
    project.test("test_status", f"{mark}\ndef test_it():\n    get('/status/404')\n")
    project.test("test_key", f"{mark}\ndef test_it():\n    assert get('/key/a')[0] == 200\n    get('/key/b')\n")
    project.test("test_leak", "@pytest.mark.cassette(without=['value:github'])\ndef test_it():\n    get('/token')\n")
    project.test("test_drifts", f"{mark}\ndef test_it():\n    get(f'/ok/{{time.time_ns()}}')\n")
    project.test("test_gone", f"{mark}\ndef test_it():\n    get('/ok/x')\n\nimport no_such_module\n")
    names = ("good", "good_more", "fails", "nothing", "status", "key", "leak", "drifts", "gone")
    before = {name: old(project, f"test_{name}/test_it.json") for name in names}

    ended = project.run("rerecord", "--all", "--workers", "4", "--json", code=1)

    kinds = {unit["key"]: unit["kind"] for unit in ended.data["units"]}
    assert kinds == {f"tests/test_{name}.py": kind for name, kind in {
        "good": None, "good_more": None, "fails": "tests_failed", "nothing": "nothing_recorded", "status": "bad_status",
        "key": "unauthorised", "leak": "leak", "drifts": "not_replayable", "gone": "tests_failed",
    }.items()}  # fmt: skip
    now = project.cassettes
    for name in names:
        assert (now[f"test_{name}/test_it.json"] == before[name]) == (kinds[f"tests/test_{name}.py"] is not None), name
    assert project.versions()["test_good_more/test_it.json"] == {1}

    messages = {unit["key"]: unit["message"] or "" for unit in ended.data["units"]}
    assert "1 of 1 test failed: tests/test_fails.py::test_it: assert 1 == 99" in messages["tests/test_fails.py"]
    assert "/status/404 was answered with 404 in tests/test_status.py::test_it" in messages["tests/test_status.py"]
    assert "secret(s) would be written" in messages["tests/test_leak.py"]
    assert "no request was recorded (1 test passed" in messages["tests/test_nothing.py"]
    assert "is not on" in messages["tests/test_drifts.py"]
    assert "no_such_module" in messages["tests/test_gone.py"]
    assert TOKEN not in ended.out + ended.err

    said = ended.err.splitlines()
    assert said[0] == "Re-recording 9 test files in batches of 20 with 4 workers"
    assert any(line.startswith("batch 1/1: 2 recorded, 7 failed (after ") for line in said)
    assert any(line.startswith("2 recorded, 7 failed in ") for line in said)
    assert "Re-run failures with: respool rerecord --failures" in said
    assert "  tests/cassettes/test_good/test_it.json: 1 call added, 1 call removed" in said

    # The reason in full, the exact command, the export, the way back.
    listed = project.run("jobs", "items", "1", "--state", "failed").out
    assert "bad_status: GET" in listed
    log = [json.loads(line) for line in (project.path / ".respool/logs/rerecord_failures.jsonl").read_text().splitlines()]
    assert {each["file"]: (each["kind"], each["status"], each["attempt"]) for each in log} == {
        key: (kind, {"bad_status": 404, "unauthorised": 401}.get(kind), 1) for key, kind in kinds.items() if kind
    }
    assert {each["cassette"] for each in log if each["kind"] != "nothing_recorded"} <= {
        None, *(f"tests/cassettes/test_{name}/test_it.json" for name in names)
    }
    assert next(each for each in log if each["kind"] == "leak")["cassette"] == "tests/cassettes/test_leak/test_it.json"
    output = next(project.path.glob(".respool/spool.db.files/attempts/*/1-1/output.log")).read_text()
    assert "-m pytest tests/test_drifts.py -q" in output
    assert not list((project.path / ".respool/staging").iterdir()), "nothing is left in staging"
    project.run("cassettes", "restore", "tests/cassettes/test_good/test_it.json", code=0)
    assert project.cassettes["test_good/test_it.json"] == before["good"]
    # One refused key is enough: no second request was sent with it.
    assert [path for path in service.paths() if path.startswith("/key/")] == ["/key/a"]


def test_failures_converge_also_after_a_run_over_other_files(project: Project, service: Service) -> None:
    for name in ("test_a", "test_b", "test_c"):
        project.plain(name)
    service.broken |= {"ok/test_b", "ok/test_c"}
    project.run("rerecord", "--all", code=1)
    project.run("rerecord", "tests/test_a.py", code=0)
    assert project.run("rerecord", "--failures", "--dry-run", "--json").data["files"] == 2
    service.broken.clear()
    service.broken.add("ok/test_c")
    project.run("rerecord", "tests/test_b.py", code=0)
    asked = len(service.log)
    assert "Re-recording 1 test file" in project.run("rerecord", "--failures", code=1).err
    assert service.paths()[asked:] == ["/ok/test_c"], "only what failed in its own latest run"
    service.broken.clear()
    service.version = 2
    project.run("rerecord", "--failures", code=0)
    assert project.versions() == {
        "test_a/test_it.json": {1}, "test_b/test_it.json": {1}, "test_c/test_it.json": {2}
    }
    asked = len(service.log)
    ended = project.run("rerecord", "--failures", code=0)
    assert "nothing to do: no test file's latest run failed" in ended.err
    assert len(service.log) == asked
    kept = [json.loads(line) for line in (project.path / ".respool/logs/rerecord_failures.jsonl").read_text().splitlines()]
    assert sorted(each["file"] for each in kept) == ["tests/test_b.py", "tests/test_c.py", "tests/test_c.py"]


def test_killed_at_any_point_the_same_command_goes_on(project: Project, service: Service) -> None:
    for number in range(4):
        project.plain(f"test_{number}", f"/{'held' if number > 1 else 'ok'}/{number}")
    before = {f"test_{number}/test_it.json": old(project, f"test_{number}/test_it.json") for number in range(4)}
    service.gate.clear()
    process = project.start("rerecord", "--all", "--workers", "2")
    assert process.stderr is not None
    with process.stderr:
        until(lambda: process.poll() is not None or (service.asked["/held/2"] and service.asked["/held/3"]))
        assert process.poll() is None, process.stderr.read()
        # What has ended is committed a moment after its lane has gone on to the next file.
        until(lambda: Counter(state for state, _ in project.kinds("1").values())["done"] == 2)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    for name in ("test_2/test_it.json", "test_3/test_it.json"):
        assert project.cassettes[name] == before[name]
    assert project.versions()["test_0/test_it.json"] == {1}
    service.gate.set()
    ended = project.run("rerecord", "--all", "--workers", "2", code=0)
    assert "  going on: 2 of 4 have ended before" in ended.err
    assert set(map(tuple, project.versions().values())) == {(1,)}
    assert service.asked["/ok/0"] == service.asked["/ok/1"] == 1, "what was finished is not paid for again"
    jobs = project.run("jobs", "list", "--json").data["jobs"]
    assert [(job["name"], job["state"]) for job in jobs] == [("rerecord --all", "done")]


def test_what_ctrl_c_left_is_a_job_like_any_other(project: Project, service: Service) -> None:
    project.plain("test_0")
    project.plain("test_1", "/held/1")
    service.broken.add("ok/test_0")
    service.gate.clear()
    process = project.start("rerecord", "--all", "--workers", "1", "--grace", "0")
    assert process.stderr is not None
    with process.stderr:
        until(lambda: service.asked["/held/1"])
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "the same command again goes on where it stopped" in process.stderr.read()
    assert project.kinds("1")["tests/test_1.py"] == ("pending", None)
    service.broken.clear()
    service.gate.set()
    state = project.path / ".respool"
    failures = state / "logs" / "rerecord_failures.jsonl"
    assert len(failures.read_text().splitlines()) == 1
    assert list(state.glob("staging/*")), "what is open goes on from there"
    project.run("jobs", "retry", "1", code=0)
    failures.write_text("")
    project.run("run", code=0)
    assert {state for state, _ in project.kinds("1").values()} == {"done"}
    assert len(failures.read_text().splitlines()) == 1, "whoever ran it: what failed is exported"
    assert not list(state.glob("staging/*"))
    (state / "staging" / "rerecord-0123").mkdir()
    (state / "staging" / "rerecord-0123.lock").touch()
    assert "nothing to do" in project.run("rerecord", "--failures", code=0).err
    assert not list(state.glob("staging/*")), "what a killed run left goes with the next one, even if that has nothing to do"
    assert set(map(tuple, project.versions().values())) == {(1,)}


def test_a_wrong_key_stops_everything_after_a_handful_of_calls(project: Project, service: Service) -> None:
    for number in range(5):
        project.test(f"test_{number}", f"""
@pytest.mark.cassette
def test_it():
    for call in range(5):
        assert get(f"/key/{number}/{{call}}", **{{"X-Api-Key": os.environ["THE_KEY"]}})[0] == 200
""")  # fmt: skip
    before = {f"test_{number}/test_it.json": old(project, f"test_{number}/test_it.json") for number in range(5)}
    project.settings('require_env = ["THE_KEY"]\n')
    project.env["THE_KEY"] = "your-key-here"
    ended = project.run("rerecord", "--all", code=2)
    assert "the environment variable THE_KEY holds a placeholder, not a key" in ended.err
    assert not (project.path / ".respool" / "spool.db").exists()

    project.env["THE_KEY"] = "wrong5c1d77e9f0a4"
    ended = project.run("rerecord", "--all", "--workers", "2", code=6)
    assert "paused: 3 times in a row unauthorised" in ended.err
    assert len(service.log) <= 5
    assert project.cassettes == before
    assert not any(state == "failed" for state, _ in project.kinds("1").values()), "they are tried again"

    project.env["THE_KEY"] = KEY
    ended = project.run("rerecord", "--all", code=0)
    assert "THE_KEY is another key than in the run before" in ended.err
    assert set(map(tuple, project.versions().values())) == {(1,)}
    everything = b"".join(project.tree().values())
    assert KEY.encode() not in everything
    assert b"wrong5c1d77e9f0a4" not in everything


def test_a_throttled_answer_is_waited_out_and_never_kept(project: Project, service: Service) -> None:
    project.plain("test_busy", "/busy/2/0.3/a")
    project.plain("test_busy_too", "/busy/1/0.2/b")
    project.test("test_wants_it", """
@pytest.mark.cassette(allow_status=[429])
def test_it():
    assert get("/busy/1/30/c")[0] == 429
    assert get("/busy/1/30/c")[0] == 200
""")  # fmt: skip
    project.run("rerecord", "--all", "--workers", "3", code=0)
    statuses = {
        name: [each["response"]["status"] for each in json.loads(data)["interactions"]]
        for name, data in project.cassettes.items()
    }
    assert statuses == {
        "test_busy/test_it.json": [200], "test_busy_too/test_it.json": [200], "test_wants_it/test_it.json": [429, 200],
    }
    for path, asked in (("/busy/2/0.3/a", 0.3), ("/busy/1/0.2/b", 0.2)):
        times = [arrival.at for arrival in service.log if arrival.path == path]
        assert all(later - earlier >= 0.99 * asked for earlier, later in pairwise(times))


def test_a_wait_that_is_too_long_pauses_the_job(project: Project, service: Service) -> None:
    project.plain("test_busy", "/busy/99/7200/a")
    project.plain("test_later")
    project.settings('max_pause = "1h"\n')
    ended = project.run("rerecord", "--all", "--workers", "1", "--json", code=6)
    assert "127.0.0.1" in ended.err
    assert "longer than max_pause = 3600 s" in ended.err
    assert ended.data["job"]["paused"]["resume_at"] is not None
    project.run("rerecord", "--all", "--workers", "1", code=6)
    assert service.paths() == ["/busy/99/7200/a"], "nothing more is sent before"


def test_the_limit_of_a_host_holds_for_all_workers(project: Project, service: Service) -> None:
    for number in range(3):
        project.test(f"test_{number}", f"""
@pytest.mark.cassette
def test_it():
    for call in range(3):
        assert get(f"/ok/{number}/{{call}}")[0] == 200
""")  # fmt: skip
    project.settings(f'[tool.respool.rerecord.limits]\n"{service.host}" = "4/s"\n')
    project.run("rerecord", "--all", "--workers", "3", code=0)
    times = [arrival.at for arrival in service.log]
    assert len(times) == 9
    assert all(later - earlier > 0.99 for earlier, later in zip(times, times[4:], strict=False))


def test_a_unit_that_takes_too_long_is_ended_with_all_its_processes(project: Project) -> None:
    project.test("test_slow", """
import subprocess
@pytest.mark.cassette
def test_it():
    get("/ok/slow")
    child = subprocess.Popen(["sleep", "600"])
    with open("pids", "w") as file:
        file.write(f"{os.getpid()} {child.pid}\\n")
    time.sleep(600)
""")  # fmt: skip
    before = old(project, "test_slow/test_it.json")
    ended = project.run("rerecord", "--all", "--timeout", "4", code=1)
    assert "timeout: still running after 4 s; ended" in ended.err
    assert project.cassettes == {"test_slow/test_it.json": before}
    pids = project.path / "pids"
    for pid in pids.read_text().split() if pids.exists() else []:
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


def test_cassettes_that_are_shared_are_recorded_by_all_or_not_at_all(project: Project, service: Service) -> None:
    shared = "@pytest.mark.cassette('shared')\n"
    project.test("test_one", f"""
{shared}@pytest.mark.parametrize("n", [1, 2])
def test_it(n):
    assert get(f"/ok/{{n}}")[0] == 200

@pytest.mark.cassette(scope="module")
def test_wide():
    get("/ok/wide/1")

@pytest.mark.cassette(scope="module")
def test_wider():
    get("/ok/wide/2")

{shared.replace("shared", "half")}def test_runs():
    get("/ok/half")

{shared.replace("shared", "half")}@pytest.mark.skip
def test_does_not():
    get("/ok/other")
""")  # fmt: skip
    project.test("test_two", f"{shared}def test_it():\n    get('/ok/1')\n    get('/ok/3')\n")
    half = old(project, "half.json")
    ended = project.run("rerecord", "tests/test_two.py", "--json", code=0)
    (unit,) = ended.data["units"]
    assert unit["files"] == ["tests/test_one.py", "tests/test_two.py"]
    paths = {
        name: [each["request"]["url"].partition("/ok/")[2] for each in json.loads(data)["interactions"]]
        for name, data in project.cassettes.items() if name != "half.json"
    }
    assert paths == {"shared.json": ["1", "2", "3"], "test_one.json": ["wide/1", "wide/2"]}
    assert project.cassettes["half.json"] == half, "one of its tests did not run"
    assert len(service.log) == 6, "what is on a shared tape by then is not asked for again"


def test_a_cassette_that_vcr_marks_share_stays_if_one_of_its_tests_is_skipped(project: Project, service: Service) -> None:
    shared = "@pytest.mark.vcr\n@pytest.mark.default_cassette('shared')\n"
    project.test("test_a", f"""
{shared}def test_runs():
    get("/ok/runs")

{shared}@pytest.mark.skipif("WITHOUT" in os.environ, reason="not today")
def test_may_run():
    get("/ok/may_run")

@pytest.mark.vcr
def test_alone():
    get("/ok/alone")
""")  # fmt: skip
    folder = project.path / "tests" / "cassettes" / "test_a"
    project.run("rerecord", "--all", code=0)
    before = (folder / "shared.yaml").read_text()
    assert ("/ok/runs" in before, "/ok/may_run" in before) == (True, True)
    service.version = 2
    project.env["WITHOUT"] = "1"
    project.run("rerecord", "--all", code=0)
    assert (folder / "shared.yaml").read_text() == before, "one of its tests did not run"
    assert '"version": 2' in (folder / "test_alone.yaml").read_text()


def test_a_dry_run_writes_nothing(project: Project) -> None:
    project.plain("test_a")
    project.test("test_none", "def test_it():\n    pass\n")
    before = project.tree()
    ended = project.run("rerecord", "--all", "--dry-run", code=0)
    assert ended.out == "tests/test_a.py  1 cassette  all\n"
    assert "1 test never recorded, such as tests/test_a.py::test_it" in ended.err
    told = project.run("rerecord", "tests", "--dry-run", "--json", code=0).data
    assert [unit["files"] for unit in told["units"]] == [["tests/test_a.py"]]
    assert project.tree() == before


def test_what_cannot_be_selected(project: Project) -> None:
    ended = project.run("rerecord", code=3)
    assert "no test file here names a cassette" in ended.err
    for name in ("test-ct_chemical", "test-ct_chemical-more", "test-chemi_search", "test-other", "test_x"):
        project.plain(name)
    ended = project.run("rerecord", code=2)
    assert "priority in [tool.respool.rerecord]" in ended.err
    assert "respool rerecord --all" in ended.err
    project.settings('priority = ["^test-chemi_search", "^test-ct_chemical", "^test-chemi_resolver"]\n')
    ended = project.run("rerecord", "--dry-run", "--json", code=0)
    assert [unit["files"][0] for unit in ended.data["units"]] == [
        "tests/test-chemi_search.py", "tests/test-ct_chemical-more.py", "tests/test-ct_chemical.py"
    ]
    every = project.run("rerecord", "--all", "--dry-run", "--json").data["units"]
    assert [unit["files"][0] for unit in every][3:] == ["tests/test-other.py", "tests/test_x.py"]
    project.settings('priority = ["^nobody"]\n')
    assert "no test file fits ^nobody" in project.run("rerecord", code=3).err
    for path, told, command in (
        ("tests/gone.py", "there is no 'tests/gone.py'", "--all --dry-run"),
        ("pyproject.toml", "'pyproject.toml' is no test file", "--all --dry-run"),
        ("tests/test_x.py::test_it", "'tests/test_x.py::test_it' is a single test", "tests/test_x.py"),
    ):
        said = project.run("rerecord", path, code=3).err
        assert (told in said, f"  next:  respool rerecord {command}\n" in said) == (True, True), said
    for wrong in (["--workers", "65"], ["--batch-size", "0"], ["--delay", "-1"], ["--all", "--failures"]):
        project.run("rerecord", *wrong, code=2)
    assert not (project.path / ".respool").exists()


def test_a_probe_that_fails_stops_before_any_work(project: Project, service: Service) -> None:
    project.plain("test_a")
    project.settings('probe = ["sh", "-c", "echo asked; echo the quota is used up; exit 3"]\n')
    ended = project.run("rerecord", "--all", code=2)
    assert "the probe ended with exit code 3: the quota is used up" in ended.err
    assert not service.log


def test_other_plugins_and_options_do_not_meddle(project: Project) -> None:
    project.test("test_a", """
@pytest.mark.cassette
@pytest.mark.timeout(0.0001)
def test_it():
    assert "PYTEST_ADDOPTS" not in os.environ
    time.sleep(0.01)
    assert get("/busy/1/0.2/a")[0] == 200

def test_fails_first():
    assert os.path.exists("mended")

@pytest.mark.cassette
def test_last():
    get("/ok/last")
""")  # fmt: skip
    file = project.path / "pyproject.toml"
    file.write_text(file.read_text().replace("--strict-markers", "--strict-markers -x -n 2 --timeout=30"))
    project.env["PYTEST_ADDOPTS"] = "--collect-only"
    ended = project.run("rerecord", "--all", code=1)
    assert "1 of 3 tests failed: tests/test_a.py::test_fails_first" in ended.err, ended.err
    (project.path / "mended").touch()
    project.run("rerecord", "--failures", code=0)
    assert set(project.cassettes) == {"test_a/test_it.json", "test_a/test_last.json"}


def test_a_conftest_that_cannot_be_loaded_is_told_and_its_output_can_be_read(project: Project, service: Service) -> None:
    project.plain("test_a")
    (project.path / "tests" / "conftest.py").write_text("import no_such_module\n")
    ended = project.run("rerecord", "--all", code=1)
    assert "before it had begun: ModuleNotFoundError: No module named 'no_such_module'" in ended.err
    (line,) = [line for line in ended.err.splitlines() if "what pytest said: respool " in line]
    command = line.partition("respool ")[2].split()
    assert "ImportError while loading conftest" in project.run(*command, code=0).out
    (attempt,) = project.run(*command, "--json", code=0).data["attempts"]
    assert "import no_such_module" in attempt["output"]
    assert not service.log


def test_folders_that_cannot_be_written_are_named_and_nothing_is_begun(project: Project, service: Service) -> None:
    project.plain("test_a")
    project.test("test_b", """
from respool import use_cassette

def test_it():
    with use_cassette(os.path.join("tapes", "{}.json".format(os.environ["SERVICE"][:4]))):
        get("/ok/b")
""")  # fmt: skip
    known, found = project.path / "tests" / "cassettes" / "test_a", project.path / "tapes"
    known.mkdir(parents=True)
    found.mkdir()
    for folder in (project.path, project.path / "tests", project.path / "tests" / "cassettes"):
        folder.chmod(0o777)
    found.chmod(0o555)
    known.chmod(0o555)
    ended = project.run("rerecord", "tests", code=2, as_nobody=True)
    assert "nothing was recorded: the folder 'tests/cassettes/test_a' cannot be written" in ended.err
    assert f"chmod u+w {known} " in ended.err
    assert not service.log, "before anything is paid for"
    known.chmod(0o777)
    ended = project.run("rerecord", "tests/test_b.py", code=1, as_nobody=True)
    assert "tests/test_b.py  invalid: the folder" in ended.err
    assert f"{found}' cannot be written (Permission denied)" in ended.err, "which folder it is, only the run could tell"
    assert [*found.iterdir(), *(project.path / ".respool").glob("swaps/*")] == []
    found.chmod(0o777)
    project.run("rerecord", "--failures", code=0, as_nobody=True)
    assert os.listdir(found) == ["http.json"]
