"""Targets of resuming a large job: how soon the first item starts when its source is unchanged, and when it changed."""

from __future__ import annotations

from pathlib import Path

from bench import contest
from bench.figures import Broken, Json
from bench.respool_cli import Ran, ask, first_start_s, row, run_items

UNCHANGED_S, CHANGED_S = 2.0, 5.0


def measure(quick: bool, summary: list[Json]) -> list[Json]:
    """Rows of the table of targets. Raises Skip."""
    items = 20_000 if quick else 1_000_000
    with contest.scratch() as folder:
        source = folder / "items.jsonl"
        lines = [f'{{"key": "item-{n:07d}", "n": {n}}}\n' for n in range(items)]
        source.write_text("".join(lines), encoding="utf-8")
        run_items(source, folder, expect=(1,), env={"BENCH_FAILS": str(items - 1)})
        again = run_items(source, folder, "--retry-failed")
        unchanged = first_start_s(folder, again)
        _expect(folder, 1)

        _change(lines, source)
        changed_run = run_items(source, folder)
        changed = first_start_s(folder, changed_run)
        _expect(folder, 2)
        if ask(folder, "SELECT count(*) FROM items WHERE state = 'cancelled'") != 1:
            raise Broken("the removed line's item was not withdrawn")
        nothing = run_items(source, folder)
    inserted = "one line inserted at the top, one edited in the middle, one removed: exactly two items ran"
    return [
        row(f"resume of {items:,} items, source unchanged: first item", "< 2 s", unchanged, "s",
            unchanged < UNCHANGED_S, f"one failed item, --retry-failed; {_cost(again)}"),
        row(f"resume of {items:,} items, source changed: first item", "< 5 s", changed, "s",
            changed < CHANGED_S, f"{inserted}; {_cost(changed_run)}"),
        row(f"the same command with nothing left to do, {items:,} items", "", nothing.seconds, "s", None,
            "whole command"),
    ]  # fmt: skip


def _cost(ran: Ran) -> str:
    return f"whole command {ran.seconds:.2f} s, {max(ran.pss_mb):.0f} MB"


def _change(lines: list[str], source: Path) -> None:
    """Insert a line at the top, edit one in the middle, remove one."""
    middle = len(lines) // 2
    edited = lines[middle].replace("}", ', "edited": true}')
    new = '{"key": "item-new", "n": -2}\n'
    gone = len(lines) // 4
    changed = [new, *lines[:gone], *lines[gone + 1 : middle], edited, *lines[middle + 1 :]]
    source.write_text("".join(changed), encoding="utf-8")


def _expect(folder: Path, attempts: int) -> None:
    """That the newest session ran exactly so many items: a fast answer that runs the wrong ones is none."""
    ran = ask(folder, "SELECT count(*) FROM attempts WHERE session_id = (SELECT max(id) FROM sessions)")
    if ran != attempts:
        raise Broken(f"the resumed run made {ran} attempts instead of {attempts}")
