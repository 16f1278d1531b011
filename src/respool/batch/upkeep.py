"""What can be wrong with a spool, seen without changing anything: rows, files, the clock, the disk. Gives Findings.

What needs processes or a task's code is added by the doctor itself. A fix is named as in repairs.py; `set_aside` in its
arguments lists files that are first moved to the backup folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from respool.batch.digests import Digests
from respool.batch.places import Places
from respool.batch.store.connection import Database
from respool.canonical import digest
from respool.clock import MICROSECONDS, rfc3339
from respool.errors import SpoolUnreadable, SpoolUnwritable
from respool.findings import Finding, Fix, Severity
from respool.phrases import counted
from respool.sliding_log import SlidingLog

STALE = "STALE_BATCH_PROGRESS"
CORRUPT = "BATCH_PROGRESS_CORRUPT"
DAY = 86_400 * MICROSECONDS
FAR = 7 * DAY  # no announced wait that is kept as state may be longer than a day
SKEW = 300 * MICROSECONDS  # clocks of machines differ by less
STALLED = DAY
LEAST_FREE = 100_000_000  # bytes
_NAMED = 5


class Check(NamedTuple):
    """A question about items, and what it means if it has answers. `live` tells whether it is asked during a run."""

    query: str
    code: str
    says: str
    advice: str
    fix: str
    live: bool = True


CHECKS = (
    Check("check_running_without_attempt", "RUNNING_WITHOUT_ATTEMPT", "running, but without an open attempt",
          "the fix makes them pending again", "interrupt"),
    Check("check_attempt_without_running_item", "ATTEMPT_WITHOUT_OWNER",
          "not running, but with an attempt that says so", "the fix closes those attempts", "close_attempts"),
    Check("check_done_without_attempt", "DONE_WITHOUT_RESULT", "finished, but without the attempt that did it",
          "the fix runs them again", "rerun_without_attempt"),
    Check("check_result_json", CORRUPT, "with a result that is no JSON",
          "the fix runs them again", "rerun_bad_results"),
    Check("check_payload_json", CORRUPT, "with a payload that is no JSON",
          "the fix gives it up; submitting the job again brings it back", "lose_payloads"),
    Check("check_stranded_follower", "STRANDED_ITEM", "waiting for an equal item that is not running",
          "the fix lets them run", "free_followers", live=False),
)  # fmt: skip


def diagnose(database: Database, *, alive: bool, now: int) -> list[Finding]:
    """Everything that the database tells of itself; `alive` says whether a runner holds the spool at this moment.

    A database that is damaged gives one error and no more: what it says besides cannot be believed.
    """
    try:
        broken = [row[0] for row in database.all("integrity_check") if row[0] != "ok"]
        if broken:
            return [unreadable(database.places, "; ".join(broken[:3]))]
        for _ in database.each("every_text"):
            pass  # SQLite hands text out as it lies there; only reading it shows whether it still is text
        return [
            *_references(database), *_running(database, alive), *_items(database, alive, now), *_jobs(database),
            *_result_files(database), *_time(database, alive, now),
        ]  # fmt: skip
    except SpoolUnreadable as error:
        return [unreadable(database.places, error.what)]
    except SpoolUnwritable as error:
        if "decode to UTF-8" not in error.what:
            raise
        return [unreadable(database.places, "a row holds text that is no text any more")]


def unreadable(places: Places, why: str) -> Finding:
    """The finding that a spool's file is damaged; its fix saves what can be saved."""
    return Finding(
        CORRUPT, Severity.ERROR, str(places.database), f"the spool's file is damaged: {why}",
        "respool doctor --fix keeps the file, saves every readable row, and names what was lost", Fix("salvage"),
    )  # fmt: skip


def _by_job(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, str, list[Sequence[Any]]]]:
    groups: dict[int, list[Sequence[Any]]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row)
    for job, found in sorted(groups.items()):
        yield job, f"job {job} ({found[0][1]})", found


def _count(rows: Sequence[Sequence[Any]]) -> str:
    keys = ", ".join(str(row[3]) for row in rows[:_NAMED]) + (", ..." if len(rows) > _NAMED else "")
    return f"{counted(len(rows), 'item')} ({keys})"


def _warning(code: str, subject: str, message: str, advice: str = "", fix: Fix | None = None) -> Finding:
    return Finding(code, Severity.WARNING, subject, message, advice, fix)


def _references(database: Database) -> Iterator[Finding]:
    rows = database.all("foreign_key_check")
    if rows:
        text = "; ".join(
            f"{counted(count, 'row')} of {table} without what is named in {parent}" for table, parent, count in rows
        )
        fix = Fix("mend_references", {"certain": False})
        yield _warning("BROKEN_REFERENCES", "the spool's tables", text, "the fix puts stand-ins where it can", fix)


