"""The limit: bare loops of `sqlite3` with respool's settings (WAL, synchronous=NORMAL), a transaction for each item.

One writes an attempt-like row per item, the other one an event as well, which is nearer to what respool writes.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bench.figures import Contestant, Figures, Source

RECORDED = Source(
    "sqlite", "bare.db", "SELECT max(id), count(*) FROM attempts WHERE id > :since", "SELECT count(*) FROM attempts"
)
ATTEMPT = "INSERT INTO attempts (item, number, started_at, ended_at, outcome, result) VALUES (?, 1, ?, ?, 'done', ?)"
EVENT = "INSERT INTO events (at, job, item, attempt, type) VALUES (?, 1, ?, 1, 'item_done')"


def run_attempts(items: int, workers: int, work: str, folder: Path) -> Figures:
    """`workers` and `work` mean nothing here."""
    connection = _connect(folder / "bare.db")
    started = time.perf_counter()
    execute = connection.execute
    for item in range(items):
        now = time.time_ns() // 1000
        execute(ATTEMPT, (item, now, now, "null"))
    connection.close()
    return Figures(started)


def run_attempts_and_events(items: int, workers: int, work: str, folder: Path) -> Figures:
    """`workers` and `work` mean nothing here either."""
    connection = _connect(folder / "bare.db")
    started = time.perf_counter()
    execute = connection.execute
    for item in range(items):
        now = time.time_ns() // 1000
        execute("BEGIN IMMEDIATE")
        execute(ATTEMPT, (item, now, now, "null"))
        execute(EVENT, (now, item))
        execute("COMMIT")
    connection.close()
    return Figures(started)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("""
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        CREATE TABLE attempts (id INTEGER PRIMARY KEY, item INTEGER NOT NULL, number INTEGER NOT NULL,
                               started_at INTEGER NOT NULL, ended_at INTEGER, outcome TEXT, result TEXT);
        CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, job INTEGER NOT NULL, item INTEGER,
                             attempt INTEGER, type TEXT NOT NULL, data TEXT);
    """)
    return connection


CONTESTANTS = (
    Contestant("bare_sqlite", {"noop": 100_000}, RECORDED, run_attempts, same_kind="respool_async"),
    Contestant("bare_sqlite_event", {"noop": 100_000}, RECORDED, run_attempts_and_events, same_kind="respool_async"),
)
