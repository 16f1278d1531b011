"""One cell in a process of its own: `python -m bench.replay.contestant PLAYER CLIENT COUNT FOLDER` prints its figures."""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time

from bench.figures import Json
from bench.replay.callers import Timed, caller
from bench.replay.entries import entry
from bench.replay.players import Player, player
from bench.replay.tapes import written

WARM = 30
BUDGET_S, ENOUGH, LEAST = 0.5, 300, 3  # a cell is measured until one of the first two is reached


def measured(name: str, client: str, count: int, folder: Path) -> Json:
    """Median µs of a replayed request and of the first one, ms to load and to close, all of CPU. Raises AssertionError."""
    who = player(name)
    path, warm = written(who.tape, count, folder), written(who.tape, WARM, folder)
    seconds: list[float] = []
    firsts: list[float] = []
    loads: list[float] = []
    closes: list[float] = []
    with caller(client) as (timed, session):
        for _ in range(3):
            _play(who, warm, client, session, timed, WARM)
        begin = perf_counter()
        while len(seconds) < ENOUGH and perf_counter() - begin < BUDGET_S:
            found, load, close = _play(who, path, client, session, timed, count)
            seconds += found
            firsts.append(found[0])
            loads.append(load)
            closes.append(close)
    return {
        "us": median(seconds) * 1e6, "first_us": median(firsts) * 1e6, "load_ms": median(loads) * 1e3,
        "close_ms": median(closes) * 1e3, "calls": len(seconds), "opened": len(loads),
    }  # fmt: skip


def _play(
    who: Player, path: Path, client: str, session: object, timed: Timed, count: int
) -> tuple[list[float], float, float]:
    numbers = random.Random(count).sample(range(count), min(count, ENOUGH))
    begin = thread_time()
    with who.opened(path, client, session):
        opened = thread_time()
        started, found = perf_counter(), []
        for number in numbers:
            wanted = entry(number)
            seconds, body = timed(wanted.url)
            assert body == wanted.body or json.loads(body) == json.loads(wanted.body), f"{who.name}: {body!r}"
            found.append(seconds)
            if len(found) == 1:
                started = perf_counter()  # the first one may make an index, and leave no time for the others
            elif len(found) > LEAST and perf_counter() - started > BUDGET_S:
                break
        played = thread_time()
    return found, opened - begin, thread_time() - played


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))))
