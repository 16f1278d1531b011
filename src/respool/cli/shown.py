"""How lists and findings look: columns in colours on a terminal, the same words as plain lines everywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from respool.cli.talk import columns, put
from respool.findings import Finding, Severity

MARKS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "info"}
COLOURS = {
    "error": "bold red", "warning": "yellow", "info": "cyan", "fresh": "green", "stale": "yellow", "orphan": "magenta",
    "missing": "red", "unreadable": "bold red",
}  # fmt: skip


def in_colours() -> bool:
    """Whether stdout is a terminal that may be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


def put_table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset(), coloured: int | None = None) -> None:
    """Rows of data, the first of them the heading; `right` are columns of numbers, `coloured` the one of states."""
    if not in_colours():
        for line in columns([tuple(row) for row in rows], right=right):
            put(line)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if place in right else "left", overflow="fold")
    for row in rows[1:]:
        table.add_row(*(
            Text(cell, style=_colour(cell) if place == coloured else "") for place, cell in enumerate(row)
        ))  # fmt: skip
    Console().print(table)


def _colour(cell: str) -> str:
    """That of a state, or of an HTTP status."""
    if cell.isdecimal():
        return "green" if cell < "300" else "yellow" if cell < "400" else "red"
    return COLOURS.get(cell, "red" if cell.startswith("failed") else "")


def put_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names with what they stand for, a line for each."""
    width = max((len(name) for name, _ in pairs), default=0)
    if not in_colours():
        for name, value in pairs:
            put(f"{name.ljust(width)}  {value}")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    for name, value in pairs:
        console.print(Text.assemble((name.ljust(width), "bold"), "  ", value))


def size_text(size: int) -> str:
    """A number of bytes for people.

    >>> size_text(512), size_text(70_000), size_text(3_200_000)
    ('512 B', '70.0 kB', '3.2 MB')
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def put_finding(finding: Finding, *, plan: str = "") -> None:
    """A finding with its advice, and what a repair would do."""
    mark = MARKS[finding.severity]
    lines = [finding.advice] if finding.advice else []
    if plan:
        lines.append(f"--fix would {plan}")
    if not in_colours():
        put(f"{mark:8} {finding.code}  {finding.subject}: {finding.message}")
        for line in lines:
            put(f"{'':8} {line}")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    console.print(Text.assemble((f"{mark:8}", COLOURS[mark]), " ", (finding.code, "bold"), "  ", finding.subject, ": ",
                                finding.message))  # fmt: skip
    for line in lines:
        console.print(Text(f"{'':8} {line}", style="dim"))
