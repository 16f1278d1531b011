"""What FactoMineR said of our own tables (oracle/factominer.R made it), and the same tables for us."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from respool.clusters.request import TableOptions
from respool.clusters.table import Feature, read_table

DATA = Path(__file__).parents[2] / "examples" / "data"


@cache
def oracle() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(__file__).parent / "oracle" / "factominer.json").read_text())
    return found


@cache
def categories() -> tuple[Feature, ...]:
    """Every eighth disease of the HPO table, its 20 commonest terms; in the oracle's order of rows and terms."""
    table = read_table(DATA / "hpo_ndd_entities_matrix.csv.gz", TableOptions(names="disease_name"))
    assert list(table.ids[::8]) == oracle()["mca"]["ids"]
    by_name = {feature.name: feature for feature in table.active}
    return tuple(Feature(name, by_name[name].levels[::8], binary=True) for name in oracle()["mca"]["terms"])


def numbers() -> NDArray[np.float64]:
    """120 rows of four numbers, made as the R script makes them."""
    return np.array([
        ((i % 3) * 4 + math.sin(i), (i % 3) ** 2 + math.cos(2 * i), math.sin(3 * i) * 2, -(i % 3) + math.cos(5 * i) / 2)
        for i in range(120)
    ])  # fmt: skip


def same_partition(ours: NDArray[np.int64], theirs: list[str]) -> bool:
    """Whether both say the same of every two rows, whatever they call the clusters."""
    pairs = set(zip(ours.tolist(), theirs, strict=True))
    return len(pairs) == len(set(ours.tolist())) == len(set(theirs))