def _running(database: Database, alive: bool) -> Iterator[Finding]:
    if alive:
        return
    session = database.one("latest_session")
    who = f" (process {session[1]} on {session[2]}, started {rfc3339(session[4])})" if session is not None else ""
    for job, subject, rows in _by_job(database.all("check_running")):
        yield _warning(
            STALE, subject, f"{_count(rows)} marked as running: owning process not running{who}",
            "the fix, or the next run, takes over what they reached and makes the rest pending again",
            Fix("interrupt", {"job": job}),
        )  # fmt: skip


def _items(database: Database, alive: bool, now: int) -> Iterator[Finding]:
    for check in CHECKS:
        if alive and not check.live:
            continue
        for job, subject, rows in _by_job(database.all(check.query)):
            fix = Fix(check.fix, {"job": job})
            yield _warning(check.code, subject, f"{_count(rows)} {check.says}", check.advice, fix)
    for job, subject, rows in _by_job(database.all("check_far_wait", now + FAR)):
        yield _warning(
            "FAR_FUTURE_WAIT", subject, f"{_count(rows)} waiting until a day more than a week ahead",
            "the clock was wrong when they were put off; the fix makes them due now",
            Fix("clamp_waits", {"job": job, "beyond": now + FAR}),
        )  # fmt: skip


def _jobs(database: Database) -> Iterator[Finding]:
    for job, name in database.all("check_job_json"):
        yield _warning(
            CORRUPT, f"job {job} ({name})", "its settings are no JSON",
            "the fix pauses it until it is submitted again", Fix("replace_settings", {"job": job}),
        )  # fmt: skip
    for job, name in database.all("check_request_json"):
        yield _warning(
            CORRUPT, f"job {job} ({name})", "a request that is stored for it is no JSON",
            "the fix closes it; send it again", Fix("drop_requests", {"job": job}),
        )  # fmt: skip
    events = (database.one("check_event_json") or (0,))[0]
    if events:
        yield _warning(
            CORRUPT, "events", f"the details of {counted(events, 'event')} are no JSON", "the fix gives those details up",
            Fix("forget_event_data"),
        )  # fmt: skip
    for job, name, task in database.all("check_undelivered"):
        yield _warning(
            "UNDELIVERED_FOLLOWUP", f"job {job} ({name})", f"it has ended, but its follow-up {task} was not created",
            "the fix creates it", Fix("deliver", {"job": job}),
        )  # fmt: skip
    for job, name in database.all("unsealed_jobs"):
        yield Finding(
            "UNFINISHED_SUBMISSION", Severity.INFO, f"job {job} ({name})",
            "its submission did not come to its end, so nothing of it runs", "submit it again: it goes on there",
        )  # fmt: skip


def _result_files(database: Database) -> Iterator[Finding]:
    sound: dict[str, str | None] = {}
    bad: dict[str, list[Sequence[Any]]] = {"missing": [], "altered": []}
    for row in database.all("check_result_file"):
        name = row[4]
        if name not in sound:
            sound[name] = _fault(database.places.result(name), name)
        fault = sound[name]
        if fault is not None:
            bad[fault].append(row)
    for fault, rows in bad.items():
        for job, subject, found in _by_job(rows):
            files = sorted({str(database.places.result(row[4])) for row in found}) if fault == "altered" else []
            reason = f"the file of its result is {fault}"
            items = [row[2] for row in found]
            yield _warning(
                f"{fault.upper()}_RESULT_FILE", subject, f"{_count(found)}: {reason}", "the fix runs them again",
                Fix("rerun_items", {"job": job, "items": items, "reason": reason, "set_aside": files}),
            )  # fmt: skip


def _outputs(database: Database) -> Iterator[Finding]:
    """Files that commands declared and produced, and that are not what they were."""
    digests = Digests(database)
    bad: dict[str, list[Sequence[Any]]] = {"missing": [], "altered": []}
    for row in database.each("check_outputs"):
        found = [(path, digests.of(Path(path)) == digest) for path, _, digest in json.loads(row[4])]
        if not all(intact for _, intact in found):
            bad["altered" if all(Path(path).exists() for path, _ in found) else "missing"].append(row[:4])
    for fault, rows in bad.items():
        for job, subject, of_job in _by_job(rows):
            reason = f"a file that it produced is {fault}"
            yield _warning(
                f"{fault.upper()}_OUTPUT_FILE", subject, f"{_count(of_job)}: {reason}",
                "the same command makes it again; so does the next run after the fix",
                Fix("rerun_items", {"job": job, "items": [row[2] for row in of_job], "reason": reason}),
            )  # fmt: skip


