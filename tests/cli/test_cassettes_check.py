"""`respool cassettes check` through the real command line, on real cassettes of real runs of pytest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from program import PROGRAM, Folder

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.cassette.placing import side_folder
from respool.clock import MICROSECONDS, SYSTEM

DAY = 86_400 * MICROSECONDS
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dE3fG6"

SUITE = """
    import urllib.request
    import pytest

    def ask(path):
        with urllib.request.urlopen(f"http://a.example/{path}") as answer:
            return answer.read()

    @pytest.mark.cassette
    def test_one():
        ask(1)

    @pytest.mark.cassette("shared")
    def test_two():
        ask(2)

    @pytest.mark.cassette("shared")
    def test_three():
        ask(3)
"""


def said(path: object, status: int = 200, body: bytes = b"", days: float = 0, **more: Any) -> Interaction:
    at = SYSTEM.now() - round(days * DAY)
    return Interaction(Request("GET", f"http://a.example/{path}"), Response(status, body=body, **more), at, 0.1)


class Project(Folder):
    @property
    def cassettes(self) -> Library:
        return Library(self.path / "tests" / "cassettes")

    def tape(self, name: str, *interactions: Interaction, **header: Any) -> Path:
        return self.cassettes.save(name, Cassette(interactions, **header))

    def pytest(self, *arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=self.path,
                              capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def found(self, *arguments: str, code: int | None = None) -> dict[str, list[dict[str, Any]]]:
        """Code → findings."""
        told: dict[str, list[dict[str, Any]]] = {}
        for each in self.run("cassettes", "check", "--json", *arguments, code=code).data["findings"]:
            told.setdefault(each["code"], []).append(each)
        return told


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("pyproject.toml", "[tool.pytest.ini_options]\n")
    made.write("tests/test_a.py", dedent(SUITE))
    made.tape("test_a/test_one", said(1))
    made.tape("shared", said(2), said(3))
    return made


def test_a_healthy_library_passes(project: Project) -> None:
    done = project.run("cassettes", "check", code=0)
    assert (done.out, done.err) == ("", "2 cassettes: nothing is wrong\n")
    project.pytest()
    assert project.run("cassettes", "check", code=0).out == ""


def test_each_kind_of_trouble_is_found_and_told_what_to_do(project: Project) -> None:
    project.write("pyproject.toml", '[tool.respool.cassettes]\nrefresh = "30d"\n')
    project.tape("forgotten", said(1))
    project.tape("test_a/test_one", said(1), said("old", days=31), said("gone", 410), said("key", body=TOKEN.encode()))
    project.write("tests/cassettes/broken.json", '{"format": 1, "interactions": [{}]}')
    packed = Response(200, headers=(("Content-Encoding", "gzip"),), body=b"\x1f\x8bno gzip at all")
    project.tape("shared", Interaction(Request("GET", "http://a.example/2"), packed, SYSTEM.now()), said(3))
    project.write("tests/test_b.py", "import pytest\n@pytest.mark.cassette\ndef test_never_recorded(): ...\n")
    found = project.found(code=1)
    told = {code: sorted(each["path"] for each in several) for code, several in found.items()}
    assert told == {
        "CASSETTE_ORPHAN": ["tests/cassettes/broken.json", "tests/cassettes/forgotten.json"],
        "CASSETTE_STALE": ["tests/cassettes/test_a/test_one.json"],
        "CASSETTE_STATUS": ["tests/cassettes/test_a/test_one.json"],
        "CASSETTE_LEAK": ["tests/cassettes/test_a/test_one.json"],
        "CASSETTE_UNREADABLE": ["tests/cassettes/broken.json"],
        "CASSETTE_UNDECODABLE": ["tests/cassettes/shared.json"],
        "CASSETTE_MISSING": ["tests/cassettes/test_b/test_never_recorded.json"],
    }
    assert all(each["advice"] for several in found.values() for each in several)
    assert TOKEN not in json.dumps(found)
    assert found["CASSETTE_MISSING"][0]["advice"] == "pytest --cassettes=fill 'tests/test_b.py::test_never_recorded'"
    shown = project.run("cassettes", "check", code=1)
    assert "error    CASSETTE_LEAK  tests/cassettes/test_a/test_one.json, interaction 4, response body: " in shown.out
    assert shown.err == "4 cassettes, 8 findings; 2 can be repaired: respool cassettes check --fix\n"


def test_one_check_or_one_place_may_be_asked_for(project: Project) -> None:
    project.tape("forgotten", said(1, body=TOKEN.encode()))
    project.tape("test_a/test_one", said(1, 500))
    assert set(project.found("--only", "leaks", code=1)) == {"CASSETTE_LEAK"}
    assert set(project.found("--only", "orphans", "--only", "statuses", code=1)) == {"CASSETTE_ORPHAN", "CASSETTE_STATUS"}
    assert project.found("tests/cassettes/shared.json", code=0) == {}
    assert set(project.found("tests/cassettes/test_a", code=1)) == {"CASSETTE_STATUS"}
    assert "there is no" in project.run("cassettes", "check", "tests/nowhere", code=2).err


def test_whether_anything_is_stale_is_not_asked_where_nothing_says_when(project: Project) -> None:
    said = project.run("cassettes", "check", "--only", "stale", code=2).err
    assert "it is not said when a cassette is stale" in said
    assert 'set refresh = "30d"' in said
    project.found(code=0)


def test_a_folder_that_is_named_is_looked_at_whatever_it_is_called(project: Project) -> None:
    (project.path / "tapes").mkdir()
    (project.path / "tapes" / "torn.json").write_text("{garbage")
    ended = project.run("cassettes", "check", "tapes", code=1)
    assert "CASSETTE_UNREADABLE  tapes/torn.json" in ended.out
    (project.path / "code").mkdir()
    (project.path / "code" / "data.json").write_text("{garbage")
    (project.path / "code" / "program.py").write_text("")
    assert "data.json" not in project.run("cassettes", "check", "code", code=0).out, "a folder of code holds other JSON, too"


def test_a_cassette_that_cannot_be_deleted_stays_and_that_is_told(project: Project) -> None:
    state = project.path / ".respool"
    state.mkdir(exist_ok=True)
    (state / "previous").write_text("in the way of what would be kept")
    (project.path / "cassettes").mkdir(exist_ok=True)
    (project.path / "cassettes" / "a.json").write_text("{garbage")
    ended = project.run("cassettes", "delete", "cassettes/a.json", "--yes")
    assert ended.code != 0
    assert "could not be written; the one on disk is as it was" in ended.err
    assert (project.path / "cassettes" / "a.json").read_text() == "{garbage"


def test_statuses_are_expected_by_marks_and_by_settings(project: Project) -> None:
    project.tape("test_a/test_one", said(1, 404), said("x", 500))
    project.tape("shared", said(2, 404), said(3, 418))
    assert len(project.found("--only", "statuses", code=1)["CASSETTE_STATUS"]) == 4
    text = dedent(SUITE).replace('@pytest.mark.cassette("shared")', '@pytest.mark.cassette("shared", allow_status=[404])', 1)
    project.write("tests/test_a.py", text)
    assert len(project.found("--only", "statuses", code=1)["CASSETTE_STATUS"]) == 3
    settings = 'allow_status = [404]\nexpected_status = {"*/test_a/*" = [500]}\n'
    project.write("pyproject.toml", f"[tool.respool.cassettes]\n{settings}")
    (left,) = project.found("--only", "statuses", code=1)["CASSETTE_STATUS"]
    assert left["message"].startswith("GET http://a.example/3 was answered with 418")


def test_no_finding_shows_a_secret(project: Project) -> None:
    project.tape("test_a/test_one", said(f"{TOKEN}/x?key={TOKEN}", 500), said(f"{TOKEN}/y"))
    for form in ((), ("--json",), ("--sarif",)):
        done = project.run("cassettes", "check", *form, code=1)
        assert "CASSETTE_STATUS" in done.out
        assert TOKEN not in done.out + done.err


def test_what_no_test_plays_is_known_from_whole_runs_and_taken_out_reversibly(project: Project) -> None:
    path = project.tape("shared", said(2), said("never"), said(3))
    before = path.read_bytes()
    project.pytest("tests/test_a.py::test_two")
    assert project.found(code=0) == {}  # the other test may need it
    project.pytest()
    (unused,) = project.found(code=1)["CASSETTE_UNUSED"]
    assert "GET http://a.example/never" in unused["message"]
    planned = project.run("cassettes", "check", "--fix", "--dry-run", code=1)
    assert "--fix would take out 1 interaction" in planned.out
    assert path.read_bytes() == before
    project.run("cassettes", "check", "--fix", code=0)
    assert [each.request.url[-1] for each in project.cassettes.load("shared").interactions] == ["2", "3"]
    project.pytest()
    project.run("cassettes", "check", "--undo", code=0)
    assert path.read_bytes() == before


def test_a_test_that_was_renamed_after_a_run_has_no_claim_to_its_old_cassette(project: Project) -> None:
    """What runs observed is kept for good, and must not hide an orphan for good."""
    project.tape("shared", said(2), said("never"), said(3))
    project.pytest()
    suite = (project.path / "tests/test_a.py").read_text()
    project.write("tests/test_a.py", suite.replace("test_one", "test_other").replace("test_three", "test_third"))
    assert [each["path"] for each in project.found(code=1)["CASSETTE_ORPHAN"]] == ["tests/cassettes/test_a/test_one.json"]
    project.cassettes.restore(project.cassettes.delete("test_a/test_one"))
    project.tape("test_a/test_other", said(1))
    project.pytest()
    assert "CASSETTE_UNUSED" in project.found(code=1), "the test of the old name has no word in that, either"


def test_an_observation_of_another_state_of_the_file_counts_for_nothing(project: Project) -> None:
    project.tape("shared", said(2), said("never"), said(3))
    project.pytest()
    project.tape("shared", said("first"), said(2), said(3))
    assert "CASSETTE_UNUSED" not in project.found("--only", "unused", code=0)


def test_fix_deletes_orphans_redacts_leaks_and_can_be_undone_twice(project: Project) -> None:
    big = b"x" * 70_000
    orphan = project.tape("forgotten", said(1, body=big))
    leaking = project.tape("test_a/test_one", said(f"1?api_key={TOKEN}"), said("again", body=TOKEN.encode()))
    before = leaking.read_bytes()
    assert {"CASSETTE_ORPHAN", "CASSETTE_LEAK"} == set(project.found("--fix", "--dry-run", code=1))
    assert leaking.read_bytes() == before
    fixed = project.run("cassettes", "check", "--fix", code=0)
    assert "fixed  CASSETTE_ORPHAN" in fixed.out
    assert "--undo goes back to it" in fixed.err
    assert not orphan.exists()
    assert not side_folder(orphan).exists()
    assert TOKEN.encode() not in leaking.read_bytes()
    after = leaking.read_bytes()
    assert "restored  tests/cassettes/forgotten.json" in project.run("cassettes", "check", "--undo", code=0).out
    assert leaking.read_bytes() == before
    assert project.cassettes.load("forgotten").interactions[0].response.body == big  # type: ignore[union-attr]
    project.run("cassettes", "check", "--undo", code=0)
    assert (leaking.read_bytes(), orphan.exists()) == (after, False)
    project.run("cassettes", "check", code=0)


def test_a_leak_that_no_rule_knows_is_left_with_advice(project: Project) -> None:
    project.tape("test_a/test_one", said(1, body=b'{"note": "' + TOKEN.encode() + b'"}'))
    project.write("pyproject.toml", '[tool.respool.cassettes]\nwithout = ["value:github"]\n')
    done = project.run("cassettes", "check", "--fix", "--json", code=1)
    (left,) = done.data["findings"]
    assert "no rule knows this place" in left["advice"]
    assert (left["fixable"], done.data["fixes"]) == (False, [])
    project.write("pyproject.toml", '[tool.respool.cassettes]\nwithout = ["value:github"]\nredact_json = ["$.note"]\n')
    project.run("cassettes", "check", "--fix", code=0)


def test_more_files_are_mended_than_may_be_open_at_once(project: Project) -> None:
    names = [f"forgotten{number}" for number in range(150)]
    for name in names:
        project.tape(name, said(1))
    limited = ("bash", "-c", 'ulimit -n 130; exec "$@"', "-", PROGRAM, "cassettes", "check", "--no-upstream")
    fixed = subprocess.run([*limited, "--fix"], cwd=project.path, capture_output=True, text=True, timeout=120, check=False)
    assert (fixed.returncode, fixed.stdout.count("fixed  CASSETTE_ORPHAN")) == (0, 150), fixed.stderr
    back = subprocess.run([*limited, "--undo"], cwd=project.path, capture_output=True, text=True, timeout=120, check=False)
    assert back.returncode == 0, back.stderr
    assert set(project.cassettes.list()) >= {f"{name}.json" for name in names}


KILLED = """
    import os, signal, sys
    from respool.cassette.upkeep import fixes
    from respool.cli import main

    one, calls = fixes._Repairs.one, []
    def killed(self, finding):
        calls.append(finding)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return one(self, finding)
    fixes._Repairs.one = killed
    main(["cassettes", "check", "--fix"])
