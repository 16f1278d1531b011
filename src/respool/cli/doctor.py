"""`respool doctor`: what is wrong with a spool, and its repair."""

from __future__ import annotations

import click

from respool import doctor as diagnosis
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, OF_REHEARSALS, WHERE, option, places_of, same_spool
from respool.cli.talk import put, put_json, say
from respool.errors import UsageError
from respool.findings import Finding, Severity
from respool.phrases import counted

_MARKS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "info"}


@click.command("doctor")
@option("--fix", "fix", is_flag=True, help="Back up, repair what can be repaired, and look again.")
@option("--undo", "undo", is_flag=True, help="Exchange the spool with its last backup; undo that by --undo again.")
@option("--dry-run", "dry_run", is_flag=True, help="With --fix: say what would be repaired, and change nothing.")
@FOR_MACHINES
@WHERE
@OF_REHEARSALS
def doctor(fix: bool, undo: bool, dry_run: bool, as_json: bool, spool: str | None, rehearsal: bool) -> int:
    """Find what is wrong with a spool, and mend it.

    A live run is never touched. Ends with 1 if a warning or an error remains, 0 otherwise. --undo ends with 0 once the
    spool is back as it was; what is wrong with that is told all the same.
    """
    if fix and undo:
        raise UsageError("--fix and --undo exclude each other")
    if undo and dry_run:
        raise UsageError("--dry-run says what --fix would do, not --undo")
    places = places_of(spool, rehearsal=rehearsal)
    if undo:
        report = diagnosis.undo(places)
    elif fix and not dry_run:
        report = diagnosis.fix(places)
    else:
        report = diagnosis.diagnose(places)
    if as_json:
        put_json(report.to_data())
    else:
        for done in report.fixes:
            put(f"{'fixed' if done.fixed else 'NOT fixed'}  {done.code}: {done.message}")
        for finding in report.findings:
            _tell(finding, would=dry_run)
        if report.backup is not None:
            say(f"backup: {report.backup}; respool doctor --undo{same_spool(places)} goes back to it")
        say(_summary(report.findings, same_spool(places), asked=fix))
    # An undo was asked to bring back a state that somebody had found wrong: that it is wrong again is no failure of it.
    return int(Exit.DONE if report.healthy or undo else Exit.FAILED)


def _tell(finding: Finding, *, would: bool) -> None:
    put(f"{_MARKS[finding.severity]:8} {finding.code}  {finding.subject}: {finding.message}")
    if would:
        put(f"{'':8} --fix would call: {finding.fix.name}" if finding.fix else f"{'':8} --fix would leave it")
    if finding.advice:
        put(f"{'':8} {finding.advice}")


def _summary(findings: list[Finding], there: str, *, asked: bool) -> str:
    if not findings:
        return "nothing is wrong with this spool"
    fixable = sum(finding.fixable for finding in findings)
    hint = f", {fixable} of them fixable: respool doctor --fix{there}" if fixable and not asked else ""
    return f"{counted(len(findings), 'finding')}{hint}"
