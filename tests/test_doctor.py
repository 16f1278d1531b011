"""The doctor through the real command line: every kind of damage is made for real, seen, mended, and can be undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from respool.batch.model import Attempt, Done
from respool.batch.places import Places
from respool.batch.spool import Spool
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.receipt import write_receipt
from respool.clock import SYSTEM
from respool.pace import Limit, Pace
from spool_bench import (
    HERE,
    LARGE,
    codes,
    doctor,
    dump,
    filled,
    killed_run,
    live_run,
    page_of,
    respool,
    settled_file,
    sql,
)


def states(places: Places) -> dict[str, str]:
    return dict(sql(places, "SELECT key, state FROM items ORDER BY id"))


def test_a_healthy_spool(tmp_path: Path) -> None:
    places = filled(tmp_path)
    before = dump(places)
    assert doctor(places) == (0, {"diagnostics": [], "fixes": [], "backup": None})
    assert doctor(places, "--fix") == (0, {"diagnostics": [], "fixes": [], "backup": None})
    assert dump(places) == before
    assert not places.backups.exists()


def test_no_spool_at_all(tmp_path: Path) -> None:
    for option in ([], ["--fix"], ["--undo"]):
        done = respool("doctor", "--spool", str(tmp_path / "none.db"), *option)
        assert (done.returncode, done.stdout) == (2, "")
        assert "there is no spool here" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [("--fix", "--undo"), ("--undo", "--dry-run")])
def test_options_that_exclude_each_other(tmp_path: Path, options: tuple[str, str]) -> None:
    assert respool("doctor", "--spool", str(filled(tmp_path).database), *options).returncode == 2


def test_a_killed_run(tmp_path: Path) -> None:
    places = killed_run(tmp_path)
    code, seen = doctor(places)
    stale = seen["diagnostics"][0]
    assert (code, stale["code"], stale["severity"], stale["fixable"]) == (1, "STALE_BATCH_PROGRESS", "warning", True)
    assert set(stale) >= {"item", "severity", "code", "message", "fixable"}
    assert "owning process not running" in stale["message"]
    assert "slow" in stale["message"]
    assert "quick" not in stale["message"]
    if sys.platform == "linux":
        assert "ORPHAN_PROCESS" in codes(seen)
    before = dump(places)
    code, dry = doctor(places, "--fix", "--dry-run")
    assert (code, dry["fixes"], dump(places)) == (1, [], before)
    code, fixed = doctor(places, "--fix")
    assert (code, fixed["diagnostics"]) == (0, [])
    assert {"code", "fixed", "message"} == set(fixed["fixes"][0])
    assert all(one["fixed"] for one in fixed["fixes"])
    assert states(places) == {"quick": "done", "slow": "pending"}
    assert sql(places, "SELECT outcome FROM attempts ORDER BY item_id") == [("done",), ("interrupted",)]
    assert Path(fixed["backup"]).is_dir()
    mended = dump(places)
    undone = doctor(places, "--undo")
    assert (undone[0], codes(undone[1])[0]) == (0, "STALE_BATCH_PROGRESS"), "what is wrong with what is back is told"
    assert dump(places) == before
    assert doctor(places, "--undo")[0] == 0
    assert dump(places) == mended, "undoing can be undone"


def test_a_result_without_its_commit_is_taken_over(tmp_path: Path) -> None:
    places = killed_run(tmp_path)
    # The commit of the finished item is taken back, and the receipt that its worker wrote before it is there again.
    ((result,),) = sql(places, "SELECT result FROM results WHERE item_id = 1")
    sql(places, "UPDATE items SET state = 'running', result_item = NULL, result_attempt = NULL WHERE key = 'quick'")
    sql(places, "DELETE FROM results WHERE item_id = 1")
    sql(places, "UPDATE attempts SET outcome = 'running', ended_at = NULL WHERE item_id = 1")
    with closing(Database.open(places, read_only=True)) as database:
        (attempt,) = (Attempt(*row[:7]) for row in database.all("running_rows") if row[3] == "quick")
        write_receipt(places.attempt(attempt.item, attempt.number), reading.spool_id(database), attempt, Done(result))
    assert doctor(places, "--fix")[0] == 0
    assert states(places) == {"quick": "done", "slow": "pending"}


def test_a_live_run_is_never_touched(tmp_path: Path) -> None:
    child = live_run(tmp_path)
    places = Places.at(tmp_path / "spool.db")
    try:
        before = dump(places)
        assert doctor(places) == (0, {"diagnostics": [], "fixes": [], "backup": None})
        for option in ("--fix", "--undo"):
            done = respool("doctor", "--spool", str(places.database), option)
            assert done.returncode == 4
            assert f"process {child.pid} on" in done.stderr
            assert "since" in done.stderr
        assert dump(places) == before
        long_ago = 1_700_000_000_000_000
        sql(places, "UPDATE events SET at = ?", long_ago)
        sql(places, "UPDATE sessions SET started_at = ?", long_ago)
        code, seen = doctor(places)
        assert (code, codes(seen)) == (1, ["STALLED_RUN"])
        assert not seen["diagnostics"][0]["fixable"]
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
        doctor(places, "--fix")


def test_a_live_command_is_no_orphan(tmp_path: Path) -> None:
    child = live_run(tmp_path, command=True)
    try:
        assert doctor(Places.at(tmp_path / "spool.db")) == (0, {"diagnostics": [], "fixes": [], "backup": None})
    finally:
        child.kill()
        child.wait()
        assert doctor(Places.at(tmp_path / "spool.db"), "--fix")[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="marks are read through /proc")
def test_a_process_that_outlived_its_run(tmp_path: Path) -> None:
    places = filled(tmp_path)
    spool_id = sql(places, "SELECT id FROM spool")[0][0]
    ours, other = (
        subprocess.Popen(
            ["sleep", "60"], env={**os.environ, "RESPOOL_ATTEMPT": f"{name}:1:1:nonce"}, start_new_session=True
        )
        for name in (spool_id, "another-spool")
    )
    try:
        while f"{spool_id}:1:1".encode() not in Path(f"/proc/{ours.pid}/environ").read_bytes():
            time.sleep(0.01)
        code, seen = doctor(places)
        assert (code, codes(seen)) == (1, ["ORPHAN_PROCESS"])
        assert seen["diagnostics"][0]["item"] == f"process {ours.pid}"
        assert doctor(places, "--fix")[0] == 0
        assert start_ticks(ours.pid) is None
        assert start_ticks(other.pid) is not None, "not ours: left alone"
    finally:
        for child in (ours, other):
            child.kill()
            child.wait()


def test_missing_and_altered_result_files(tmp_path: Path) -> None:
    places = filled(tmp_path, {"a": LARGE, "b": LARGE + "b", "c": "small"})
    gone, bad = sorted(places.results.glob("*/*"))
    gone.unlink()
    bad.write_text("other")
    before = dump(places)
    code, seen = doctor(places)
    assert (code, sorted(codes(seen))) == (1, ["ALTERED_RESULT_FILE", "MISSING_RESULT_FILE"])
    assert doctor(places, "--fix")[0] == 0
    assert states(places) == {"a": "pending", "b": "pending", "c": "done"}
    assert sql(places, "SELECT ended_at FROM jobs") == [(None,)], "it is open again"
    reasons = dict(sql(places, "SELECT key, reason FROM items"))
    assert {reasons["a"], reasons["b"]} == {"the file of its result is missing", "the file of its result is altered"}
    assert not bad.exists()
    doctor(places, "--undo")
    assert (dump(places), bad.read_text()) == (before, "other")
    doctor(places, "--undo")
    assert not bad.exists()
    spool = Spool(places.database)
    spool.run()
    assert {item.key: item.result for item in spool.job("demo").items()} == {
        "a": LARGE, "b": LARGE + "b", "c": "small",
    }  # fmt: skip
    spool.close()
    assert doctor(places)[0] == 0


def test_orphan_files_are_moved_not_deleted(tmp_path: Path) -> None:
    places = filled(tmp_path)
    orphans = [places.result("ab" * 16), places.attempt(99, 1) / "output.log", places.results / "ab" / ".x.123.tmp"]
    for path in orphans:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    code, seen = doctor(places)
    assert (code, codes(seen)) == (0, ["ORPHAN_FILES"])
    assert doctor(places, "--fix")[1]["diagnostics"] == []
    assert not any(path.exists() for path in orphans)
    doctor(places, "--undo")
    assert [path.read_text() for path in orphans] == [path.name for path in orphans]


def test_an_unknown_task_and_a_task_that_prints_when_it_is_imported(tmp_path: Path) -> None:
    places = filled(tmp_path, run=False)
    (tmp_path / "loud.py").write_text("print('hello')\ndef f(x): return x\n")
    sql(places, "UPDATE jobs SET task = 'loud:f', settings = json_set(settings, '$.folder', ?)", str(tmp_path))
    assert doctor(places)[0] == 0
    (tmp_path / "loud.py").unlink()
    code, seen = doctor(places, "--fix")
    assert (code, codes(seen), seen["fixes"]) == (1, ["UNKNOWN_TASK"], [])
    (tmp_path / "loud.py").write_text("1 / 0")
    assert codes(doctor(places)[1]) == ["UNKNOWN_TASK"]


def test_a_newer_schema_is_never_touched(tmp_path: Path) -> None:
    places = filled(tmp_path)
    sql(places, "PRAGMA user_version=2")
    content = settled_file(places)
    for option in ([], ["--fix"]):
        code, seen = doctor(places, *option)
        assert (code, codes(seen), seen["fixes"]) == (1, ["NEWER_SCHEMA"], [])
    assert places.database.read_bytes() == content


def test_a_foreign_file_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 1000)
    for option in ([], ["--fix"]):
        code, seen = doctor(Places(path), *option)
        assert (code, codes(seen), seen["fixes"]) == (1, ["NOT_A_SPOOL"], [])
    assert path.read_text() == "my notes " * 1000


@pytest.mark.parametrize("damage", ["middle", "header", "truncated", "empty"])
def test_an_unreadable_spool_is_salvaged(tmp_path: Path, damage: str) -> None:
    items = {f"key-{number}": {"n": number, "text": "y" * 60} for number in range(400)}
    places = filled(tmp_path, items)
    content = settled_file(places)
    pages = page_of(places, "items")
    if damage == "middle":
        at = (pages[len(pages) // 2] - 1) * 4096
        content[at : at + 4096] = os.urandom(4096)
    elif damage == "header":
        content[:4096] = bytes(4096)
    else:
        del content[0 if damage == "empty" else len(content) * 2 // 3 :]
    places.database.write_bytes(content)
    code, seen = doctor(places)
    assert (code, codes(seen)) == (1, ["BATCH_PROGRESS_CORRUPT"])
    assert (seen["diagnostics"][0]["severity"], seen["diagnostics"][0]["fixable"]) == ("error", True)
    assert places.database.read_bytes() == content
    code, fixed = doctor(places, "--fix")
    assert (code, fixed["diagnostics"]) == (0, [])
    kept = Path(fixed["backup"]) / "spool.db"
    assert kept.read_bytes() == content
    left = states(places)
    told = " ".join(one["message"] for one in fixed["fixes"])
    if damage == "header":
        assert left == dict.fromkeys(items, "done")
        assert "Lost: nothing" in told
    else:
        assert "items: id" in told
    if damage == "middle":
        lost = set(items) - set(left)
        assert 0 < len(lost) < 200
        assert any(f"'{key}' of job 1" in told for key in lost), "by name"
        assert set(left.values()) == {"done"}
    # The same command again brings back what was lost, and runs nothing that was saved.
    spool = Spool(places.database)
    spool.submit("spool_bench:echo", items, name="demo", folder=HERE)
    spool.run(workers=2)
    assert {item.key: item.result for item in spool.job("demo").items()} == items
    spool.close()
    assert doctor(places)[0] == 0
    assert doctor(places, "--undo")[0] == 0
    assert places.database.read_bytes() == content
    assert doctor(places)[0] == 1
    assert doctor(places, "--undo")[0] == 0
    assert set(states(places)) == set(items)


@pytest.mark.parametrize("damaged", [True, False])
def test_a_full_disk_leaves_the_spool_as_it_is(tmp_path: Path, damaged: bool) -> None:
    places = filled(tmp_path, {f"key-{number}": "y" * 500 for number in range(300)}, run=False)
    sql(places, "UPDATE items SET not_before = 9000000000000000 WHERE id = 1")
    content = settled_file(places)
    if damaged:
        content[:4096] = bytes(4096)
        places.database.write_bytes(content)
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", sys.executable, "-c", "from respool.cli import main; main()",
         "doctor", "--fix", "--spool", str(places.database)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert "cannot" in done.stderr
    assert "  next:" in done.stderr
    assert places.database.read_bytes() == content
    assert doctor(places, "--fix")[0] == 0


def test_text_that_is_no_text_any_more(tmp_path: Path) -> None:
    places = filled(tmp_path, {"a": "first text", "b": "second text"})
    content = settled_file(places)
    at = content.index(b'"second text"')
    content[at + 3] = 0xFF
    places.database.write_bytes(content)
    assert codes(doctor(places)[1]) == ["BATCH_PROGRESS_CORRUPT"]
    code, fixed = doctor(places, "--fix")
    assert code == 0
    assert "1 rows with impossible content" in fixed["fixes"][0]["message"]
    spool = Spool(places.database)
    spool.submit("spool_bench:echo", {"a": "first text", "b": "second text"}, name="demo", folder=HERE)
    spool.run()
    assert {item.key: item.result for item in spool.job("demo").items()} == {"a": "first text", "b": "second text"}
    spool.close()
    assert doctor(places)[0] == 0


def test_torn_state_files(tmp_path: Path) -> None:
    places = filled(tmp_path)
    places.owner_lock.write_bytes(b'{"pid": 12')
    torn = places.session("abc") / "4711"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"\0\0\0")
    code, seen = doctor(places)
    assert (code, codes(seen)) == (1, ["BATCH_PROGRESS_CORRUPT"] * 2)
    assert all(one["fixable"] and one["severity"] == "warning" for one in seen["diagnostics"])
    assert doctor(places, "--fix")[0] == 0
    assert not torn.exists()
    assert json.loads(places.owner_lock.read_bytes())["session"] == "doctor"


def test_a_torn_limit_counts_as_used_up(tmp_path: Path) -> None:
    places = filled(tmp_path, run=False)
    limits = '[["openai", "30/min"]]'
    sql(places, "UPDATE jobs SET settings = json_set(settings, '$.limits', json(?))", limits)
    spool = Spool(places.database)
    spool.run()
    spool.close()
    (file,) = places.pace.glob("openai-*.pace")
    file.write_bytes(file.read_bytes()[:-3])
    assert codes(doctor(places)[1]) == ["BATCH_PROGRESS_CORRUPT"]
    assert doctor(places, "--fix")[0] == 0
    assert b'"lost":null' not in file.read_bytes().replace(b" ", b"")


def test_a_torn_limit_that_nobody_names_is_mended_too(tmp_path: Path) -> None:
    places = filled(tmp_path)
    limit = Limit("another-spools", "3/hour")
    with Pace(places.pace, SYSTEM) as pace:
        pace.ended(pace.take([limit], 2).tokens)
    (file,) = places.pace.glob("another-spools-*.pace")
    file.write_bytes(file.read_bytes()[:-3])
    code, fixed = doctor(places, "--fix")
    assert (code, fixed["fixes"][0]["fixed"], fixed["diagnostics"]) == (0, True, [])
    assert doctor(places)[0] == 0
    with Pace(places.pace, SYSTEM) as pace:  # on the slow side: nothing is granted for one period
        grant = pace.take([limit], 1)
    assert grant.count == 0
    assert grant.wait > 3500


@pytest.mark.parametrize("fault", ["missing", "altered"])
def test_a_file_that_a_command_produced(tmp_path: Path, fault: str) -> None:
    (tmp_path / "items.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    where = ["--spool", str(tmp_path / "spool.db")]
    command = ["run", *where, "--items", str(tmp_path / "items.jsonl"), "--cwd", str(tmp_path), "--output", "{id}.out",
               "--", "sh", "-c", "echo done > {id}.out"]  # fmt: skip
    assert respool(*command).returncode == 0
    places = Places.at(tmp_path / "spool.db")
    assert doctor(places)[0] == 0
    if fault == "missing":
        (tmp_path / "a.out").unlink()
    else:
        (tmp_path / "a.out").write_text("something else")
    code, seen = doctor(places)
    (found,) = seen["diagnostics"]
    assert (code, found["code"], found["fixable"]) == (1, f"{fault.upper()}_OUTPUT_FILE", True)
    assert f"1 item (a): a file that it produced is {fault}" in found["message"]
    assert doctor(places, "--fix")[0] == 0
    assert states(places) == {"a": "pending", "b": "done"}
    assert respool(*command).returncode == 0
    assert (tmp_path / "a.out").read_text() == "done\n"
    assert doctor(places)[0] == 0


def test_a_repair_that_was_killed_is_completed(tmp_path: Path) -> None:
    places = filled(tmp_path)
    content = settled_file(places)
    places.database.with_name(".spool.db.replacement").write_bytes(content)
    places.database.write_bytes(content[: len(content) // 2])
    assert codes(doctor(places)[1]) == ["BATCH_PROGRESS_CORRUPT"]
    assert doctor(places, "--fix")[0] == 0
    assert places.database.read_bytes() == content


def test_an_undo_does_not_leave_a_killed_repair_behind(tmp_path: Path) -> None:
    places = filled(tmp_path, run=False)
    sql(places, "UPDATE items SET not_before = 9000000000000000 WHERE key = 'a'")
    doctor(places, "--fix")
    replacement = places.database.with_name(".spool.db.replacement")
    replacement.write_bytes(settled_file(places))
    assert codes(doctor(places, "--undo")[1]) == ["FAR_FUTURE_WAIT"]
    assert not replacement.exists()


def test_nothing_to_undo(tmp_path: Path) -> None:
    done = respool("doctor", "--spool", str(filled(tmp_path).database), "--undo")
    assert done.returncode == 2
    assert "nothing to undo" in done.stderr


def test_for_people(tmp_path: Path) -> None:
    places = filled(tmp_path, run=False)
    sql(places, "UPDATE items SET not_before = 9000000000000000 WHERE key = 'a'")
    done = respool("doctor", "--spool", str(places.database), "--dry-run")
    assert done.returncode == 1
    assert "FAR_FUTURE_WAIT  job 1 (demo): 1 item (a)" in done.stdout
    assert "--fix would call: clamp_waits" in done.stdout
    assert "1 of them fixable: respool doctor --fix" in done.stderr
    done = respool("doctor", "--spool", str(places.database), "--fix")
    assert (done.returncode, done.stdout[:5]) == (0, "fixed")
    assert "nothing is wrong with this spool" in done.stderr
