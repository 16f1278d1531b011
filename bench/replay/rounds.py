"""Rounds of cells, each in a process of its own, in an order that turns; and what they come to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.contest import ROOT, scratch
from bench.figures import Json
from bench.replay.players import PLAYERS, player
from bench.rounds import progress

COUNTS = (1, 100, 1_000, 10_000, 100_000)
DEADLINE_S = 40.0
Cell = tuple[str, str, int]


def cells(counts: tuple[int, ...], only: str) -> list[Cell]:
    """(player, client, number of interactions) of all cells whose "player_client_count" holds `only`."""
    found = [
        (who.name, client, count) for count in counts for who in PLAYERS for client in who.clients if count <= who.largest
    ]
    return [cell for cell in found if not only or only in "_".join(map(str, cell))]


def play(counts: tuple[int, ...], rounds: int, only: str = "") -> Json:
    """{"runs": [one entry per cell and round], "skipped": {"player client count": reason}}."""
    runs: list[Json] = []
    skipped: dict[str, str] = {}
    with scratch() as folder:
        for number in range(rounds):
            order = cells(counts, only)
            turn = number * len(order) // max(1, rounds)
            for cell in [*order[turn:], *order[:turn]]:
                name = " ".join(map(str, cell))
                if name in skipped:
                    continue
                found = _run(cell, folder)
                if isinstance(found, str):
                    skipped[name] = found
                    progress(f"  {name}: {found}")
                    continue
                runs.append({"round": number, "player": cell[0], "client": cell[1], "count": cell[2], **found})
                progress(f"  round {number + 1} {name:32} {found['us']:10,.1f} µs, load {found['load_ms']:9,.2f} ms")
    return {"runs": runs, "skipped": skipped}


def _run(cell: Cell, folder: Path) -> Json | str:
    who, client, count = cell
    with subprocess.Popen(
        [sys.executable, "-m", "bench.replay.contestant", who, client, str(count), str(folder)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"not done after {DEADLINE_S:.0f} s"
    if process.returncode != 0:
        return reason(err.replace(f"{folder}{os.sep}", ""))
    found: Json = json.loads(out.splitlines()[-1])
    return found


def reason(err: str) -> str:
    """What a Python that failed says of it: the error itself, without the picture of the place that may stand below.

    >>> reason("Traceback (most recent call last):\\n  File ...\\nValueError: line 3: no YAML\\n  |\\n3 | - max-age\\n")
    'ValueError: line 3: no YAML'
    """
    last = err.rpartition("Traceback (most recent call last):\n")[2].splitlines()
    told = [line for line in last if line.strip() and not line.startswith(" ")]
    return (told or ["ended without a word"])[0][:300]


def summary(runs: list[Json]) -> list[Json]:
    """Per cell the medians over the rounds; `above` is the median distance to the limit in the same round, in µs."""
    limits = {(run["round"], run["client"], run["count"]): run["us"] for run in runs if run["player"] == "limit"}
    found = []
    for cell in dict.fromkeys((run["player"], run["client"], run["count"]) for run in runs):
        mine = [run for run in runs if (run["player"], run["client"], run["count"]) == cell]
        above = [
            run["us"] - limits[key] for run in mine if (key := (run["round"], run["client"], run["count"])) in limits
        ]
        found.append({
            "player": cell[0], "client": cell[1], "count": cell[2], "package": player(cell[0]).package,
            **{name: median(run[name] for run in mine) for name in ("us", "first_us", "load_ms", "close_ms")},
            "least_us": min(run["us"] for run in mine), "most_us": max(run["us"] for run in mine),
            "above_us": median(above) if above else None,
        })  # fmt: skip
    return found
