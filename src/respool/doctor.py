"""The doctor of a spool: looks at everything, repairs what can be repaired, and can take a repair back.

It never touches a live run: while a runner holds the spool it only looks. A repair holds the owner lock, backs the
spool up first, and looks again afterwards.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respool.batch import backup_folder
from respool.batch.adopt import adopt_leftovers
from respool.batch.backup_folder import Backup
from respool.batch.declaration import Mode, Task
from respool.batch.migrations import migrate
from respool.batch.places import Places
from respool.batch.repairs import REPAIRS, complete_salvage
from respool.batch.store import reading
from respool.batch.store.backups import Identity, check_copy, finish_install, identify, install, interrupted_install
from respool.batch.store.connection import Database, unwritable
from respool.batch.store.salvage import salvage
from respool.batch.tasks import resolve
from respool.batch.upkeep import diagnose as diagnose_rows
from respool.batch.upkeep import diagnose_files, unreadable
from respool.batch.workers.command_line import preflight
from respool.batch.workers.process_table import start_ticks
from respool.batch.workers.remains import end_group, end_strays, stray
from respool.clock import SYSTEM, Clock, local_time
from respool.errors import RespoolError, SpoolBusy, SpoolUnreadable, SpoolUnwritable, UsageError
from respool.files import FileLock, remove_tree
from respool.findings import Finding, Fix, Severity
from respool.pace import start_anew
from respool.phrases import counted

GRACE = 2.0  # seconds between TERM and KILL for a process that nobody owns any more
ROUNDS = 4  # a repair may uncover what could not be seen before it

# What is mended first: later repairs rely on readable rows, and on nothing of a dead run working any more.
ORDER = (
    "finish_install", "salvage", "rewrite_lock", "replace_settings", "lose_payloads", "mend_references",
    "interrupt", "end_processes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fixed:
    """What became of one repair."""

    code: str
    fixed: bool
    message: str


@dataclass(slots=True)
class Report:
    """What the doctor saw, after its repairs if it made any."""

    findings: list[Finding]
    fixes: list[Fixed] = field(default_factory=list)
    backup: Path | None = None

    @property
    def healthy(self) -> bool:
        """Whether no warning and no error is left."""
        return all(finding.severity is Severity.INFO for finding in self.findings)

    def to_data(self) -> dict[str, Any]:
        """JSON-ready: {"diagnostics": [...], "fixes": [...], "backup"}."""
        return {
            "diagnostics": [
                {"item": one.subject, "severity": str(one.severity), "code": one.code, "message": one.message,
                 "fixable": one.fixable, "advice": one.advice}
                for one in self.findings
            ],
            "fixes": [{"code": one.code, "fixed": one.fixed, "message": one.message} for one in self.fixes],
            "backup": str(self.backup) if self.backup is not None else None,
        }  # fmt: skip


def diagnose(places: Places, clock: Clock = SYSTEM) -> Report:
    """Look at a spool without changing it. Raises UsageError if there is none.

    >>> diagnose(Places.at(".respool/spool.db")).healthy            # doctest: +SKIP
    True
    """
    lock = FileLock(places.owner_lock)
    for _ in range(3):
        alive = not lock.is_free()
        report = Report(_look(places, clock, alive=alive))
        if alive == (not lock.is_free()):
            break  # else a run began or ended meanwhile, and what was seen may mean nothing
    return report


def fix(places: Places, clock: Clock = SYSTEM) -> Report:
    """Back up, repair all that can be repaired, look again. Raises SpoolBusy, naming who and since, during a live run.

    A spool without anything to repair is not written to, and no backup is made; what is not ours is only looked at.
    """
    if identify(places) in (Identity.FOREIGN, Identity.NEWER):
        return diagnose(places, clock)
    with _held(places, clock):
        report = Report(_look(places, clock, alive=False))
        if not any(finding.fixable for finding in report.findings):
            return report
        if any(finding.fix == Fix("finish_install") for finding in report.findings):
            finish_install(places)
            report.fixes.append(Fixed("BATCH_PROGRESS_CORRUPT", True, "the interrupted repair was completed"))
            report.findings = _look(places, clock, alive=False)
        backup: Backup | None = None
        tried: set[tuple[str, str, str]] = set()
        for _ in range(ROUNDS):
            todo = [one for one in report.findings if one.fix is not None and _name(one) not in tried]
            if not todo:
                break
            damaged = any(one.fix == Fix("salvage") for one in todo)
            backup = backup or backup_folder.take(places, clock, "fix", damaged=damaged)
            todo.sort(key=lambda one: ORDER.index(one.fix.name) if one.fix and one.fix.name in ORDER else len(ORDER))
            for finding in todo:
                tried.add(_name(finding))
                report.fixes.append(_repair(places, finding, backup, clock))
            report.findings = _look(places, clock, alive=False)
        if backup is not None:
            backup.notes = [f"{one.code}: {one.message}" for one in report.fixes]
            backup.save()
            report.backup = backup.folder
        return report


def undo(places: Places, clock: Clock = SYSTEM) -> Report:
    """Exchange the spool with its last backup, so that undoing twice changes nothing. Raises as `fix` does."""
    with _held(places, clock):
        finish_install(places)
        backup, aside = backup_folder.put_back(places, clock)
        what = f"before the last {'repair' if backup.why == 'fix' else backup.why} ({local_time(backup.at)})"
        text = f"the spool is as it was {what}; what it was until now is kept in {aside.folder}"
        return Report(_look(places, clock, alive=False), [Fixed("UNDO", True, text)], aside.folder)


def _name(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.subject, finding.fix.name if finding.fix is not None else ""


@contextlib.contextmanager
def _held(places: Places, clock: Clock) -> Iterator[None]:
    """Hold the spool as a runner does, so that none can start meanwhile."""
    if identify(places) is Identity.ABSENT:
        raise _no_spool(places)
    lock = FileLock(places.owner_lock)
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": clock.now(), "session": "doctor"}
    try:
        mine = lock.acquire(holder=holder)
    except OSError as error:
        raise unwritable(error, str(places.owner_lock)) from error
    if not mine:
        who = lock.holder()
        since = local_time(who["since"]) if isinstance(who.get("since"), int) else "an unknown time"
        raise SpoolBusy(
            f"a live runner holds this spool: process {who.get('pid', '?')} on {who.get('host', '?')}, since {since}",
            where=str(places.database), why="the doctor never touches a live run",
            command="respool doctor, without --fix or --undo, looks only",
        )  # fmt: skip
    try:
        yield
    except OSError as error:
        raise SpoolUnwritable(
            f"the doctor cannot write here: {error}", where=str(places.files), why="what was committed is safe",
            command="make room, or mend the folder's permissions; then the same command again",
        ) from error  # fmt: skip
    finally:
        lock.release()


def _no_spool(places: Places) -> UsageError:
    return UsageError(
        "there is no spool here", where=str(places.database), command="name one: respool doctor --spool PATH"
    )


def _look(places: Places, clock: Clock, *, alive: bool) -> list[Finding]:
    if interrupted_install(places):
        text = "a repair was interrupted before its result took the spool's place"
        return [Finding("BATCH_PROGRESS_CORRUPT", Severity.ERROR, str(places.database), text,
                        "the fix completes it", Fix("finish_install"))]  # fmt: skip
    match identify(places):
        case Identity.ABSENT:
            raise _no_spool(places)
        case Identity.DAMAGED:
            return [unreadable(places, "SQLite cannot read it")]
        case Identity.OLDER:
            return [Finding("OLDER_SCHEMA", Severity.WARNING, str(places.database), "an older respool has written it",
                            "the fix, or the next run, brings it forward", Fix("migrate"))]  # fmt: skip
        case Identity.NEWER:
            return [Finding("NEWER_SCHEMA", Severity.ERROR, str(places.database), "a newer respool has written it",
                            "pip install --upgrade respool; it is left as it is")]  # fmt: skip
        case Identity.FOREIGN:
            return [Finding("NOT_A_SPOOL", Severity.ERROR, str(places.database), "this file is no spool",
                            "name another: --spool PATH; it is left as it is")]  # fmt: skip
    try:
        with Database.open(places, read_only=True, clock=clock) as database:
            found = diagnose_rows(database, alive=alive, now=clock.now())
            if any(finding.fix == Fix("salvage") for finding in found):
                return found
            return [*found, *diagnose_files(database, alive=alive), *_processes(database, alive), *_tasks(database)]
    except SpoolUnreadable as error:
        return [unreadable(places, error.what)]


def _processes(database: Database, alive: bool) -> Iterator[Finding]:
    """Processes of ours that outlived their run: by pid and start time, or by the mark that they carry."""
    seen = stray(reading.spool_id(database))
    if alive:  # rows are asked after processes, and processes once more: a run starts and ends items meanwhile
        live = {(row[0], row[1]) for row in database.all("running_rows")}
        workers = {pid for pid, _ in _recorded(database.places)}
        seen = [one for one in seen if (one.item, one.number) not in live and one.process.pid not in workers]
        seen = [one for one in seen if one.item and one.process.alive()]
    lost = {one.process.pid: one.command or "?" for one in seen}
    if not alive:
        lost.update({pid: "worker process" for pid, _ in _recorded(database.places)})
    for pid, command in sorted(lost.items()):
        yield Finding(
            "ORPHAN_PROCESS", Severity.WARNING, f"process {pid}", f"it belongs to no running item: {command[:200]}",
            "the fix ends it" if not alive else "a run is alive, so it is left alone: kill it yourself if it is no use",
            None if alive else Fix("end_processes"),
        )  # fmt: skip


def _recorded(places: Places) -> list[tuple[int, int]]:
    """(pid, start) of the worker processes that sessions recorded, and that are still alive."""
    found = []
    for path in places.sessions.glob("*/*"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(path.read_bytes())
            pid, ticks = int(known["pid"]), int(known["ticks"])
            if pid > 1 and start_ticks(pid) == ticks:
                found.append((pid, ticks))
    return found


def _tasks(database: Database) -> Iterator[Finding]:
    """Open jobs whose task is not to be found. Resolving one imports the user's module, which may print anything."""
    for job, name, task, settings in database.all("tasks_of_open_jobs"):
        try:
            declared = json.loads(settings)
            stored = Task.from_settings(task, "1", declared)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                if stored.mode is Mode.COMMAND:
                    preflight(stored)
                else:
                    resolve(task, folder=Path(declared["folder"]) if declared.get("folder") else None)
        except RespoolError as error:
            why = f": {error.why}" if error.why else ""
            yield Finding("UNKNOWN_TASK", Severity.WARNING, f"job {job} ({name})", f"{error.what}{why}",
                          error.command or "bring the task back, or cancel the job")  # fmt: skip
        except (ValueError, KeyError, TypeError):
            continue  # its settings cannot be read: a finding of its own


