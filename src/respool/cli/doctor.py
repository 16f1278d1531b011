"""`respool doctor`: what is wrong with a spool and with the project's cassettes, and its repair."""

from __future__ import annotations

import os

import click

from respool import doctor as diagnosis
from respool import library_doctor
from respool.batch import backup_folder
from respool.batch.places import Places
from respool.cassette.upkeep.fixes import Fixed as FixedCassette
from respool.cassette.upkeep.settings import UpkeepSettings, load_upkeep
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, OF_REHEARSALS, WHERE, option, places_of, same_spool
from respool.cli.shown import put_finding
from respool.cli.talk import put, put_json, say
from respool.clock import SYSTEM
from respool.config import project_file
from respool.doctor import Fixed, Report
from respool.errors import UsageError
from respool.findings import Finding
from respool.phrases import counted


@click.command("doctor")
@option("--fix", "fix", is_flag=True, help="Back up, repair what can be repaired, and look again.")
@option("--undo", "undo", is_flag=True, help="Exchange what the last repair touched with its backup; again: back.")
@option("--dry-run", "dry_run", is_flag=True, help="With --fix: say what would be repaired, and change nothing.")
@FOR_MACHINES
@WHERE
@OF_REHEARSALS
def doctor(fix: bool, undo: bool, dry_run: bool, as_json: bool, spool: str | None, rehearsal: bool) -> int:
    """Find what is wrong with a spool, and with the project's cassettes, and mend it.

    Cassettes are looked at as `respool cassettes check` does, where there is a pyproject.toml; with --spool or
    --rehearsal the spool alone is. A live run is never touched. Ends with 1 if a warning or an error remains, 0
    otherwise. --undo ends with 0 once things are back as they were; what is wrong with that is told all the same.
    """
    if fix and undo:
        raise UsageError("--fix and --undo exclude each other")
    if undo and dry_run:
        raise UsageError("--dry-run says what --fix would do, not --undo")
    places = places_of(spool, rehearsal=rehearsal)
    settings = load_upkeep() if spool is None and not rehearsal and project_file() is not None else None
    report, cassettes = _undone(places, settings) if undo else _looked(places, settings, mend=fix and not dry_run)
    if as_json:
        put_json(report.to_data())
    else:
        for done in report.fixes:
            put(f"{'fixed' if done.fixed else 'NOT fixed'}  {done.code}: {done.message}")
        for finding in report.findings:
            plan = f"call: {finding.fix.name}" if finding.fix else "leave it"
            put_finding(finding, plan=plan if dry_run else "")
        if report.backup is not None:
            say(f"backup: {report.backup}; respool doctor --undo{same_spool(places)} goes back to it")
        say(_summary(report.findings, same_spool(places), asked=fix, cassettes=cassettes))
    # An undo was asked to bring back a state that somebody had found wrong: that it is wrong again is no failure of it.
    return int(Exit.DONE if report.healthy or undo else Exit.FAILED)


def _looked(places: Places, settings: UpkeepSettings | None, *, mend: bool) -> tuple[Report, int]:
    """Both halves, each mended before it is told if `mend` says so; and how many cassettes there are."""
    now = SYSTEM.now()
    environ = dict(os.environ)
    seen = library_doctor.diagnose(settings, now, environ) if settings is not None else None
    if seen is not None and (seen.cassettes or seen.findings) and not places.database.exists():
        report = Report([])
    else:
        report = diagnosis.fix(places) if mend else diagnosis.diagnose(places)
    if seen is None or settings is None:
        return report, 0
    if mend:
        seen = library_doctor.fix(settings, now, environ)
        if seen.backup is not None:
            if report.backup is not None:
                seen.backup.beside = report.backup.name
                seen.backup.save()
            report.backup = report.backup or seen.backup.folder
    report.findings += seen.findings
    report.fixes += [_told(done) for done in seen.fixes]
    return report, seen.cassettes


def _undone(places: Places, settings: UpkeepSettings | None) -> tuple[Report, int]:
    """The last repair taken back: of the spool, of cassettes, or of both if it was one repair."""
    kept = library_doctor.last_backup(settings) if settings is not None else None
    try:
        last = backup_folder.latest(places) if places.database.exists() else None
    except UsageError:
        last = None
    if settings is None or kept is None:
        return diagnosis.undo(places), 0
    together = last is not None and kept.beside == last.folder.name
    if last is not None and not together and last.at > kept.at:
        return diagnosis.undo(places), 0
    report = diagnosis.undo(places) if together else Report([])
    done, aside = library_doctor.undo(settings, SYSTEM.now())
    if report.backup is not None:
        aside.beside = report.backup.name
        aside.save()
    report.backup = report.backup or aside.folder
    report.fixes.append(_told(done))
    seen = library_doctor.diagnose(settings, SYSTEM.now(), dict(os.environ))
    report.findings += seen.findings
    return report, seen.cassettes


def _told(done: FixedCassette) -> Fixed:
    return Fixed(done.code, done.fixed, f"{done.subject}: {done.message}")


def _summary(findings: list[Finding], there: str, *, asked: bool, cassettes: int) -> str:
    if not findings:
        return "nothing is wrong with this spool" + (f", nor with {counted(cassettes, 'cassette')}" if cassettes else "")
    fixable = sum(finding.fixable for finding in findings)
    hint = f", {fixable} of them fixable: respool doctor --fix{there}" if fixable and not asked else ""
    return f"{counted(len(findings), 'finding')}{hint}"
