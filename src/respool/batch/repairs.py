"""The doctor's repairs of rows: each is called by the name that a Finding carries as its fix.

A repair runs in one transaction, as the holder of the owner lock, after the backup. It looks again at what is wrong
now, so that a finding that has grown old does no harm. Nothing that is finished and good is touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from respool.batch.declaration import Mode, Task
from respool.batch.store.connection import Database
from respool.batch.store.followups import deliver_followups
from respool.batch.store.salvage import Salvaged
from respool.phrases import counted

Arguments = Mapping[str, Any]
Repair = Callable[[Database, Arguments, int], str]

NOT_RUNNING = "owning process not running"
_LOST_PAYLOAD = "its payload was lost; submit the job again to bring it back"


def _of_job(rows: Iterable[tuple[Any, ...]], arguments: Arguments) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[0] == arguments["job"]]


def _pending_again(number: int) -> str:
    return f"{counted(number, 'item is', 'items are')} pending again"


def _note(database: Database, job: int | None, item: int | None, text: str, now: int) -> None:
    database.run("insert_event", now, job, item, None, "repaired", json.dumps({"message": text}))


def interrupt(database: Database, arguments: Arguments, now: int) -> str:
    """Items of a dead run: attempts closed as interrupted, items pending again, free of charge."""
    rows = _of_job(database.all("check_running"), arguments)
    for _, _, item, _ in rows:
        database.run("interrupt_open_attempts", now, NOT_RUNNING, item)
        database.run("interrupt_item", f"interrupted: {NOT_RUNNING}", item)
        database.run("count_runner_death", item)
        database.run("followers_freed", item)
        _note(database, arguments["job"], item, "interrupted: back to pending", now)
    return _pending_again(len(rows))


def close_attempts(database: Database, arguments: Arguments, now: int) -> str:
    """Attempts that say running though their item does not: closed as interrupted."""
    rows = _of_job(database.all("check_attempt_without_running_item"), arguments)
    count = sum(database.run("close_stray_attempts", now, NOT_RUNNING, item) for item in {row[2] for row in rows})
    return f"{counted(count, 'attempt was', 'attempts were')} closed as interrupted"


def _run_again(database: Database, items: Iterable[int], reason: str, job: int | None, now: int) -> int:
    count, jobs = 0, set()
    for item in items:
        database.run("forget_archived", item)
        count += database.run("rerun_item", reason, item)
        database.run("withdraw_without_payload", _LOST_PAYLOAD, now, item)
        row = database.one("job_of_item", item)
        if row is not None:
            jobs.add(row[0])
            _note(database, row[0], item, f"back to pending: {reason}", now)
    for affected in jobs | ({job} if job is not None else set()):
        database.run("reopen_job", now, affected)
    return count


def rerun_without_attempt(database: Database, arguments: Arguments, now: int) -> str:
    """Finished items without the attempt that finished them."""
    rows = _of_job(database.all("check_done_without_attempt"), arguments)
    count = _run_again(database, [row[2] for row in rows], "its attempt is missing", arguments["job"], now)
    return _pending_again(count)


def rerun_items(database: Database, arguments: Arguments, now: int) -> str:
    """The items named in the arguments, whose results are gone or altered."""
    count = _run_again(database, arguments["items"], arguments["reason"], arguments["job"], now)
    return _pending_again(count)


def rerun_bad_results(database: Database, arguments: Arguments, now: int) -> str:
    """Finished items whose result cannot be parsed."""
    rows = _of_job(database.all("check_result_json"), arguments)
    count = _run_again(database, [row[2] for row in rows], "its result was damaged", arguments["job"], now)
    return _pending_again(count)


def lose_payloads(database: Database, arguments: Arguments, now: int) -> str:
    """Items whose payload cannot be parsed: cancelled until the source gives it anew; finished ones stay so."""
    rows = _of_job(database.all("check_payload_json"), arguments)
    for _, _, item, _ in rows:
        database.run("lose_payload", item)
        _without_payload(database, item, now)
    _read_again(database, {row[0] for row in rows})
    return f"{counted(len(rows), 'payload was', 'payloads were')} given up; submit the job again to bring them back"


def _without_payload(database: Database, item: int, now: int) -> None:
    """Its result stays known under the true fingerprint; the item itself takes the payload of the next submission.

    It must not run before: it would run with a payload that nobody gave it.
    """
    database.run("interrupt_open_attempts", now, _LOST_PAYLOAD, item)
    database.run("archive_item", item)
    database.run("forget_fingerprint", item)
    database.run("withdraw_without_payload", _LOST_PAYLOAD, now, item)


def _read_again(database: Database, jobs: Iterable[int]) -> None:
    """Make the next submission of these jobs read its whole source, instead of believing that it knows it."""
    for job in jobs:
        database.run("reread_blocks", job)
        database.run("reread_source", job)


def _default_settings() -> str:
    return json.dumps(Task(name="lost:task", mode=Mode.PROCESS).to_settings(), sort_keys=True)


def replace_settings(database: Database, arguments: Arguments, now: int) -> str:
    """A job's declaration that cannot be parsed: defaults, and a pause until it is submitted again."""
    job = arguments["job"]
    database.run("replace_settings", _default_settings(), job)
    database.run("replace_rule_settings", _default_settings(), job)
    _read_again(database, [job])
    database.run("pause_job", now, "its settings were damaged: submit it again", None, now, job)
    return "the job is paused until it is submitted again"


