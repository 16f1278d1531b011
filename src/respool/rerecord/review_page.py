"""The page of a run, for review: what changed in the cassettes that were replaced, and why the others were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from respool.cassette.drift.page import Entry, page
from respool.cassette.drift.report import of_data


def of_run(title: str, results: Mapping[str, Any], failed: Mapping[str, str]) -> str:
    """One HTML file. `results` are those of the units that were recorded, `failed` says of the others why they were not.

    >>> "1 cassette: 1 not compared" in of_run("Recorded anew", {}, {"tests/test_a.py": "tests_failed: 1 of 2 tests failed"})
    True
    """
    told = [((result or {}).get("said") or {}).get("cassettes", {}) for result in results.values()]
    replaced = {name: change["report"] for cassettes in told for name, change in cassettes.items()}
    entries = [Entry(name, of_data(report)) for name, report in sorted(replaced.items())]
    entries += [Entry(unit, None, f"kept as it was: {why}") for unit, why in sorted(failed.items())]
    return page(title, entries)
