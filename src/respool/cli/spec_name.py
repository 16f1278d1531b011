"""The name that the job of a spec is known by, which is its path: short, and the same from every folder."""

from __future__ import annotations

import os
from pathlib import Path

from respool.batch.places import Places


def job_name(path: Path) -> str:
    """The name of the job of a spec: its path as seen from the project's folder, else in full; always with /."""
    project = Places.nearest().folder.parent
    absolute = Path(os.path.normpath(path.absolute()))
    try:
        return absolute.relative_to(project).as_posix()
    except ValueError:
        return absolute.as_posix()
