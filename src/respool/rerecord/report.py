"""What is told of a run: its lines, its JSON, and the export of failures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respool.batch.store.reading import Event
from respool.cassette.drift.report import of_data, proposal_line
from respool.files import private_folder, write_atomic
from respool.phrases import counted
from respool.rerecord.plan import Plan

AGAIN = "Re-run failures with: respool rerecord --failures"
FAILURES = Path("logs") / "rerecord_failures.jsonl"
_ENDS = {"item_done": "recorded", "item_failed": "failed"}


def headline(files: int, size: int, workers: int) -> str:
    """The first line.

    >>> headline(12, 20, 8)
    'Re-recording 12 test files in batches of 20 with 8 workers'
    """
    return f"Re-recording {counted(files, 'test file')} in batches of {size} with {counted(workers, 'worker')}"


@dataclass(slots=True)
class Batches:
    """The lines of the batches: `keys` are the units in the order of their start, `size` of them make a batch.

    >>> batches = Batches(["a", "b", "c"], 2)
    >>> [batches.ended(key, True, 1.5) for key in ("b", "c", "a")]
    [None, 'batch 2/2: 1 recorded, 0 failed (after 1.5 s)', 'batch 1/2: 2 recorded, 0 failed (after 1.5 s)']
    """

    keys: Sequence[str]
    size: int
    _ended: dict[str, bool] = field(default_factory=dict)

    def ended(self, key: str, well: bool, seconds: float) -> str | None:
        """A unit has ended, `seconds` after the start of the run: the line of its batch, if it was the last one of it."""
        if key in self._ended or key not in self.keys:
            return None
        self._ended[key] = well
        number = self.keys.index(key) // self.size
        batch = self.keys[number * self.size : (number + 1) * self.size]
        if not all(each in self._ended for each in batch):
            return None
        recorded = sum(self._ended[each] for each in batch)
        total = -(-len(self.keys) // self.size)
        return f"batch {number + 1}/{total}: {recorded} recorded, {len(batch) - recorded} failed (after {seconds:.1f} s)"

    def heard(self, events: Iterable[Event], seconds: float) -> Iterator[str]:
        """The lines of the batches that these events of the job complete."""
        for event in events:
            if event.key is not None and event.type in _ENDS:
                line = self.ended(event.key, event.type == "item_done", seconds)
                if line is not None:
                    yield line


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan for machines."""
    return {
        "units": [
            {"files": list(each.unit.files), "cassettes": list(each.unit.cassettes), "reason": each.reason}
            for each in plan.units
        ],
        "files": plan.files, "never_recorded": list(plan.never_recorded), "orphans": list(plan.orphans),
        "unread": list(plan.unread), "silent": list(plan.silent),
    }  # fmt: skip


def drift_lines(results: Mapping[str, Any]) -> Iterator[str]:
    """What changed in the cassettes that were replaced: one line for each that did."""
    for name, change in _changes(results):
        if change["summary"] != "no change":
            yield f"{name}: {change['summary']}"


def stood(results: Mapping[str, Any]) -> Iterator[str]:
    """The cassettes that were recorded anew and stay as they were nevertheless: one line for each, with the reason."""
    for result in results.values():
        for name, why in sorted((result or {}).get("said", {}).get("kept", {}).items()):
            yield f"{name}: stays as it was: {why}"


def proposed(results: Mapping[str, Any]) -> str:
    """The setting that makes what always changed in them count for nothing; "" if nothing did."""
    return proposal_line(of_data(change["report"]) for _, change in _changes(results))


def _changes(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for result in results.values():
        yield from sorted((result or {}).get("said", {}).get("cassettes", {}).items())


def export(state: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write the failures that the spool holds to `logs/rerecord_failures.jsonl` in the state folder, one a line."""
    file = state / FAILURES
    private_folder(file.parent)
    write_atomic(file, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), durable=False)
    return file
