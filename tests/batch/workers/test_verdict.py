"""Commands that say themselves how they ended, run under a real shim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_bench import python, run, shell

from respool import canonical
from respool.batch.model import Done, Failed, Kind, Later, Skipped
from respool.batch.workers.verdict import read_verdict


def saying(verdict: Any, code: int = 0) -> str:
    text = verdict if isinstance(verdict, str) else json.dumps(verdict)
    return f"import os, sys; open(os.environ['RESPOOL_VERDICT'], 'w').write({text!r}); sys.exit({code})"


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_says_how_it_failed(tmp_path: Path, code: int) -> None:
    verdict = {"outcome": "failed", "kind": "unauthorised", "message": "no, “ü”", "retry_after": 2.5, "final": True}
    outcome, _ = run(tmp_path, python(saying(verdict, code)))
    assert outcome == Failed(Kind.UNAUTHORISED, "no, “ü”", 2.5, True)


def test_a_command_asks_to_be_tried_later_or_to_be_skipped(tmp_path: Path) -> None:
    later, _ = run(tmp_path, python(saying({"outcome": "later", "after": 3, "reason": "asked to wait"}, 1)))
    assert later == Later(3, "asked to wait")
    skipped, _ = run(tmp_path, python(saying({"outcome": "skipped", "reason": "empty"})))
    assert skipped == Skipped("empty")


def test_what_a_command_says_of_its_success_is_kept_with_the_result(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, python(saying({"outcome": "done", "result": {"made": [1, 2.5, None, "ä"]}})))
    assert isinstance(outcome, Done)
    result = canonical.decode(outcome.result or "")
    assert (result["said"], result["exit_code"]) == ({"made": [1, 2.5, None, "ä"]}, 0)
    assert canonical.encode(result) == outcome.result


def test_a_success_that_is_said_does_not_outweigh_an_exit_code_or_a_missing_file(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, python(saying({"outcome": "done"}, 3)))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.message) == (Kind.RAISED, "exit code 3")
    outcome, _ = run(tmp_path / "b", python(saying({"outcome": "done"}), outputs=("made",), cwd=str(tmp_path)))
    assert isinstance(outcome, Failed)
    assert "'made' is not there" in outcome.message


def test_a_command_that_was_ended_is_not_asked(tmp_path: Path) -> None:
    failed = json.dumps({"outcome": "failed", "kind": "leak"})
    outcome, _ = run(tmp_path, shell(f"printf '%s' '{failed}' > $RESPOOL_VERDICT; kill -9 $$"))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.CRASHED
    outcome, _ = run(tmp_path / "b", shell(f"printf '%s' '{failed}' > $RESPOOL_VERDICT; exec sleep 60", timeout=0.5))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.TIMEOUT


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '{"outcome": "won"}', '{"kind": "leak"}', '{"outcome": "failed", "kind": "sad"}',
    '{"outcome": "failed", "mood": 1}', "\udcff",
])  # fmt: skip
def test_what_is_no_verdict_is_a_failure_that_says_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "verdict.json"
    file.write_text(text, errors="surrogateescape")
    told = read_verdict(str(file))
    assert (told["outcome"], told["kind"]) == ("failed", "invalid")
    assert told["message"].startswith("its verdict cannot be read: ")


def test_an_unreadable_verdict_reaches_the_runner(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, python(saying("nonsense")))
    assert isinstance(outcome, Failed)
    assert outcome.kind is Kind.INVALID
