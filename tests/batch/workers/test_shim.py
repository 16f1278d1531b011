"""The shim as a program: what it costs, what it imports, and that its copies of small things are true copies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_bench import SPOOL, attempt, run, shell
from hypothesis import given
from hypothesis import strategies as st

from respool import canonical
from respool.batch.workers import process_table, supervisor
from respool.files import file_digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)  # fmt: skip


@given(JSON)
def test_its_json_is_canonical(value: Any) -> None:
    assert supervisor.to_json(value) == canonical.encode(value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_its_digest_is_the_one(text: str) -> None:
    assert supervisor.digest(text.encode()) == canonical.digest(text)


def test_its_file_digest_is_the_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_001)
    assert supervisor.content_digest(str(path)) == (3_000_001, file_digest(path))


def test_it_imports_next_to_nothing(tmp_path: Path) -> None:
    """Each of these modules would cost every single command several milliseconds."""
    _, bench = run(tmp_path, shell("true"))
    shim = Path(supervisor.__file__).with_name("shim.py")
    folder = bench.places.attempt(1, 1)
    (folder / "started").unlink()
    program = [sys.executable, "-I", "-S", "-X", "importtime", str(shim), str(folder)]
    found = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "respool.batch.workers.supervisor" in imported
    assert not imported & {"typing", "json", "re", "enum", "signal", "hashlib", "subprocess", "pathlib", "site"}
    ours = {name.rpartition(".")[2] for name in imported if name.startswith("respool")}
    assert ours == {"supervisor", "process_table", "tail"}


def test_a_late_shim_runs_nothing(tmp_path: Path) -> None:
    _, bench = run(tmp_path, shell(f"echo ran >> {tmp_path}/ran"))
    folder = bench.places.attempt(1, 1)
    before = (folder / "started").read_text(), (folder / "result.json").read_bytes()
    shim = [sys.executable, "-I", "-S", str(Path(supervisor.__file__).with_name("shim.py")), str(folder)]
    assert subprocess.run(shim, timeout=60).returncode == 1, "a second copy"
    (folder / "started").write_text("abandoned\n")
    assert subprocess.run(shim, timeout=60).returncode == 1, "given up by the next runner"
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert (folder / "result.json").read_bytes() == before[1]


def test_signals_have_their_names() -> None:
    for number in signal.valid_signals():
        if number not in range(32, signal.SIGRTMAX + 1):
            assert getattr(signal, supervisor.signal_name(number)) == number
    assert supervisor.signal_name(11) == "SIGSEGV"
    assert supervisor.signal_name(99) == "signal 99"


@pytest.mark.skipif(sys.platform != "linux", reason="compares /proc with ps")
def test_both_ways_to_tell_a_start_time() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    try:
        assert process_table.start_ticks(child.pid) == process_table.start_ticks(child.pid) is not None
        assert abs((process_table.ps_start(child.pid) or 0) - (process_table.ps_start(os.getpid()) or 0)) < 3600
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process_table.start_ticks(child.pid) is None, "a zombie cannot act any more"
        assert process_table.ps_start(child.pid) is None
    finally:
        child.wait()
    assert process_table.start_ticks(child.pid) is None
    assert process_table.ps_start(child.pid) is None


def test_the_receipt_is_canonical_json(tmp_path: Path) -> None:
    tried = attempt(3, number=2)
    _, bench = run(tmp_path, shell('printf \'\\001"\\\\ä\\n\'; exit 1'), tried, durable=True)
    text = (bench.places.attempt(3, 2) / "result.json").read_text()
    receipt = json.loads(text)
    assert canonical.encode(receipt) == text
    assert {name: receipt[name] for name in ("spool", "item", "attempt", "nonce", "fingerprint")} == {
        "spool": SPOOL, "item": 3, "attempt": 2, "nonce": "nonce", "fingerprint": "f" * 32,
    }  # fmt: skip
    assert receipt["outcome"]["detail"] == '\x01"\\ä'