def _repair(places: Places, finding: Finding, backup: Backup, clock: Clock) -> Fixed:
    """One repair; what goes wrong in it is told, and stops none of the others."""
    assert finding.fix is not None
    name, arguments = finding.fix.name, finding.fix.arguments
    try:
        for path in arguments.get("set_aside", ()):
            backup.aside.take(Path(path))
        if name == "salvage":
            return Fixed(finding.code, *_salvage(places, backup, clock))
        if name == "rewrite_lock":  # taking it has done that
            return Fixed(finding.code, True, "the lock file names its holder again")
        if name == "migrate":
            migrate(places, backup.folder, clock=clock)
            return Fixed(finding.code, True, "it was brought forward to this program's schema")
        if name == "set_aside":
            moved = counted(len(arguments["set_aside"]), "file was", "files were")
            return Fixed(finding.code, True, f"{moved} moved to {backup.folder}")
        with Database.open(places, clock=clock) as database:
            if name == "end_processes":
                return Fixed(finding.code, True, _end_processes(database))
            if name == "heal_pace":
                return Fixed(finding.code, True, _heal_pace(arguments["set_aside"], clock))
            if name == "interrupt" and (text := _adopt(database, clock)) is not None:
                return Fixed(finding.code, True, text)
            with database.write():
                return Fixed(finding.code, True, REPAIRS[name](database, arguments, clock.now()))
    except (RespoolError, OSError) as error:
        return Fixed(finding.code, False, str(error))