def _fault(path: Path, name: str) -> str | None:
    try:
        return None if digest(path.read_bytes().decode("utf-8")) == name else "altered"
    except UnicodeDecodeError:
        return "altered"
    except OSError:
        return "missing"


def _time(database: Database, alive: bool, now: int) -> Iterator[Finding]:
    ahead = (database.one("check_future_stamps", now + SKEW) or (0,))[0]
    if ahead:
        yield _warning(
            "CLOCK_JUMP", "clock",
            f"{counted(ahead, 'stored time lies', 'stored times lie')} in the future: the clock was set back, or was wrong",
            "check the machine's clock; waits and durations may be off until these times have passed",
        )  # fmt: skip
    session, last = database.one("latest_session"), database.one("last_event_at")
    if alive and session is not None:
        quiet_since = max(session[4], last[0] if last is not None else 0)
        if now - quiet_since > STALLED:
            yield _warning(
                "STALLED_RUN", f"process {session[1]} on {session[2]}",
                f"the live run has settled nothing since {rfc3339(quiet_since)}",
                "look at what it waits for: respool jobs list; a live run is never touched",
            )  # fmt: skip


def diagnose_files(database: Database, *, alive: bool) -> list[Finding]:
    """What lies in the spool's folders and should not. During a run nothing is said of what a runner may be writing."""
    places = database.places
    found = [*_pace(places), *_space(places)]
    if alive:
        return found
    found += _outputs(database)
    torn = [path for path in places.sessions.glob("*/*") if path.is_file() and not _has(path, "pid")]
    if torn:
        fix = Fix("set_aside", {"set_aside": [str(path) for path in torn]})
        text = f"{_names(torn)} cannot be read"
        found.append(_warning(CORRUPT, "session files", text, "the fix moves them away", fix))
    if places.owner_lock.exists() and places.owner_lock.stat().st_size and not _has(places.owner_lock, "pid"):
        text = "the lock file's text, which names its holder, cannot be read (the lock itself is free)"
        found.append(_warning(CORRUPT, str(places.owner_lock), text, "the fix writes it anew", Fix("rewrite_lock")))
    lost = [*_orphan_files(database)]
    if lost:
        fix = Fix("set_aside", {"set_aside": [str(path) for path in lost]})
        found.append(
            Finding("ORPHAN_FILES", Severity.INFO, str(places.files), f"nothing refers to {_names(lost)}",
                    "left by a kill; harmless. The fix moves them to the backup folder", fix)
        )  # fmt: skip
    return found


def _names(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:_NAMED])
    return f"{counted(len(paths), 'file')} ({names}{', ...' if len(paths) > _NAMED else ''})"


def _has(path: Path, name: str) -> bool:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and name in data


def _orphan_files(database: Database) -> Iterator[Path]:
    places = database.places
    yield from places.folder.glob(f".{places.database.name}.*.new*")
    for path in sorted(places.results.glob("*/*")):
        if path.name.endswith(".tmp") or not (database.one("result_file_exists", path.name) or (0,))[0]:
            yield path
    for path in sorted(places.attempts.glob("*/*")):
        numbers = re.fullmatch(r"(\d+)-(\d+)", path.name)
        if numbers is None or not (database.one("attempt_exists", *map(int, numbers.groups())) or (0,))[0]:
            yield path
        else:
            yield from sorted(path.glob(".*.tmp"))


def _pace(places: Places) -> Iterator[Finding]:
    torn = []
    for path in sorted(places.pace.glob("*.pace")):
        try:
            content = path.read_bytes()
            key = json.loads(content.split(b"\n", 2)[1])["key"]
            SlidingLog.decode(content, key)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            torn.append(path)
    if torn:
        fix = Fix("heal_pace", {"set_aside": [str(path) for path in torn]})
        text = f"{_names(torn)} of the rate limits cannot be read; such a limit counts as used up at that moment"
        yield _warning(CORRUPT, str(places.pace), text, "the fix starts them anew, on the slow side", fix)


def _space(places: Places) -> Iterator[Finding]:
    state = os.statvfs(places.folder)
    free = state.f_bavail * state.f_frsize
    if free < LEAST_FREE:
        yield _warning(
            "LOW_DISK_SPACE", str(places.folder), f"only {free / 1e6:.0f} MB are free on its disk",
            "make room; a full disk stops the run (what was committed is safe)",
        )  # fmt: skip
