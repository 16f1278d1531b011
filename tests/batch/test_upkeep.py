"""Findings of rows, and the repairs that end them: each damage is made by hand in a real spool."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from respool.batch import upkeep
from respool.batch.places import Places
from respool.batch.repairs import REPAIRS
from respool.batch.spool import Spool
from respool.batch.store.connection import Database
from respool.batch.upkeep import diagnose, diagnose_files
from respool.clock import SYSTEM
from respool.findings import Finding, Severity
from spool_bench import HERE, dump, filled, page_of, settled_file, sql

DAY = 86_400_000_000


def look(places: Places, *, alive: bool = False) -> list[Finding]:
    with Database.open(places, read_only=True) as database:
        return diagnose(database, alive=alive, now=SYSTEM.now())


def mend(places: Places, finding: Finding) -> str:
    assert finding.fix is not None
    with Database.open(places) as database, database.write():
        return REPAIRS[finding.fix.name](database, finding.fix.arguments, SYSTEM.now())


# What is done to a spool of three finished items (or, with "pending: ", three that did not run), the code of what must
# be seen, and the states after the repair.
DAMAGES = {
    "running without an attempt": (
        ["pending: ", "UPDATE items SET state = 'running' WHERE id = 2"],
        {"RUNNING_WITHOUT_ATTEMPT", "STALE_BATCH_PROGRESS"}, "pending pending pending",
    ),
    "an attempt whose item does not run": (
        ["UPDATE attempts SET outcome = 'running', ended_at = NULL WHERE item_id = 1",
         "INSERT INTO attempts (item_id, number, session_id, started_at, ended_at, outcome) "
         "SELECT 1, 2, session_id, 1, 2, 'done' FROM attempts LIMIT 1",
         "UPDATE items SET attempts = 2, result_attempt = 2 WHERE id = 1"],
        {"ATTEMPT_WITHOUT_OWNER"}, "done done done",
    ),
    "done without its attempt": (
        ["DELETE FROM results WHERE item_id = 2", "DELETE FROM attempts WHERE item_id = 2"],
        {"DONE_WITHOUT_RESULT"}, "done pending done",
    ),
    "a result that is no JSON": (
        ["UPDATE results SET result = '{torn' WHERE item_id = 3"], {"BATCH_PROGRESS_CORRUPT"}, "done done pending",
    ),
    "outputs that are no JSON": (
        ["UPDATE results SET outputs = '[[' WHERE item_id = 3"], {"BATCH_PROGRESS_CORRUPT"}, "done done pending",
    ),
    "payloads that are no JSON": (
        ["UPDATE payloads SET payload = '{torn' WHERE item_id = 1"], {"BATCH_PROGRESS_CORRUPT"}, "done done done",
    ),
    "payloads of waiting items that are no JSON": (
        ["pending: ", "UPDATE payloads SET payload = '{torn' WHERE item_id = 1"], {"BATCH_PROGRESS_CORRUPT"},
        "cancelled pending pending",
    ),
    "settings that are no JSON": (["UPDATE jobs SET settings = '{torn'"], {"BATCH_PROGRESS_CORRUPT"}, "done done done"),
    "a source that is no JSON": (["UPDATE jobs SET source = '{torn'"], {"BATCH_PROGRESS_CORRUPT"}, "done done done"),
    "events that are no JSON": (["UPDATE events SET data = '{torn'"], {"BATCH_PROGRESS_CORRUPT"}, "done done done"),
    "a request that is no JSON": (
        ["INSERT INTO requests (at, verb, job_id, arguments, ready_at) VALUES (1, 'retry', 1, '{torn', 1)"],
        {"BATCH_PROGRESS_CORRUPT"}, "done done done",
    ),
    "a wait in the far future": (
        ["pending: ", "UPDATE items SET not_before = 9000000000000000 WHERE id = 1"], {"FAR_FUTURE_WAIT"},
        "pending pending pending",
    ),
    "a follower without a leader": (
        ["pending: ", "UPDATE items SET led_by = 99, not_before = 4611686018427387904 WHERE id = 1"], {"STRANDED_ITEM"},
        "pending pending pending",
    ),
    "an attempt without its session": (
        ["DELETE FROM sessions"], {"BROKEN_REFERENCES"}, "done done done",
    ),
    "items without their job": (["DELETE FROM jobs"], {"BROKEN_REFERENCES"}, "done done done"),
    "rows without their item": (["DELETE FROM items WHERE id = 2"], {"BROKEN_REFERENCES"}, "done done"),
    "a result without its attempt": (
        ["DELETE FROM attempts WHERE item_id = 2"], {"BROKEN_REFERENCES", "DONE_WITHOUT_RESULT"}, "done done done",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_seen_and_mended(tmp_path: Path, name: str) -> None:
    statements, expected, states = DAMAGES[name]
    places = filled(tmp_path, run=statements[0] != "pending: ")
    assert look(places) == []
    for statement in statements:
        if statement != "pending: ":
            sql(places, statement)
    before = dump(places)
    seen = look(places)
    assert {finding.code for finding in seen} == expected
    assert {finding.severity for finding in seen} == {Severity.WARNING}
    assert all(finding.fixable and finding.advice for finding in seen)
    assert dump(places) == before, "looking changes nothing"
    mend(places, seen[0])
    for finding in look(places):  # a second finding may have been about the same rows
        mend(places, finding)
    assert look(places) == []
    assert " ".join(row[0] for row in sql(places, "SELECT state FROM items ORDER BY id")) == states
    assert sql(places, "PRAGMA foreign_key_check") == []


def test_a_repair_looks_again_and_leaves_alone_what_is_good(tmp_path: Path) -> None:
    places = filled(tmp_path)
    before = {**dump(places), "events": [], "jobs": []}
    for name in set(REPAIRS) - {"replace_settings", "rerun_items"}:
        with Database.open(places) as database, database.write():
            REPAIRS[name](database, {"job": 1, "beyond": SYSTEM.now()}, SYSTEM.now())
    assert {**dump(places), "events": [], "jobs": []} == before


def test_who_followed_an_interrupted_item_may_lead(tmp_path: Path) -> None:
    places = filled(tmp_path, {"a": 1, "b": 1}, run=False)
    sql(places, "UPDATE items SET state = 'running', attempts = 1 WHERE key = 'a'")
    sql(places, "INSERT INTO sessions (id, nonce, pid, host, workers, started_at) VALUES (7, 'n', 1, 'h', '1', 1)")
    sql(places, "INSERT INTO attempts (item_id, number, session_id, started_at) VALUES (1, 1, 7, 1)")
    sql(places, "UPDATE items SET led_by = 1, not_before = 4611686018427387904 WHERE key = 'b'")
    (stale,) = [finding for finding in look(places) if finding.code == upkeep.STALE]
    mend(places, stale)
    assert look(places) == []


def test_a_lost_payload_comes_back_without_being_paid_again(tmp_path: Path) -> None:
    places = filled(tmp_path)
    sql(places, "UPDATE payloads SET payload = '{' WHERE item_id = 1")
    mend(places, look(places)[0])
    spool = Spool(places.database)
    spool.submit("spool_bench:echo", {"a": 1, "b": 2, "c": 3}, name="demo", folder=HERE)
    spool.run()
    assert {item.key: (item.payload, item.result) for item in spool.job("demo").items()} == {
        "a": (1, 1), "b": (2, 2), "c": (3, 3),
    }  # fmt: skip
    spool.close()
    assert sql(places, "SELECT count(*) FROM attempts") == [(3,)]


def test_an_undelivered_followup(tmp_path: Path) -> None:
    places = Places.at(tmp_path / "spool.db")
    spool = Spool(places.database)
    spool.submit("spool_bench:echo", {"a": 1}, name="demo", folder=HERE, then=[("spool_bench:echo", "success")])
    spool.submit("spool_bench:grumble", {"a": 1}, name="bad", folder=HERE, then=[("spool_bench:echo", "success")])
    spool.run(["demo"], at_most=1)
    spool.close()
    for statement in (
        "UPDATE rules SET child_id = NULL, revision = NULL", "DELETE FROM payloads WHERE item_id > 2",
        "DELETE FROM attempts WHERE item_id > 2", "DELETE FROM items WHERE id > 2", "DELETE FROM jobs WHERE id > 2",
        "UPDATE jobs SET ended_at = 5 WHERE id = 2", "UPDATE items SET state = 'failed', kind = 'raised' WHERE id = 2",
    ):  # fmt: skip
        sql(places, statement)
    seen = look(places)
    assert [(finding.code, finding.subject) for finding in seen] == [("UNDELIVERED_FOLLOWUP", "job 1 (demo)")]
    mend(places, seen[0])
    assert look(places) == []
    assert sql(places, "SELECT parent_id FROM jobs WHERE id > 2") == [(1,)]


def test_the_clock(tmp_path: Path) -> None:
    places = filled(tmp_path)
    sql(places, "UPDATE events SET at = at + ? WHERE seq = 1", 240_000_000)
    assert look(places) == [], "clocks differ a little"
    sql(places, "UPDATE attempts SET ended_at = ended_at + ? WHERE item_id = 1", DAY)
    (seen,) = look(places)
    assert (seen.code, seen.fixable) == ("CLOCK_JUMP", False)


def test_what_is_not_said_of_a_live_run(tmp_path: Path) -> None:
    places = filled(tmp_path, run=False)
    spool = Spool(places.database)
    spool.run(at_most=1)
    spool.close()
    sql(places, "UPDATE items SET state = 'running', attempts = 1 WHERE state = 'pending'")
    sql(places, "INSERT INTO attempts (item_id, number, session_id, started_at) "
                "SELECT id, 1, 1, 5 FROM items WHERE state = 'running'")  # fmt: skip
    assert look(places, alive=True) == []
    assert [finding.code for finding in look(places)] == ["STALE_BATCH_PROGRESS"]
    places.result("ab" * 16).parent.mkdir(parents=True)
    places.result("ab" * 16).touch()
    with Database.open(places) as database:
        assert diagnose_files(database, alive=True) == []
        assert len(diagnose_files(database, alive=False)) == 1


def test_an_unsealed_job_is_told_of(tmp_path: Path) -> None:
    places = filled(tmp_path, run=False)
    sql(places, "UPDATE jobs SET sealed_at = NULL")
    (seen,) = look(places)
    assert (seen.code, seen.severity) == ("UNFINISHED_SUBMISSION", Severity.INFO)


def test_bad_pages_are_one_error(tmp_path: Path) -> None:
    places = filled(tmp_path, {f"key-{number}": number for number in range(500)})
    content = settled_file(places)
    chance = random.Random(1)
    for table in ("attempts", "payloads", "sqlite_autoindex_items_1"):
        damaged = bytearray(content)
        at = (page_of(places, table)[0] - 1) * 4096
        damaged[at : at + 4096] = chance.randbytes(4096)
        places.database.write_bytes(damaged)
        (seen,) = look(places)
        assert (seen.code, seen.severity, seen.fix and seen.fix.name) == (upkeep.CORRUPT, Severity.ERROR, "salvage")
        places.database.write_bytes(content)


def test_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = filled(tmp_path)
    state = os.statvfs(tmp_path)
    monkeypatch.setattr(upkeep, "LEAST_FREE", (state.f_bavail + 1_000_000) * state.f_frsize)
    with Database.open(places) as database:
        (seen,) = diagnose_files(database, alive=False)
    assert (seen.code, seen.severity) == ("LOW_DISK_SPACE", Severity.WARNING)


def test_replaced_settings_can_be_run_after_the_next_submission(tmp_path: Path) -> None:
    places = filled(tmp_path, run=False)
    sql(places, "UPDATE jobs SET settings = '{torn'")
    mend(places, look(places)[0])
    assert sql(places, "SELECT paused_reason FROM jobs") == [("its settings were damaged: submit it again",)]
    assert json.loads(sql(places, "SELECT settings FROM jobs")[0][0])["mode"] == "process"
    assert filled(tmp_path) == places
    assert sql(places, "SELECT DISTINCT state FROM items") == [("done",)]