def forget_event_data(database: Database, arguments: Arguments, now: int) -> str:
    """Details of events that cannot be parsed."""
    return f"the details of {counted(database.run('forget_event_data'), 'event')} were given up"


def drop_requests(database: Database, arguments: Arguments, now: int) -> str:
    """Stored requests that cannot be parsed."""
    count = database.run("drop_broken_requests", now, arguments["job"])
    return f"{counted(count, 'stored request was', 'stored requests were')} closed; send again what they asked for"


def clamp_waits(database: Database, arguments: Arguments, now: int) -> str:
    """Waits far in the future: over now."""
    rows = _of_job(database.all("check_far_wait", arguments["beyond"]), arguments)
    for _, _, item, _ in rows:
        database.run("clamp_wait", now, "its wait lay in the far future", item)
    return f"{counted(len(rows), 'item is', 'items are')} due now"


def free_followers(database: Database, arguments: Arguments, now: int) -> str:
    """Items that wait for another one that will never tell them."""
    rows = _of_job(database.all("check_stranded_follower"), arguments)
    for _, _, item, _ in rows:
        database.run("free_follower", item)
    return f"{counted(len(rows), 'item waits', 'items wait')} for another one no longer"


def deliver(database: Database, arguments: Arguments, now: int) -> str:
    """Follow-ups that an ended job should have."""
    children = deliver_followups(database, arguments["job"], now)
    return f"created or brought up to date: job {', '.join(map(str, children)) or 'none'}"


def mend_references(database: Database, arguments: Arguments, now: int) -> str:
    """Rows that name others that are not there: stand-ins where something good hangs on them, else they go.

    `certain` in the arguments says that every result is known to be there or known to be lost.
    """
    counts = {"jobs": database.run("mend_jobs", now, _default_settings())}
    database.run("mend_items_of_lost_jobs", now)
    database.run("mend_session_zero")
    counts["attempts"] = database.run("mend_attempts_of_results")
    if arguments.get("certain", True):
        counts["attempts"] += database.run("mend_attempts_of_items")
    counts["sessions"] = database.run("mend_sessions")
    bare = database.all("items_without_payload")
    for _, _, item, _ in bare:
        database.run("insert_payload", item, "null")
        _without_payload(database, item, now)
    _read_again(database, {row[0] for row in bare})
    dropped = sum(
        database.run(f"drop_{name}")
        for name in ("payloads_without_item", "results_without_item", "attempts_without_item", "staged_without_request")
    )
    database.run("mend_parents")
    database.run("mend_children")
    stand_ins = ", ".join(f"{count} {table}" for table, count in counts.items() if count)
    _note(database, None, None, "broken references were mended", now)
    return (
        f"stand-ins: {stand_ins or 'none'}; {counted(len(bare), 'payload was', 'payloads were')} lost; "
        f"{counted(dropped, 'row of a lost item was', 'rows of lost items were')} left in the backup"
    )


def complete_salvage(database: Database, salvaged: Salvaged, now: int) -> str:
    """What a salvaged spool needs so that the same command, run again, brings back what it lost."""
    with database.write():
        lost: set[int] = set()
        for item, number in salvaged.results:
            lost.update(row[0] for row in database.all("users_of_result", item, number))
        if salvaged.results_unknown:
            # A finished item may have no result at all; here nothing tells that from one that was lost.
            lost.update(row[0] for row in database.all("done_without_result_row"))
        _run_again(database, sorted(lost), "its result was lost", None, now)
        text = mend_references(database, {"certain": not salvaged.results_unknown}, now)
        if salvaged.tables & {"items", "payloads", "blocks", "jobs"}:
            _read_again(database, [row[0] for row in database.all("all_job_ids")])
    return f"{text}; {counted(len(lost), 'item runs', 'items run')} again because the result was lost"


REPAIRS: dict[str, Repair] = {
    "interrupt": interrupt, "close_attempts": close_attempts, "rerun_without_attempt": rerun_without_attempt,
    "rerun_items": rerun_items, "rerun_bad_results": rerun_bad_results, "lose_payloads": lose_payloads,
    "replace_settings": replace_settings, "forget_event_data": forget_event_data, "drop_requests": drop_requests,
    "clamp_waits": clamp_waits, "free_followers": free_followers, "deliver": deliver,
    "mend_references": mend_references,
}  # fmt: skip
