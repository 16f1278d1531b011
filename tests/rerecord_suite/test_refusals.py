"""What may not take the place of a good cassette: each leaves the old one, and says precisely why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rerecord_torture import GeneApi, respool
from suite_writer import WITHOUT

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response

TEST = """
import os

import pytest
import urllib3


def ask(path, key=os.environ["GENES_KEY"]):
    return urllib3.request("GET", "{url}" + path, headers={{"X-Api-Key": key}}, retries=False, timeout=20)


@pytest.mark.cassette("{name}")
def test_{name}():
    {body}
"""
BODIES = {
    "good": 'assert ask("/genes/BRCA1").status == 200',
    "failing": 'assert ask("/genes/BRCA1").status == 418',
    "nothing": 'assert "no request at all"',
    "denied": 'assert ask("/denied").json()["symbol"]',
    "keyless": 'assert ask("/genes/BRCA1", "somebody-else").json()["symbol"]',
    "broken": 'assert ask("/broken").json()["symbol"]',
    "leaking": 'assert ask("/leak").status == 200',
    "unrepeatable": 'assert ask("/genes/BRCA1?" + os.urandom(8).hex()).status == 200',
    "undeclared": 'assert ask("/broken").status == 500',
}


@dataclass
class Suite:
    """A suite of one test a file, each with an old cassette."""

    folder: Path
    api: GeneApi

    def write(self, name: str, body: str) -> None:
        text = TEST.format(url=self.api.url, name=name, body=body)
        (self.folder / "tests" / f"test_{name}.py").write_text(text.lstrip())

    def cassette(self, name: str) -> Path:
        return self.folder / "tests" / "cassettes" / f"{name}.json"

    def contents(self) -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in (self.folder / "tests" / "cassettes").rglob("*.json")}

    def rerecord(self, *options: str, code: int) -> Any:
        return respool(self.folder, "rerecord", "--delay", "0", *options, code=code)

    def failed(self, job: int) -> dict[str, dict[str, Any]]:
        told = respool(self.folder, "jobs", "items", str(job), "--state", "failed", code=0)
        return {Path(item["key"]).stem.removeprefix("test_"): item for item in told["items"]}


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    folder = tmp_path / "suite"
    (folder / "tests").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\naddopts = '{WITHOUT}'\n")
    with GeneApi(tmp_path) as api:
        made = Suite(folder, api)
        old = Cassette((Interaction(Request("GET", f"{api.url}/old"), Response(200, body=b"old")),))
        for name, body in BODIES.items():
            made.write(name, body)
            Library(folder / "tests" / "cassettes").save(made.cassette(name), old)
        yield made


def test_each_refusal_keeps_the_old_cassette_and_says_why(suite: Suite) -> None:
    old = suite.contents()
    told = suite.rerecord("--all", code=1)
    new = suite.contents()
    assert {name for name in old if new[name] != old[name]} == {"good"}
    assert set(new) == set(old)
    failed = suite.failed(told["job"]["id"])
    assert {name: item["kind"] for name, item in failed.items()} == {
        "failing": "tests_failed", "nothing": "nothing_recorded", "denied": "unauthorised", "keyless": "unauthorised",
        "broken": "bad_status", "leaking": "leak", "unrepeatable": "not_replayable", "undeclared": "bad_status",
    }  # fmt: skip
    why = {name: item["message"] for name, item in failed.items()}
    assert "1 of 1 test failed: tests/test_failing.py::test_failing" in why["failing"]
    assert "418" in why["failing"]
    assert "no request was recorded (1 test passed, 0 skipped)" in why["nothing"]
    assert f"GET {suite.api.url}/denied was answered with 403 in tests/test_denied.py::test_denied" in why["denied"]
    assert f"GET {suite.api.url}/genes/BRCA1 was answered with 401" in why["keyless"]
    assert f"GET {suite.api.url}/broken was answered with 500" in why["broken"]
    assert f"GET {suite.api.url}/broken was answered with 500" in why["undeclared"]
    assert "leaking" in why["leaking"]
    assert "aws-access-key-id" in why["leaking"]
    assert "played back, 1 of 1 test failed" in why["unrepeatable"]
    log = (suite.folder / ".respool" / "logs" / "rerecord_failures.jsonl").read_text().splitlines()
    assert {Path(json.loads(line)["file"]).stem.removeprefix("test_") for line in log} == set(failed)


def test_the_page_of_a_run_tells_what_changed_and_what_stayed(suite: Suite) -> None:
    suite.rerecord("tests/test_good.py", "tests/test_broken.py", "--report", "drift.html", code=1)
    page = (suite.folder / "drift.html").read_text()
    assert "2 cassettes: 1 changed, 1 not compared" in page
    assert "tests/cassettes/good.json" in page
    assert "kept as it was: bad_status" in page
    told = suite.rerecord("tests/test_good.py", "--report", "no/where.html", code=2)
    assert "there is no folder 'no'" in told["error"]["what"]
