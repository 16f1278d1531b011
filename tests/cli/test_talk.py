"""Data goes to stdout, talk to stderr; texts are short and aligned."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from respool.batch.model import ItemState
from respool.cli.talk import ReaderGone, columns, counts_text, keep, put, put_json, say, seconds_text, short
from respool.errors import UsageError


def test_data_and_talk(capsys: pytest.CaptureFixture[str]) -> None:
    put("data")
    put_json({"ä": 1})
    say("talk")
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], json.loads(out.splitlines()[1]), err) == ("data", {"ä": 1}, "talk\n")


def test_a_reader_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pipe = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stdout", pipe)
    monkeypatch.setattr(sys, "stderr", pipe)
    with pytest.raises(ReaderGone):
        put("x")
    say("nobody hears it, and the work goes on")
    monkeypatch.undo()
    with pytest.raises(BrokenPipeError):
        pipe.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 - closed below, where it must fail
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(UsageError, match="No space left"):
        put("x")
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_a_file_that_cannot_be_written_is_one_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path / "there", "text\n")
    assert (tmp_path / "there").read_text() == "text\n"
    assert capsys.readouterr().err == f"written: {tmp_path}/there\n"
    with pytest.raises(UsageError, match="gone/away' cannot be written: No such file or directory"):
        keep(tmp_path / "gone" / "away", "text\n")


def test_texts() -> None:
    assert [seconds_text(value) for value in (0.04, 59.94, 59.96, 3599.6)] == ["0.0 s", "59.9 s", "1 min 00 s", "1 h 00 min"]
    assert counts_text({}) == "no items"
    assert counts_text({ItemState.FAILED: 3, ItemState.DONE: 1}, {"raised": 2, "timeout": 1}) == (
        "1 done, 3 failed (raised 2, timeout 1)"
    )
    assert columns([("a", "1"), ("bbb", "22")], right=frozenset({1})) == ["a     1", "bbb  22"]
    assert columns([]) == []
    assert short("a  b\tc") == "a b c"
    assert short("\x1b[31mred\x00\ud800 größer") == "\ufffd[31mred\ufffd\ufffd größer"