def _adopt(database: Database, clock: Clock) -> str | None:
    """Take over what a dead run reached, as the next run would; None if its rows do not allow that."""
    if database.one("any_running") == (0,):
        return "done together with another job"
    try:
        found = adopt_leftovers(database, clock, random.random, grace=GRACE)
    except (RespoolError, ValueError, KeyError, TypeError):
        return None
    processes = len(found.ended_processes)
    ended = f"; {counted(processes, 'process was', 'processes were')} ended" if processes else ""
    taken = counted(found.adopted, "finished result was", "finished results were")
    again = counted(found.interrupted, "item is", "items are")
    return f"{taken} taken over, {again} pending again{ended}"


def _end_processes(database: Database) -> str:
    spool = reading.spool_id(database)
    ended = [str(pid) for pid, ticks in _recorded(database.places) if end_group(pid, ticks, GRACE)]
    ended += [str(one.process.pid) for one in end_strays(spool, grace=GRACE)]
    return f"ended: {', '.join(ended) or 'none was left'}"


def _heal_pace(files: list[str], clock: Clock) -> str:
    for file in files:
        start_anew(Path(file), clock.now())
    return f"{counted(len(files), 'limit counts', 'limits count')} as used up now, and from there on as declared"


def _salvage(places: Places, backup: Backup, clock: Clock) -> tuple[bool, str]:
    """Make a new spool of the readable rows of the backup, and put it in the place of the damaged one."""
    folder = backup.folder / "salvaged"
    target = Places(folder / "spool.db")
    saved = salvage(backup.copy, target, clock)
    with Database.open(target, clock=clock) as database:
        mended = complete_salvage(database, saved, clock.now())
        database.checkpoint(wait=True)
    check_copy(target.database)
    install(places, target.database)
    remove_tree(folder)
    rows = ", ".join(f"{count} {table}" for table, count in saved.rows.items() if count) or "no rows"
    lost = "; ".join(saved.lost) or "nothing"
    again = " Submit the same jobs again: what was lost comes back from their source." if saved.lost else ""
    text = f"saved {rows}. Lost: {lost}. {mended}.{again} The damaged file is kept in {backup.folder}"
    return True, text
