"""`respool summarise` as it is typed: what it says, what it writes, what it exits with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respool.clusters.model import Cluster, Clustering, ClusterKind, Term, identity

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(sys.executable).parent / "respool")


def clustering(count: int = 4) -> Clustering:
    """A clustering as `respool cluster` writes it."""
    kind = ClusterKind.FUNCTIONAL
    clusters = []
    for number in range(1, count + 1):
        members = tuple(f"GENE{number}{letter}" for letter in "ABCDEFGHIJKL")
        term = Term(f"T:{number}", f"process {number}", "s", 1e-9, 1e-7, members[:8], 20, 12, 900, 30.0)
        clusters.append(Cluster(number, identity(members, kind), kind, members, stability=0.9, terms=(term,)))
    return Clustering(kind, tuple(clusters), 12 * count)


class Here:
    """A folder with clusters, and a provider beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(clustering())
        self.started: list[subprocess.Popen[str]] = []

    def write(self, made: Clustering) -> None:
        (self.folder / "clusters.json").write_text(made.to_json())

    def provider(self, faults: str = "") -> str:
        argv = [sys.executable, str(ROOT / "examples" / "extractive_provider.py"), "--port", "0", "--faults", faults]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().split()[-1]

    def __call__(self, *argv: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        done = subprocess.run(
            [PROGRAM, *argv], cwd=self.folder, env={**kept, "NO_COLOR": "1", **environment}, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    made = Here(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


def asking(url: str) -> list[str]:
    return ["--provider", url, "--model", "extractive", "--concurrency", "1"]


def test_from_the_first_word_to_the_last(here: Here) -> None:
    done = here("summarise", "clusters.json", *asking(here.provider("2:ungrounded,4:429")))
    lines = done.stderr.splitlines()
    assert lines[0] == "Generating LLM summaries for clusters..."
    said = [line.partition(" ·")[0] for line in lines if line.startswith("Cluster ")]
    assert said  # which of them a look catches depends on the machine
    assert all(re.fullmatch(r"Cluster \d \([1-4]/4\)", line) for line in said)
    assert sum(bool(re.match(r"cluster 2: invalid, again in [23]\.\d s", line)) for line in lines) == 1
    assert "'BRCA3': it is no member that is shown" in done.stderr
    assert "rate_limited" in done.stderr
    for number in range(1, 5):
        told = rf"^cluster {number}: 'process {number}' by extractive, confidence medium"
        assert re.search(told, done.stderr, re.MULTILINE)
    assert lines[-1] == "Done: 4 succeeded, 0 failed, 0 cached"
    assert "5 answered calls" in done.stderr


def test_again_nothing_is_asked_and_reports_are_written(here: Here) -> None:
    url = here.provider()
    here("summarise", "clusters.json", *asking(url))
    for process in here.started:
        process.kill()
    out = ["--html", "r.html", "--tsv", "r.tsv", "--out", "r.json", "--json"]
    again = here("summarise", "clusters.json", *asking(url), *out)
    data = json.loads(again.stdout)
    assert data["result"] == {
        "total": 4, "succeeded": 0, "failed": 0, "skipped": 4, "rejected": 0, "cancelled": 0, "remaining": 0,
    }  # fmt: skip
    assert data["spent"]["generation"]["calls"] == 4
    assert again.stderr.splitlines()[-1] == "Done: 0 succeeded, 0 failed, 4 cached"
    assert "process 3" in (here.folder / "r.html").read_text()
    assert (here.folder / "r.tsv").read_text().count("\n") == 5
    assert len(json.loads((here.folder / "r.json").read_text())["entries"]) == 4


def test_a_dry_run_says_why_and_what_it_will_take_and_writes_nothing(here: Here) -> None:
    url = here.provider()
    done = here("summarise", "clusters.json", *asking(url), "--dry-run")
    assert [line.split() for line in done.stdout.splitlines()] == [["write", str(n), "new"] for n in range(1, 5)]
    assert "nothing was asked or written" in done.stderr
    assert "cost unknown" in done.stderr
    assert not (here.folder / ".respool").exists()
    here("summarise", "clusters.json", *asking(url))
    changed = clustering(5)
    first = changed.clusters[0]
    members = (*first.members[1:], "NEW")
    another = Cluster(1, identity(members, changed.kind), changed.kind, members, terms=first.terms)
    here.write(Clustering(changed.kind, (another, *changed.clusters[1:]), 60))
    plan = json.loads(here("summarise", "clusters.json", *asking(url), "--dry-run", "--json").stdout)
    assert {one["cluster"]: one["why"] for one in plan["items"]} == {
        "1": "members changed +1/−1", "2": None, "3": None, "4": None, "5": "new",
    }  # fmt: skip
    assert plan["forecast"]["calls"] == 2
    assert plan["forecast"]["cost"] is None
    other = here("summarise", "clusters.json", "--provider", url, "--model", "other", "--dry-run")
    assert "model (extractive → other) changed" in other.stdout


def test_a_known_price_is_forecast(here: Here) -> None:
    given = ["--provider", "openai", "--model", "gpt-4o", "--dry-run", "--json"]
    plan = json.loads(here("summarise", "clusters.json", *given).stdout)
    assert 0 < plan["forecast"]["cost"] < 1


def test_some_clusters_by_another_model_beside_what_is_there(here: Here) -> None:
    url = here.provider()
    here("summarise", "clusters.json", *asking(url))
    some = ["--only", "2", "--only", "4", "--only", "2", "--model", "another", "--max-tokens", "321"]
    plan = here("summarise", "clusters.json", *asking(url), *some, "--dry-run")
    assert [line.split()[:2] for line in plan.stdout.splitlines()] == [["write", "2"], ["write", "4"]]
    assert "at most 642 written" in plan.stderr
    done = here("summarise", "clusters.json", *asking(url), *some, "--html", "some.html", "--json")
    assert json.loads(done.stdout)["result"]["succeeded"] == 2
    assert "cluster 4: 'process 4' by another, confidence" in done.stderr
    assert f"2 by another at {url}" in (here.folder / "some.html").read_text()
    again = here("summarise", "clusters.json", *asking(url), "--html", "all.html")  # nobody's summary was taken away
    assert again.stderr.splitlines()[-1] == "Done: 0 succeeded, 0 failed, 4 cached"
    assert f"4 by extractive at {url}" in (here.folder / "all.html").read_text()


def test_a_cluster_that_is_not_there(here: Here) -> None:
    assert "there is no cluster 17, 9" in here("summarise", "clusters.json", "--only", "9", "--only", "17", code=2).stderr


def test_every_attempt_can_be_read(here: Here) -> None:
    here("summarise", "clusters.json", *asking(here.provider("1:malformed")))
    shown = json.loads(here("jobs", "attempts", "1", "--json").stdout)["attempts"]
    assert len(shown) == 5
    first = next(one for one in shown if one["key"] == "1")
    exchange = first["files"]["exchange.json"]
    assert (first["kind"], exchange["outcome"]) == ("invalid", "invalid")
    assert "<evidence>" in exchange["question"]
    assert exchange["usage"]["input"] > 0
    assert exchange["seconds"] >= 0
    assert "no JSON" in exchange["findings"][0]
    table = here("jobs", "attempts", "1").stdout
    assert re.search(r"^1 +1 .*failed \(invalid\) +\d+\+\d+ tokens", table, re.MULTILINE)
    whole = here("jobs", "attempts", "1", "--key", "2").stdout
    assert "── exchange.json" in whole
    assert "  Cluster of 12 genes." in whole


def test_nothing_configured_is_an_error_that_says_what_to_do(here: Here) -> None:
    done = here("summarise", "clusters.json", code=2)
    assert "no provider is configured" in done.stderr
    assert "--provider" in done.stderr
    done = here("summarise", "clusters.json", "--provider", "openai", code=2, OPENAI_API_KEY="your-key-here")
    assert "OPENAI_API_KEY is not set, or a placeholder" in done.stderr


@pytest.mark.parametrize("content", ["null", "{}", "[]"])
def test_empty_input_is_a_total_of_nothing(here: Here, content: str) -> None:
    (here.folder / "clusters.json").write_text(content)
    done = here("summarise", "clusters.json", "--provider", "http://127.0.0.1:9/v1", "--model", "m", "--json")
    assert json.loads(done.stdout)["result"]["total"] == 0
    assert done.stderr.splitlines()[-1] == "Done: 0 succeeded, 0 failed, 0 cached"


@pytest.mark.parametrize(("content", "says"), [("not json", "holds no clusters"), ("[1]", "no clustering")])
def test_what_is_no_clustering_is_refused(here: Here, content: str, says: str) -> None:
    (here.folder / "clusters.json").write_text(content)
    assert says in here("summarise", "clusters.json", "--provider", "http://127.0.0.1:9/v1", "--model", "m", code=2).stderr


def test_a_source_that_is_neither_file_nor_job(here: Here) -> None:
    assert "neither a file nor a job" in here("summarise", "nothing.json", "--provider", "openai", code=3).stderr


def test_answers_are_recorded_and_played_without_a_provider(here: Here) -> None:
    url = here.provider("3:429")
    here("summarise", "clusters.json", *asking(url), "--cassette", "answers.json", "--record")
    for process in here.started:
        process.kill()
    (here.folder / "pyproject.toml").write_text(
        f'[tool.respool.llm]\nprovider = "{url}"\nmodel = "extractive"\ncassette = "answers.json"\nconcurrency = 1\n'
    )
    done = here("summarise", "clusters.json", "--spool", "another/")
    assert done.stderr.splitlines()[-1] == "Done: 4 succeeded, 0 failed, 0 cached"
    assert "rate_limited" in done.stderr


def test_a_judge_that_rejects_is_counted(here: Here) -> None:
    url = here.provider()
    given = [*asking(url), "--judge", "judge", "--json"]
    made = clustering(1)
    here.write(made)
    done = here("summarise", "clusters.json", *given)
    data: dict[str, Any] = json.loads(done.stdout)
    assert data["result"]["succeeded"] == 1
    assert data["spent"]["judge"]["calls"] == 1
    assert "cluster 1, judge: accepted, 0 of 2 claims not borne out" in done.stderr


def test_what_is_written_anew_is_counted_as_written(here: Here) -> None:
    here.write(clustering(2))
    asked = ["summarise", "clusters.json", *asking(here.provider())]
    here(*asked)
    assert here(*asked, "--force").stderr.splitlines()[-1] == "Done: 2 succeeded, 0 failed, 0 cached"
    assert here(*asked, "--model", "another").stderr.splitlines()[-1] == "Done: 2 succeeded, 0 failed, 0 cached"
    assert here(*asked).stderr.splitlines()[-1] == "Done: 0 succeeded, 0 failed, 2 cached"


def test_what_goes_in_is_never_written_over(here: Here) -> None:
    before = (here.folder / "clusters.json").read_bytes()
    for option in ("--out", "--html", "--tsv"):
        said = here("summarise", "clusters.json", *asking("http://127.0.0.1:9/v1"), option, "clusters.json", code=2).stderr
        assert f"{option} cannot be 'clusters.json': it is read" in said
    twice = here("summarise", "clusters.json", "--out", "a", "--html", "a", code=2).stderr
    assert "--out cannot be 'a': --html is written there" in twice
    assert (here.folder / "clusters.json").read_bytes() == before
    assert not (here.folder / ".respool").exists()
