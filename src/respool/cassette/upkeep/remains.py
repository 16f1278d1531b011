"""What killed runs have left in the state folder: staging that nobody records into, swaps that were begun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from respool.cassette.library import Library
from respool.files import FileLock
from respool.findings import Finding, Fix, Severity
from respool.phrases import counted


def remains(state: Path) -> Iterator[Finding]:
    """Findings, with fixes that fixes.py knows. What a live process holds is not among them."""
    swaps = state / "swaps"
    for journal in sorted(swaps.glob("*.json")):
        if FileLock(journal.with_suffix(".lock"), windows=True).is_free():
            yield Finding(
                "CASSETTE_SWAP_PENDING", Severity.ERROR, str(journal),
                "a run was killed while it put new cassettes in place",
                "the fix carries it out, and so does the next recording", Fix("finish_swap", {"journals": str(swaps)}),
            )  # fmt: skip
    for folder in sorted(path for path in (state / "staging").glob("*") if path.is_dir()):
        if not FileLock(folder.with_suffix(".lock"), windows=True).is_free():
            continue
        tapes = len(Library(folder).list())
        yield Finding(
            "CASSETTE_STAGING_LEFT", Severity.WARNING, str(folder),
            f"{counted(tapes, 'cassette')} in staging, of a recording run that was killed",
            "the same respool rerecord goes on with it; if you will not, the fix moves it away",
            Fix("clear_staging", {"folder": str(folder)}),
        )  # fmt: skip
