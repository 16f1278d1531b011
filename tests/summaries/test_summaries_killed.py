"""kill -9 in the middle of the summaries, and the same command again: what was answered is not paid for twice.

The run against others' emulator (its journal, its clock, a limit on requests per minute) takes two minutes: `make providers`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from real_clusters import functional

from respool.summaries.exchanges import Exchange

EMULATOR = os.environ.get("RESPOOL_EMULATOR")
PROGRAM = str(Path(sys.executable).parent / "respool")


def command(folder: Path, url: str, clusters: int) -> list[str]:
    whole = functional()
    (folder / "clusters.json").write_text(replace(whole, clusters=whole.clusters[:clusters]).to_json())
    return [PROGRAM, "summarise", "clusters.json", "--provider", url, "--model", "m", "--concurrency", "3", "--json"]


def exchanges(folder: Path) -> list[Exchange]:
    """The answered calls that the spool's folder holds."""
    found = [Exchange.from_json(file.read_bytes()) for file in folder.rglob("exchange.json")]
    return [one for one in found if one.answered]


def evidence_of(question: str) -> str:
    return question.partition("<evidence>")[2].partition("</evidence>")[0]


def killed_after(folder: Path, argv: list[str], answers: int) -> None:
    """Start the command, and kill it as soon as so many answers have been written down."""
    process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(list(folder.rglob("exchange.json"))) < answers:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end, "nothing was answered"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def finish(folder: Path, argv: list[str]) -> dict[str, Any]:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_what_was_answered_is_not_asked_again(tmp_path: Path, provider: Any) -> None:
    server = provider(latency=0.15)
    argv = command(tmp_path, server.url, 18)
    kept: dict[str, int] = {}
    for answers in (4, 9):
        killed_after(tmp_path, argv, answers)
        times = Counter(map(evidence_of, server.asked))
        kept = {evidence_of(one.question): times[evidence_of(one.question)] for one in exchanges(tmp_path)} | kept
    ended = finish(tmp_path, argv)
    assert ended["result"]["succeeded"] == 18
    times = Counter(map(evidence_of, server.asked))
    assert len(kept) >= 9
    assert {one: times[one] for one in kept} == kept  # never asked again
    assert len(server.asked) <= 18 + 2 * 3  # what was on its way when it was killed, at most
    again = finish(tmp_path, argv)
    assert again["result"] == {**ended["result"], "succeeded": 0, "skipped": 18}


def test_an_answer_that_was_not_committed_is_taken_from_its_receipt(summaries: Any, small: Any, provider: Any) -> None:
    """The commit is undone by hand: as if the runner had died between the answer and its commit."""
    server = provider()
    one = replace(small, clusters=small.clusters[:1])
    handle = summaries.run(one, summaries.settings(server))
    (item,) = handle.items()
    summaries.spool.ask("retry", handle.id, "{}", lambda database, now: pending_again(database, item.id))
    summaries.run(one, summaries.settings(server))
    (after,) = handle.items()
    assert (after.attempts, str(after.state)) == (2, "done")
    assert after.result == item.result
    assert server.requests == 1


def pending_again(database: Any, item: int) -> int:
    return int(database.run("mismatched_item", item))


@pytest.mark.skipif(EMULATOR is None, reason="`make providers` runs it: it takes two minutes and needs node")
@pytest.mark.timeout(600)
def test_against_the_emulators_own_journal(tmp_path: Path) -> None:
    """24 clusters at 12 requests per minute, killed on the way."""
    (tmp_path / "pyproject.toml").write_text("[tool.respool.llm]\nrequests_per_minute = 12\n")
    urllib.request.urlopen(urllib.request.Request(f"{EMULATOR}/__aimock/reset/journal", method="POST")).close()
    argv = command(tmp_path, f"{EMULATOR}/v1", 24)
    killed_after(tmp_path, argv, 5)
    kept = {evidence_of(one.question) for one in exchanges(tmp_path)}
    assert finish(tmp_path, argv)["result"]["succeeded"] == 24
    with urllib.request.urlopen(f"{EMULATOR}/__aimock/journal?limit=1000") as answer:
        journal = json.load(answer)
    entries = [one for one in (journal if isinstance(journal, list) else journal["entries"]) if "chat" in one["path"]]
    asked = Counter(evidence_of(one["body"]["messages"][-1]["content"]) for one in entries)
    assert len(entries) <= 24 + 3
    assert len(kept) >= 5
    assert {asked[one] for one in kept} == {1}
    stamps = sorted(one["timestamp"] for one in entries)
    windows = [sum(start <= other < start + 60_000 for other in stamps) for start in stamps]
    assert max(windows) <= 12
