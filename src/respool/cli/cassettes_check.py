"""`respool cassettes check`: everything that is wrong with a library, its repair, and the way back."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from respool.cassette.leaks.second_opinion import kingfisher
from respool.cassette.library import SUFFIXES, Library
from respool.cassette.upkeep import baseline, fixes
from respool.cassette.upkeep.checks import CHECKS, Order, Seen, Spotted, check, redaction_of
from respool.cassette.upkeep.settings import UpkeepSettings, load_upkeep
from respool.cassette.upkeep.upstream import version_of
from respool.cli.cassettes_sarif import sarif
from respool.cli.exits import Exit
from respool.cli.options import FOR_MACHINES, option, together
from respool.cli.shown import put_finding
from respool.cli.talk import put, put_json, say
from respool.clock import SYSTEM, local_time, rfc3339
from respool.errors import UsageError
from respool.phrases import counted

_ASKS = together(
    option("--only", multiple=True, type=click.Choice(CHECKS), metavar="CHECK", help="Look at this only; may be repeated."),
    option("--kingfisher", "second", is_flag=True, help="Ask kingfisher's rules about leaks, too; needs 'respool[scan]'."),
    option("--no-upstream", is_flag=True, help="Do not run the commands that tell the versions of services."),
)
_MENDS = together(
    option("--fix", is_flag=True, help="Repair what can be, after a backup; with --dry-run only say what would be done."),
    option("--undo", is_flag=True, help="Exchange the files of the last --fix with what it kept; undo that by --undo again."),
    option("--dry-run", is_flag=True, help="With --fix or --write-baseline: change nothing."),
)
_ACCEPTS = together(
    option("--baseline", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
           help=f"The findings that are accepted for a while [{baseline.FILE}, if it is there]."),
    option("--write-baseline", "accepts", is_flag=True, help="Accept what is found; asks for the reason and the last day."),
    option("--reason", metavar="TEXT", help="Why it is accepted, for those that have no reason yet."),
    option("--expires", metavar="DAY", help="The last day on which it is, such as 2027-01-31."),
)  # fmt: skip


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_ASKS
@_MENDS
@_ACCEPTS
@option("--sarif", "as_sarif", is_flag=True, help="SARIF 2.1.0 on stdout, for code scanning services.")
@FOR_MACHINES
def check_command(
    paths: tuple[Path, ...], only: tuple[str, ...], second: bool, no_upstream: bool, fix: bool, undo: bool, dry_run: bool,
    file: Path | None, accepts: bool, reason: str | None, expires: str | None, as_sarif: bool, as_json: bool,
) -> int:  # fmt: skip
    """Look at all cassettes of the project, or at those in PATHS (folders or files; a folder of tests means its gaps).

    \b
    unreadable  files that are no cassettes, or damaged
    leaks       secrets, and bodies that cannot be decoded and may hold some
    statuses    error answers that no mark and no setting expects
    stale       older than `refresh`, or what they depend on has changed
    orphans     cassettes that no test names
    missing     tests whose cassette is not there
    unused      interactions that no test plays (known from runs of the tests)

    Ends with 1 if a warning or an error is left that the baseline does not accept. Nothing is changed without --fix.

      respool cassettes check --fix --dry-run
    """
    if sum((fix, undo, accepts)) > 1:
        raise UsageError("--fix, --undo and --write-baseline exclude each other")
    if dry_run and not (fix or accepts):
        raise UsageError("--dry-run says what --fix or --write-baseline would do")
    for path in paths:
        _checkable(path)
    settings = load_upkeep()
    if undo:
        return _undo(settings, as_json)
    if "stale" in only:
        settings.need_schedule()
    order = Order(
        settings, SYSTEM.now(), tuple(path.absolute() for path in paths), only or CHECKS, dict(os.environ),
        None if no_upstream else lambda command: version_of(command, settings.root),
        kingfisher() if second or settings.scan == "kingfisher" else None,
    )  # fmt: skip
    whole = not paths and not only
    place, entries = _baseline(settings, file, accepts=accepts)
    seen = check(order)
    if accepts:
        return _accept(place, seen.findings, entries, reason, expires, whole=whole, dry_run=dry_run, as_json=as_json)
    name = settings.named(place)
    verdict = baseline.judged(seen.findings, entries, order.now, name, whole=whole)
    done: list[fixes.Fixed] = []
    backup = None
    if fix and not dry_run:
        done, backup = fixes.fix(state_of(settings), verdict.left, redaction_of(settings, order.environ), order.now)
        seen = check(order)
        verdict = baseline.judged(seen.findings, entries, order.now, name, whole=whole)
    if as_sarif:
        put_json(sarif(verdict.left, verdict.accepted))
    elif as_json:
        put_json(_data(verdict, seen, done, backup))
    else:
        _tell(verdict, seen, done, backup, planned=fix and dry_run, asked=fix)
    return int(Exit.DONE if verdict.passes and all(one.fixed for one in done) else Exit.FAILED)


def _checkable(path: Path) -> None:
    """Raise UsageError for what is neither a folder nor, by its name, a cassette or a file of tests."""
    if not path.exists():
        raise UsageError(f"there is no {str(path)!r}", command="respool cassettes list")
    if path.is_file() and not path.name.lower().endswith((*SUFFIXES, ".py")):
        raise UsageError(
            f"{str(path)!r} is neither a cassette nor a test file", where=str(path.absolute()),
            why=f"names of cassettes end in {', '.join(SUFFIXES)}, those of test files in .py",
            command="respool cassettes list",
        )  # fmt: skip


def state_of(settings: UpkeepSettings) -> Path:
    """The state folder of the project."""
    return Library(settings.root).state()


def _baseline(settings: UpkeepSettings, file: Path | None, *, accepts: bool) -> tuple[Path, list[baseline.Entry]]:
    """The baseline that is meant, and its entries: none if nobody asked for one and none is there."""
    named = file or (settings.root / settings.baseline if settings.baseline else None)
    place = (named or settings.root / baseline.FILE).absolute()
    if not place.exists() and (accepts or named is None):
        return place, []
    return place, baseline.load(place)


def _accept(
    place: Path, found: Sequence[Spotted], entries: list[baseline.Entry], reason: str | None, expires: str | None, *,
    whole: bool, dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    now = SYSTEM.now()
    kept = baseline.merged(found, entries, now, whole=whole)
    if kept.fresh:
        for finding in kept.fresh:
            say(f"{finding.code}  {finding.subject}: {finding.message}")
        say(f"{counted(len(kept.fresh), 'finding')} to accept")
        reason = _asked("why is that accepted?", reason, "--reason TEXT")
        expires = baseline.day(_asked("until which day, such as 2027-01-31?", expires, "--expires DAY"))
        if expires < rfc3339(now)[:10]:
            raise UsageError(f"--expires {expires}: that day is past")
    made = kept.with_fresh(reason or "", expires or "")
    if not dry_run:
        baseline.save(place, made)
    if as_json:
        put_json({"baseline": str(place), "entries": [entry._asdict() for entry in made], "dry_run": dry_run})
    else:
        put(f"{'would write' if dry_run else 'wrote'}  {place}  {counted(len(made), 'entry', 'entries')}")
    return int(Exit.DONE)


def _asked(question: str, given: str | None, option_name: str) -> str:
    if given is None and sys.stdin.isatty():
        given = click.prompt(question, err=True)
    if not (given or "").strip():
        told = "a finding is accepted with a reason and a last day only"
        raise UsageError(told, command=f"respool cassettes check --write-baseline {option_name}")
    return str(given).strip()


def _undo(settings: UpkeepSettings, as_json: bool) -> int:
    back, aside = fixes.undo(state_of(settings), SYSTEM.now())
    names = [name for name, _ in back.files] + [was for _, was in back.moved]
    if as_json:
        put_json({"undone": names, "kept": str(aside.folder)})
        return int(Exit.DONE)
    for name in names:
        put(f"restored  {name}")
    say(f"as it was before the last {back.why} ({local_time(back.at)}); what was there until now is kept in {aside.folder}")
    return int(Exit.DONE)


def _data(
    verdict: baseline.Judged, seen: Seen, done: list[fixes.Fixed], backup: fixes.Backup | None
) -> dict[str, Any]:
    accepted = [
        {**finding_data(each), "reason": entry.reason, "expires": entry.expires} for each, entry in verdict.accepted
    ]  # fmt: skip
    return {
        "cassettes": len(seen.looked_at), "findings": [finding_data(each) for each in verdict.left], "accepted": accepted,
        "fixes": [one._asdict() for one in done], "backup": None if backup is None else str(backup.folder),
    }  # fmt: skip


def finding_data(finding: Spotted) -> dict[str, Any]:
    """A finding for machines."""
    return {
        "code": finding.code, "severity": str(finding.severity), "path": finding.path, "subject": finding.subject,
        "message": finding.message, "advice": finding.advice, "fixable": finding.fixable,
        "fix": fixes.plan(finding) or None, "fingerprint": finding.fingerprint,
    }  # fmt: skip


def _tell(
    verdict: baseline.Judged, seen: Seen, done: list[fixes.Fixed], backup: fixes.Backup | None, *,
    planned: bool, asked: bool,
) -> None:  # fmt: skip
    for one in done:
        put(f"{'fixed' if one.fixed else 'NOT fixed'}  {one.code}  {one.subject}: {one.message}")
    for finding in verdict.left:
        put_finding(finding, plan=(fixes.plan(finding) or "leave it") if planned else "")
    looked = counted(len(seen.looked_at), "cassette")
    if verdict.accepted:
        say(f"{counted(len(verdict.accepted), 'finding is', 'findings are')} accepted by the baseline")
    if backup is not None:
        say(f"backup: {backup.folder}; respool cassettes check --undo goes back to it")
    if not verdict.left:
        say(f"{looked}: nothing is wrong" if seen.looked_at else f"{looked}: there was nothing to look at")
        return
    fixable = sum(finding.fixable for finding in verdict.left)
    hint = f"; {fixable} can be repaired: respool cassettes check --fix" if fixable and (planned or not asked) else ""
    say(f"{looked}, {counted(len(verdict.left), 'finding')}{hint}")
