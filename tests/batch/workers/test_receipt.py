"""Receipts: what was written is adopted, anything else is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind, Later, Outcome, Output, Skipped
from respool.batch.workers.receipt import NAME, Clearing, clear_receipt, read_receipt, write_receipt

ATTEMPT = Attempt(item=7, number=2, job=1, key="a", payload="{}", fingerprint="f" * 32, nonce="n1")
OUTCOMES: list[Outcome] = [
    Done('{"a":1}', (Output("out/ä.txt", 3, "d" * 32),), "note"), Done(), Skipped("empty"),
    Failed(Kind.RATE_LIMITED, "429 😀", retry_after=2.5, detail="line\nline"), Later(3.0, "soon"), Interrupted("stop"),
]  # fmt: skip


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
@pytest.mark.parametrize("durable", [False, True])
def test_what_was_written_is_read(tmp_path: Path, outcome: Outcome, durable: bool) -> None:
    folder = tmp_path / "0000" / "7-2"
    write_receipt(folder, "spool", ATTEMPT, outcome, durable)
    assert read_receipt(folder, "spool", ATTEMPT) == outcome
    assert [path.name for path in folder.iterdir()] == [NAME], "no temporary file is left behind"


@pytest.mark.parametrize(
    "other",
    [
        ATTEMPT._replace(item=8), ATTEMPT._replace(number=3), ATTEMPT._replace(nonce="n2"),
        ATTEMPT._replace(fingerprint="0" * 32),
    ],
)  # fmt: skip
def test_another_attempts_receipt_is_not_taken(tmp_path: Path, other: Attempt) -> None:
    write_receipt(tmp_path, "spool", ATTEMPT, Done("1"), False)
    assert read_receipt(tmp_path, "spool", other) is None


def test_another_spools_receipt_is_not_taken(tmp_path: Path) -> None:
    write_receipt(tmp_path, "spool", ATTEMPT, Done("1"), False)
    assert read_receipt(tmp_path, "another", ATTEMPT) is None


def test_every_torn_form_is_refused(tmp_path: Path) -> None:
    write_receipt(tmp_path, "spool", ATTEMPT, Done('{"a":1}'), False)
    whole = (tmp_path / NAME).read_bytes()
    for length in range(len(whole)):
        (tmp_path / NAME).write_bytes(whole[:length])
        assert read_receipt(tmp_path, "spool", ATTEMPT) is None


def test_an_altered_outcome_is_refused(tmp_path: Path) -> None:
    write_receipt(tmp_path, "spool", ATTEMPT, Done("1"), False)
    data = json.loads((tmp_path / NAME).read_text())
    data["outcome"]["result"] = "2"
    (tmp_path / NAME).write_text(json.dumps(data))
    assert read_receipt(tmp_path, "spool", ATTEMPT) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"null", b'{"outcome": 1}', b'{"outcome": {}}'])
def test_what_is_no_receipt_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert read_receipt(tmp_path, "spool", ATTEMPT) is None


def test_a_missing_one_is_none(tmp_path: Path) -> None:
    assert read_receipt(tmp_path / "nowhere", "spool", ATTEMPT) is None


def test_after_the_commit_only_output_and_files_stay(tmp_path: Path) -> None:
    bare, full = tmp_path / "bare", tmp_path / "full"
    for folder in (bare, full):
        write_receipt(folder, "spool", ATTEMPT, Done("1"))
        for name in ("started", "spec", "payload.json", ".started.7"):
            (folder / name).touch()
    (full / "output.log").touch()
    (full / "output.log.older").touch()
    (full / "files").mkdir()
    (full / "files" / "mine").touch()
    for folder in (bare, full, tmp_path / "nowhere"):
        clear_receipt(folder)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "full", "full/files", "full/files/mine", "full/output.log", "full/output.log.older",
    ]  # fmt: skip


def test_clearing_is_over_when_it_is_closed(tmp_path: Path) -> None:
    clearing = Clearing()
    clearing.close()
    for first in (0, 50):
        folders = [tmp_path / str(number) for number in range(first, first + 50)]
        for folder in folders:
            write_receipt(folder, "spool", ATTEMPT, Done("1"))
            clearing.clear(folder)
        clearing.close()
        assert not any(folder.exists() for folder in folders)
