"""`respool doctor` on a project with cassettes: what killed runs leave, with fix and undo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.files import FileLock

PROGRAM = str(Path(sys.executable).parent / "respool")
TAPE = Cassette((Interaction(Request("GET", "http://a.example/"), Response(200), 1),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("import pytest\n@pytest.mark.cassette\ndef test_a(): ...\n")
    Library(tmp_path / "tests/cassettes").save("test_a/test_a", TAPE)
    return tmp_path


def doctor(root: Path, *arguments: str, code: int) -> dict[str, list[dict[str, object]]]:
    done = subprocess.run([PROGRAM, "doctor", "--json", *arguments], cwd=root, capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def codes(told: dict[str, list[dict[str, object]]]) -> list[object]:
    return [each["code"] for each in told["diagnostics"]]


def test_cassettes_are_looked_at_without_a_spool(root: Path) -> None:
    done = subprocess.run([PROGRAM, "doctor"], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "nothing is wrong with this spool, nor with 1 cassette\n")
    assert not (root / ".respool/spool.db").exists()


def test_a_project_with_neither_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    done = subprocess.run([PROGRAM, "doctor"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "there is no spool here" in done.stderr) == (2, True)


def test_an_orphan_is_found_fixed_and_brought_back(root: Path) -> None:
    orphan = Library(root / "tests/cassettes").save("forgotten", TAPE)
    before = orphan.read_bytes()
    assert codes(doctor(root, code=1)) == ["CASSETTE_ORPHAN"]
    assert codes(doctor(root, "--fix", "--dry-run", code=1)) == ["CASSETTE_ORPHAN"]
    assert orphan.exists()
    told = doctor(root, "--fix", code=0)
    assert (codes(told), orphan.exists(), told["fixes"][0]["fixed"]) == ([], False, True)
    assert codes(doctor(root, "--undo", code=0)) == ["CASSETTE_ORPHAN"]
    assert orphan.read_bytes() == before


def test_staging_of_a_killed_run_is_moved_away_and_back_but_not_that_of_a_live_one(root: Path) -> None:
    staged = Library(root).staging("rerecord-1234")
    staged.save("tests/cassettes/test_a/test_a", TAPE)
    lock = FileLock(staged.folder.with_suffix(".lock"))
    assert lock.acquire()
    assert codes(doctor(root, code=0)) == []
    lock.release()
    assert codes(doctor(root, code=1)) == ["CASSETTE_STAGING_LEFT"]
    assert codes(doctor(root, "--fix", code=0)) == []
    assert not staged.folder.exists()
    assert codes(doctor(root, "--undo", code=0)) == ["CASSETTE_STAGING_LEFT"]
    assert staged.load("tests/cassettes/test_a/test_a") == TAPE.__class__(TAPE.interactions, writer=staged.load(
        "tests/cassettes/test_a/test_a").writer)  # fmt: skip


SWAPPER = """
    import os, signal
    from pathlib import Path
    from respool.cassette import placing
    from respool.cassette.library import Library

    put, calls = placing._put_file, []
    def killed(path, data):
        put(path, data)
        calls.append(path)
        if len(calls) == 3:  # two that are kept as previous ones, and the first of two that are swapped
            os.kill(os.getpid(), signal.SIGKILL)
    placing._put_file = killed
    library = Library(Path("tests/cassettes"))
    library.swap(library.staging("run"))
"""


def test_a_swap_that_a_kill_cut_short_is_carried_out(root: Path) -> None:
    library = Library(root / "tests/cassettes")
    library.save("b", TAPE)
    (root / "tests/test_b.py").write_text("import pytest\n@pytest.mark.cassette('b')\ndef test_b(): ...\n")
    new = Cassette((Interaction(Request("GET", "http://a.example/new"), Response(200), 1),))
    for name in ("b", "test_a/test_a"):
        library.staging("run").save(name, new)
    done = subprocess.run([sys.executable, "-c", dedent(SWAPPER)], cwd=root, timeout=60, check=False,
                          env={**os.environ})  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    states = {library.load(name).interactions[0].request.url for name in ("b", "test_a/test_a")}
    assert len(states) == 2  # one old, one new
    assert set(codes(doctor(root, code=1))) == {"CASSETTE_SWAP_PENDING", "CASSETTE_STAGING_LEFT"}
    told = doctor(root, "--fix", code=0)
    assert all(each["fixed"] for each in told["fixes"])
    assert {library.load(name).interactions[0].request.url for name in ("b", "test_a/test_a")} == {"http://a.example/new"}


def test_a_repair_of_both_halves_is_undone_as_one(root: Path) -> None:
    from respool import Spool

    (root / "work.py").write_text("def work(item): return item\n")
    here = os.getcwd()
    os.chdir(root)
    try:
        from respool.batch.places import Places

        with Spool(Places.at(root / ".respool/spool.db").database) as spool:
            spool.submit("work:work", items={"a": 1})
    finally:
        os.chdir(here)
    import sqlite3

    with sqlite3.connect(root / ".respool/spool.db") as database:
        database.execute("UPDATE items SET not_before = 9e15")
    database.close()
    orphan = Library(root / "tests/cassettes").save("forgotten", TAPE)
    both = codes(doctor(root, code=1))
    assert "CASSETTE_ORPHAN" in both
    assert len(both) > 1
    assert codes(doctor(root, "--fix", code=0)) == []
    assert sorted(map(str, codes(doctor(root, "--undo", code=0)))) == sorted(map(str, both))
    assert orphan.exists()
    assert codes(doctor(root, "--undo", code=0)) == []
    assert not orphan.exists()