"""


def test_a_repair_that_is_killed_is_taken_back_whole(project: Project) -> None:
    tapes = {path: path.read_bytes() for path in (project.tape(f"forgotten{number}", said(number)) for number in range(5))}
    done = subprocess.run([sys.executable, "-c", dedent(KILLED)], cwd=project.path, timeout=120, check=False)
    assert done.returncode == -9
    assert sum(path.exists() for path in tapes) == 3
    project.run("cassettes", "check", "--undo", code=0)
    assert {path: path.read_bytes() for path in tapes} == tapes


def test_undo_without_a_fix_says_so(project: Project) -> None:
    assert "there is nothing to undo" in project.run("cassettes", "check", "--undo", code=2).err


def test_files_that_a_cassette_depends_on_make_it_stale(project: Project) -> None:
    from respool.cassette.upkeep.age import stamped
    from respool.cassette.upkeep.settings import load_upkeep

    schema = project.write("schema/a.json", "{}")
    project.write("pyproject.toml", '[tool.respool.cassettes.inputs]\n"*/test_a/*" = ["schema/*.json"]\n')
    settings = load_upkeep(project.path)
    path = project.path / "tests/cassettes/test_a/test_one.json"
    project.tape("test_a/test_one", said(1), extra=stamped(path, settings))
    assert project.found("--only", "stale", code=0) == {}
    schema.write_text('{"changed": true}')
    (stale,) = project.found("--only", "stale", code=1)["CASSETTE_STALE"]
    assert stale["path"] == "tests/cassettes/test_a/test_one.json"
    assert "schema/*.json" in stale["message"]


def test_another_version_of_the_service_makes_it_stale(project: Project) -> None:
    version = project.write("version", "v1\n")
    command = f"{sys.executable} -c \"print(open('version').read())\""
    project.write("pyproject.toml", f"[tool.respool.cassettes]\nupstream = '''{command}'''\n")
    project.tape("test_a/test_one", said(1), extra={"upstream": "v1"})
    assert set(project.found("--only", "stale", code=0)) == {"CASSETTE_UNTRACED"}
    version.write_text("v2\n")
    (stale,) = project.found("--only", "stale", code=1)["CASSETTE_STALE"]
    assert "from version v1, the service has v2" in stale["message"]
    assert project.found("--only", "stale", "--no-upstream", code=0).keys() == {"CASSETTE_UNTRACED"}
    version.unlink()
    assert set(project.found("--only", "stale", code=0)) == {"CASSETTE_UNTRACED", "UPSTREAM_UNKNOWN"}


def test_a_baseline_accepts_with_a_reason_until_a_day(project: Project) -> None:
    project.tape("forgotten", said(1))
    assert "with a reason" in project.run("cassettes", "check", "--write-baseline", code=2).err
    assert "with a reason" in project.run("cassettes", "check", "--write-baseline", "--reason", "soon", code=2).err
    wrong = project.run("cassettes", "check", "--write-baseline", "--reason", "soon", "--expires", "soon", code=2)
    assert "is no day" in wrong.err
    past = project.run("cassettes", "check", "--write-baseline", "--reason", "soon", "--expires", "2020-01-01", code=2)
    assert "is past" in past.err
    accept = ("cassettes", "check", "--write-baseline", "--reason", "moves next week", "--expires", "2999-12-31")
    assert "would write" in project.run(*accept, "--dry-run", code=0).out
    file = project.path / "cassettes-baseline.json"
    assert not file.exists()
    project.run(*accept, code=0)
    done = project.run("cassettes", "check", "--json", code=0)
    assert (done.data["findings"], done.data["accepted"][0]["reason"]) == ([], "moves next week")
    project.tape("another", said(1))
    assert [each["path"] for each in project.found(code=1)["CASSETTE_ORPHAN"]] == ["tests/cassettes/another.json"]
    file.write_text(file.read_text().replace("2999-12-31", "2020-01-31"))
    assert set(project.found(code=1)) == {"CASSETTE_ORPHAN", "BASELINE_EXPIRED"}
    for name in ("forgotten", "another"):
        project.cassettes.delete(name)
    assert set(project.found(code=0)) == {"BASELINE_IDLE"}


def test_on_a_terminal_a_baseline_asks_for_reason_and_day(project: Project) -> None:
    import pexpect

    project.tape("forgotten", said(1))
    child = pexpect.spawn(PROGRAM, ["cassettes", "check", "--write-baseline"], cwd=str(project.path), encoding="utf-8",
                          timeout=60)  # fmt: skip
    child.expect("why is that accepted")
    child.sendline("it moves next week")
    child.expect("until which day")
    child.sendline("2999-01-31")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    (entry,) = json.loads((project.path / "cassettes-baseline.json").read_text())["entries"]
    assert (entry["reason"], entry["expires"]) == ("it moves next week", "2999-01-31")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reason": " "}, "needs its 'reason'"), ({"expires": ""}, "is no day"), ({"expires": "2027-13-01"}, "is no day"),
        ({"fingerprint": ""}, "needs its 'fingerprint'"), ({"code": 7}, "object of texts"),
    ],
)  # fmt: skip
def test_an_entry_without_reason_or_last_day_is_refused(project: Project, change: dict[str, Any], why: str) -> None:
    entry = {"code": "CASSETTE_ORPHAN", "path": "a", "fingerprint": "b", "reason": "c", "expires": "2027-01-31", **change}
    project.write("accepted.json", json.dumps({"v": 1, "entries": [entry]}))
    done = project.run("cassettes", "check", "--baseline", "accepted.json", code=2)
    assert why in done.err
    assert "accepted.json, entry 1" in done.err
    project.write("accepted.json", "[]")
    assert "is no baseline" in project.run("cassettes", "check", "--baseline", "accepted.json", code=2).err
    assert "there is no baseline" in project.run("cassettes", "check", "--baseline", "none.json", code=2).err


def test_sarif_has_what_its_schema_requires(project: Project) -> None:
    project.tape("forgotten", said(1, body=TOKEN.encode()))
    accepted = ("--write-baseline", "--reason", "r", "--expires", "2999-01-01")
    project.run("cassettes", "check", "--only", "orphans", *accepted, code=0)
    log = project.run("cassettes", "check", "--sarif", code=1).data
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "respool"
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    leak, orphan = sorted(run["results"], key=lambda each: str(each["ruleId"]))
    for result in (leak, orphan):
        assert result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "tests/cassettes/forgotten.json"
        assert place["physicalLocation"]["region"]["startLine"] >= 1
    assert leak["level"] == "error"
    assert "suppressions" not in leak
    assert orphan["suppressions"][0] == {"kind": "external", "status": "accepted", "justification": "r (until 2999-01-01)"}
    assert TOKEN not in json.dumps(log)


def test_every_code_has_its_rule() -> None:
    import re

    from respool.cassette.upkeep import baseline, checks
    from respool.cli.cassettes_sarif import RULES

    texts = [Path(module.__file__).read_text() for module in (baseline, checks)]
    assert {code for text in texts for code in re.findall(r'"((?:[A-Z]+_)+[A-Z]+)"', text)} == set(RULES)


def test_options_that_exclude_each_other_are_refused(project: Project) -> None:
    assert "exclude each other" in project.run("cassettes", "check", "--fix", "--undo", code=2).err
    assert "--dry-run says" in project.run("cassettes", "check", "--dry-run", code=2).err


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('refresh = "soon"', "refresh"), ("inputs = 3", "no list of texts"), ("upstream = []", "no text"),
        ('expected_status = ["x"]', "no list of statuses"), ('scan = "other"', "none of kingfisher"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_told(project: Project, line: str, why: str) -> None:
    project.write("pyproject.toml", f"[tool.respool.cassettes]\n{line}\n")
    done = project.run("cassettes", "check", code=2)
    assert why in done.err


def test_a_recording_keeps_what_it_depends_on(project: Project) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    project.write("schema.json", "{}")
    command = f"{sys.executable} -c 'print(7)'"
    settings = f'refresh = "1d"\ninputs = ["schema.json"]\nupstream = "{command}"\n'
    project.write("pyproject.toml", f"[tool.respool.cassettes]\n{settings}")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        text = dedent(SUITE).replace("http://a.example", f"http://127.0.0.1:{server.server_port}")
        project.write("tests/test_a.py", text)
        for name in ("test_a/test_one", "shared"):
            project.cassettes.delete(name)
        project.pytest("--cassettes=fill")
        server.shutdown()
    assert project.cassettes.load("shared").extra["upstream"] == "7"
    assert project.found(code=0) == {}
    project.write("schema.json", "[]")
    assert len(project.found(code=1)["CASSETTE_STALE"]) == 2


def test_kingfisher_gives_a_second_opinion_on_decoded_texts(project: Project) -> None:
    import gzip

    key = "ATATT3xFfGF0" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dE3fG6a1B2" * 4 + "=1A2B3C4D"  # Atlassian's: ours has no rule
    text = f'{{"note": "{key}"}}'.encode()
    packed = Response(200, headers=(("Content-Type", "application/gzip"),), body=gzip.compress(text))
    coded = Response(200, headers=(("Content-Encoding", "gzip"),), body=text, codings=("gzip",))
    asked = Request("GET", "http://a.example/1")
    project.tape("test_a/test_one", *(Interaction(asked, answer, SYSTEM.now()) for answer in (packed, coded)))
    assert project.found("--only", "leaks", code=0) == {}
    told = project.found("--only", "leaks", "--kingfisher", code=1)["CASSETTE_LEAK"]
    assert [each["subject"].split(", ")[1:] for each in told] == [
        ["interaction 1", "response body"], ["interaction 2", "response body"]
    ]  # fmt: skip
    assert all("kingfisher takes it for a secret" in each["message"] for each in told)
    assert key not in json.dumps(told)


def test_without_the_extra_it_says_how_to_install_it(project: Project) -> None:
    project.write("absent/kingfisher_sdk.py", "raise ImportError('no such package here')\n")
    done = project.run("cassettes", "check", "--kingfisher", code=2, env={"PYTHONPATH": str(project.path / "absent")})
    assert "pip install 'respool[scan]'" in done.err
    project.write("pyproject.toml", '[tool.respool.cassettes]\nscan = "kingfisher"\n')
    project.run("cassettes", "check", code=2, env={"PYTHONPATH": str(project.path / "absent")})
