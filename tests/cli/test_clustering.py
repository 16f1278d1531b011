"""`respool cluster` as a user types it: clusters on stdout, talk on stderr, once for a content, clear words for bad input."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from program import PROGRAM, Ended, Folder, Until

from planted_clusters import write_network, write_table
from respool.batch.model import JobState
from respool.batch.places import Places
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.clusters.model import Clustering
from respool.errors import RespoolError
from respool.files import FileLock

sys.path.append(str(Path(__file__).parents[2] / "examples"))

from extractive_provider import Server

DATA = Path(__file__).parents[2] / "examples" / "data"
QUICK = ("--resamples", "2", "--shuffles", "2")
NETWORK = ("cluster", "network", "edges.tsv", "--gene-sets", "sets.gmt", "--tries", "2", *QUICK)
NO_KEYS = dict.fromkeys(("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "")


@pytest.fixture
def network(folder: Folder) -> Folder:
    write_network(folder.path)
    return folder


def run(folder: Folder, *arguments: str, code: int = 0) -> Ended:
    return folder.run(*arguments, code=code, env=NO_KEYS)


def jobs(folder: Folder) -> list[tuple[str, str, str | None]]:
    listed = folder.run("jobs", "list", "--json", code=0).data["jobs"]
    return [(job["name"], job["state"], job["skipped_reason"]) for job in listed]


def test_clusters_are_shown_kept_and_followed_by_their_summaries(network: Folder) -> None:
    done = run(network, *NETWORK, "--out", "out.json")
    head, *lines = done.out.splitlines()
    assert head.split() == ["cluster", "size", "part", "of", "stability", "confidence", "evidence"]
    assert [line.split()[:2] for line in lines] == [["1", "14"], ["2", "12"], ["3", "11"]]
    assert "set of A (q " in lines[0]
    assert "37 genes" in done.err
    assert "3 gene sets to test against a background of 30 genes" in done.err
    assert "negative control: 6 of 6 clusters with shuffled members are flagged low, of the real ones 0 of 3" in done.err
    found = Clustering.from_json((network.path / "out.json").read_bytes().strip())
    assert [one.size for one in found.clusters] == [14, 12, 11]
    assert jobs(network) == [
        ("cluster network edges.tsv", "done", None),
        ("summaries of cluster network edges.tsv", "skipped", "no provider is configured"),
    ]


def test_the_same_again_computes_nothing_and_force_does(network: Folder) -> None:
    first = run(network, *NETWORK, "--json").data
    again = run(network, *NETWORK, "--json").data
    assert again["clustering"] == first["clustering"]
    assert [job["now"] for job in again["jobs"]] == [{}]
    assert len(jobs(network)) == 2
    forced = run(network, *NETWORK, "--json", "--force").data
    assert forced["jobs"][0]["now"] == {"done": 1}
    assert forced["clustering"] == first["clustering"]
    assert [one["level"] for one in first["clustering"]["confidence"]] == ["high"] * 3


def test_a_dry_run_checks_and_writes_nothing(network: Folder) -> None:
    before = set(network.path.iterdir())
    planned = run(network, *NETWORK, "--dry-run", "--json", "--out", "out.json").data
    assert planned["totals"]["run"] == 1
    assert set(network.path.iterdir()) == before
    (network.path / "edges.tsv").write_text("A0\n")
    assert "edges.tsv has one column" in run(network, *NETWORK, "--dry-run", code=2).err
    assert set(network.path.iterdir()) == before


def test_without_summaries_there_is_one_job(network: Folder) -> None:
    run(network, *NETWORK, "--no-summaries")
    assert jobs(network) == [("cluster network edges.tsv", "done", None)]
    run(network, *NETWORK)  # asked for later: the clusters are there, what follows them comes into being
    assert [state for _, state, _ in jobs(network)] == ["done", "skipped"]


def test_a_table_says_whether_there_are_clusters_at_all(folder: Folder) -> None:
    write_table(folder.path)
    done = run(folder, "cluster", "table", "table.csv", "--names", "name", *QUICK)
    assert [line.split()[1] for line in done.out.splitlines()[1:]] == ["20", "20", "20"]
    assert "60 rows, 9 categorical features" in done.err
    assert "continuum" not in done.err
    noise = (folder.path / "table.csv").read_text().splitlines()
    mixed = [noise[0], *(f"r{n:02},x{n},{','.join(f'{n * 2654435761 % 512:09b}')}" for n in range(1, 61))]
    (folder.path / "noise.csv").write_text("\n".join(mixed))
    said = run(folder, "cluster", "table", "noise.csv", "--names", "name", "--min-size", "2", *QUICK).err
    assert "no clear clusters but a continuum: the mean silhouette is 0." in said


def test_clusters_of_others_are_taken_in(folder: Folder) -> None:
    folder.write("mine.tsv", "cluster\tgene\nm1\tA\nm1\tB\nm2\tC\nm2\tD\nm2\tE\n")
    terms = "Cluster,ID,Description,GeneRatio,BgRatio,pvalue,p.adjust,qvalue,geneID,Count\n"
    rows = [f"{name},GO:1,repair,2/2,5/100,1e-5,1e-4,1e-4,A/B,2\n" for name in ("m1", "m9")]
    folder.write("terms.csv", terms + "".join(rows))
    done = run(folder, "cluster", "import", "mine.tsv", "--enrichment", "terms.csv")
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [["1", "3"], ["2", "2"]]
    assert "repair (q 1.0e-04)" in done.out
    assert "note: terms of 1 cluster in terms.csv that are no clusters here" in done.err
    assert "2 clusters, 5 members" in done.err


EDGES, SETS, TABLE = "edges.tsv", "sets.gmt", "table.csv"
BAD = [
    (EDGES, "node1\tcombined_score\nA0\t0.9\n", "edges.tsv has no column 'node2'"),
    (EDGES, "A0\tA1\t0.9\nA1\tA2\tweak\n", "the weight of an edge must be a number of at least 0, not 'weak'"),
    (EDGES, "9606.ENSP00000000233 9606.ENSP00000000412 900\n", "none of the 2 names of the network is in a gene set"),
    (EDGES, "ТР53\tВRСА1\t0.9\n", "none of the 2 names of the network is in a gene set"),
    (SETS, "", "sets.gmt is empty"),
    (SETS, "empty set\t\n", "sets.gmt has no gene set with a gene in it"),
]


@pytest.mark.parametrize(("file", "text", "message"), BAD, ids=["column", "weight", "ids", "alphabet", "empty", "no genes"])
def test_bad_input_is_one_clear_error_and_leaves_nothing(network: Folder, file: str, text: str, message: str) -> None:
    (network.path / file).write_text(text)
    ended = run(network, *NETWORK, "--json", code=2)
    assert ended.err.startswith(f"respool: {message}")
    assert ended.data["error"]["what"].startswith(message)
    assert not (network.path / ".respool").exists()


def test_text_in_a_numeric_column_is_one_clear_error(folder: Folder) -> None:
    folder.write(TABLE, "id,height,weight\n" + "".join(f"p{n},{n}.5,{'heavy' if n == 3 else n}\n" for n in range(8)))
    ended = run(folder, "cluster", "table", TABLE, code=2)
    assert "respool: the column 'weight' is numeric, but this row says 'heavy'\n  where: table.csv:5\n" in ended.err


def test_names_of_another_kind_are_listed_with_their_number(network: Folder) -> None:
    with (network.path / "edges.tsv").open("a") as file:
        file.write("A0\tТР53\t0.9\nA1\tOLD\t0.9\n")
    (network.path / "hgnc.tsv").write_text("Approved symbol\tPrevious symbols\tAlias symbols\nA0\t\t\nNEW\tOLD\t\n")
    said = run(network, *NETWORK, "--aliases", "hgnc.tsv", "--no-summaries").err
    assert "note: 1 name of the network changed to the approved one: OLD → NEW" in said
    assert "note: 37 names of the network not in hgnc.tsv; kept as written: A1, A10, A11, A12, A13 and 32 more" in said
    assert "note: 1 name with characters outside ASCII (some look like Latin letters and are none): ТР53" in said


def test_what_cannot_be_asked_for(network: Folder) -> None:
    assert "resolution must be more than 0" in run(network, *NETWORK, "--resolution", "0", code=2).err
    assert "'nowhere.gmt' cannot be read" in run(network, *NETWORK[:4], "nowhere.gmt", code=2).err
    assert "Missing option '--gene-sets'" in run(network, "cluster", "network", "edges.tsv", code=2).err


@pytest.mark.parametrize("out", ["nowhere/out.json", "edges.tsv/out.json", "", "pipe"])
def test_what_cannot_be_written_is_said_before_the_work(network: Folder, out: str) -> None:
    os.mkfifo(network.path / "pipe")
    said = run(network, *NETWORK, "--out", out, code=2).err
    assert said.startswith("respool: Invalid value for '--out': ")
    assert not (network.path / ".respool").exists()
    assert (network.path / "pipe").is_fifo()


@pytest.mark.parametrize("out", ["sets.gmt", "./edges.tsv", "link.tsv"])
def test_what_goes_in_is_never_written_over(network: Folder, out: str) -> None:
    (network.path / "link.tsv").symlink_to("edges.tsv")
    before = {file.name: file.read_bytes() for file in network.path.iterdir()}
    ended = run(network, *NETWORK, "--out", out, code=2)
    assert f"respool: --out cannot be {str(Path(out))!r}: it is read" in ended.err
    assert {file.name: file.read_bytes() for file in network.path.iterdir()} == before


def test_a_folder_that_takes_no_files_is_told_before_the_work(network: Folder) -> None:
    (network.path / "closed").mkdir(mode=0o555)
    like_others = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    argv = [*like_others, PROGRAM, *NETWORK, "--out", "closed/out.json"]
    done = subprocess.run(argv, cwd=network.path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "nothing can be written in the folder 'closed'" in done.stderr
    assert not (network.path / ".respool").exists()


def test_two_kinds_of_rows_are_told_before_the_work_and_clustered_as_told(folder: Folder) -> None:
    folder.write("two.csv", "id,a,b\n" + "".join(f"r{n:02},{n % 2},{1 - n % 2}\n" for n in range(24)))
    refused = run(folder, "cluster", "table", "two.csv", "--json", code=2)
    assert refused.data["error"]["what"] == "two.csv has 2 different rows; 3 clusters need as many"
    assert refused.data["error"]["next"] == "--k 2"
    assert not (folder.path / ".respool").exists()
    done = run(folder, "cluster", "table", "two.csv", "--k", "2", *QUICK, "--no-summaries")
    assert [line.split()[1] for line in done.out.splitlines()[1:]] == ["12", "12"]


def test_the_summaries_that_follow_are_told_one_by_one(network: Folder) -> None:
    with Server(latency=0.4) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        network.write("pyproject.toml", f'[tool.respool.llm]\nprovider = "{server.url}"\nmodel = "extractive"\n')
        said = run(network, *NETWORK).err.splitlines()
        again = run(network, *NETWORK).err
        server.shutdown()
    generating = said.index("Generating LLM summaries for clusters...")
    on = [line.partition(" ·")[0] for line in said if line.startswith("Cluster ")]
    assert on  # which of them a look catches depends on the machine
    assert all(re.fullmatch(r"Cluster [123] \([123]/3\)", line) for line in on)
    outcomes = "\n".join(said[generating:])
    assert sorted(re.findall(r"^cluster (\d): 'set of (\w)'", outcomes, re.M)) == [("1", "A"), ("2", "B"), ("3", "C")]
    assert said[-1] == "Done: 3 succeeded, 0 failed, 0 cached"
    assert "Generating" not in again
    assert server.requests == 3


def test_a_killed_run_is_gone_on_with(folder: Folder, until: Until) -> None:
    """The real network, and a `kill -9` while it is being clustered."""
    (folder.path / "edges.tsv").write_bytes(gzip.decompress((DATA / "string12_ndd_edges.tsv.gz").read_bytes()))
    sets = gzip.decompress((DATA / "enrichr_GO_BP_2021.gmt.gz").read_bytes()).splitlines(keepends=True)
    (folder.path / "sets.gmt").write_bytes(b"".join(sets[::4]))
    command = (*NETWORK[:5], "--no-summaries")
    for _ in range(5):  # a run may be over before we come to kill it
        program = folder.start(*command, "--force")
        until(lambda run=program: JobState.RUNNING in states(folder) or run.poll() is not None)  # type: ignore[misc]
        program.kill()
        program.communicate(timeout=60)
        if states(folder) == [JobState.INTERRUPTED]:
            break
    else:
        pytest.fail("every run was over before it could be killed")
    done = run(folder, *command, "--json").data
    assert done["jobs"][0]["state"] == "done"
    assert len(done["clustering"]["clusters"]) > 40


def states(folder: Folder) -> list[JobState]:
    places = Places.at(folder.path / ".respool")
    if not places.database.exists():
        return []
    try:
        with Database.open(places, read_only=True) as database:
            return [job.state(runner_alive=FileLock(places.owner_lock).is_free() is False) for job in reading.jobs(database)]
    except RespoolError:
        return []  # it is just being made
