"""Small inputs with a known answer: three groups of genes and their sets, three groups of rows and their features."""

from __future__ import annotations

import random
from pathlib import Path

GROUPS = (("A", 14), ("B", 12), ("C", 11))


def write_network(folder: Path, *, seed: int = 1) -> tuple[Path, Path]:
    """edges.tsv and sets.gmt in `folder`: the groups A, B and C, and a set for each."""
    rng = random.Random(seed)
    lines = [
        f"{letter}{one}\t{letter}{other}\t0.9\n"
        for letter, size in GROUPS for one in range(size) for other in range(one) if rng.random() < 0.7
    ]  # fmt: skip
    lines += ["A0\tB0\t0.2\n", "B1\tC0\t0.2\n"]
    edges, sets = folder / "edges.tsv", folder / "sets.gmt"
    edges.write_text("".join(lines))
    sets.write_text("".join(f"set of {x} (GO:000000{n})\t\t" + "\t".join(f"{x}{g}" for g in range(10)) + "\n" for n, (x, _) in
                            enumerate(GROUPS)))  # fmt: skip
    return edges, sets


def write_table(folder: Path) -> Path:
    """table.csv in `folder`: 60 rows in three groups, three features of 0 and 1 for each."""
    rng = random.Random(1)
    lines = ["id,name,a0,a1,a2,b0,b1,b2,c0,c1,c2\n"] + [
        f"r{group}_{row:02},Row {row} of {group},"
        + ",".join(str(int((group == owner) != (rng.random() < 0.04))) for owner in range(3) for _ in range(3)) + "\n"
        for group in range(3) for row in range(20)
    ]  # fmt: skip
    (folder / "table.csv").write_text("".join(lines))
    return folder / "table.csv"
