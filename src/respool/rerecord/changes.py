"""What a new recording changes, told for review before it takes the place of the old one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from respool.cassette.drift import drift
from respool.cassette.drift.report import as_data
from respool.cassette.library import Library
from respool.cassette.model import Cassette
from respool.errors import CassetteError
from respool.rerecord.settings import Settings


def change(library: Library, name: str, new: Cassette, settings: Settings) -> dict[str, Any]:
    """How the cassette `name` will differ, as JSON-ready data: "interactions", "summary" ("new, 3 calls", "1 call
    changed", "no change"), and the whole report as `respool cassettes diff --json` has it. The version before the present
    one, which is still kept, tells what always changes."""
    old = present(library, library.path(name))
    before = present(library, library.previous(name))
    found = drift(old, new, settings.volatile, earlier=[] if before is None else [before])
    return {"interactions": len(new.interactions), "summary": found.summary(), "report": as_data(found)}


def present(library: Library, path: Path) -> Cassette | None:
    """The cassette at `path`; None if there is none, or none that can be read: whatever comes is new then."""
    try:
        return library.load(path)
    except CassetteError:
        return None
