"""The limit: a bare loop of `sqlite3`, one transaction with one attempt-like row per item; WAL, synchronous=NORMAL."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bench.figures import Figures, Source

ITEMS = {"noop": 100_000}
RECORDED = Source(
    "sqlite", "bare.db", "SELECT max(id), count(*) FROM attempts WHERE id > :since", "SELECT count(*) FROM attempts"
)
SAME_KIND = "respool_async"
LAUNCHER = False

ATTEMPT = "INSERT INTO attempts (item, number, started_at, ended_at, outcome, result) VALUES (?, 1, ?, ?, 'done', ?)"


def run(items: int, workers: int, work: str, folder: Path) -> Figures:
    """`workers` and `work` mean nothing here."""
    connection = connect(folder / "bare.db")
    started = time.perf_counter()
    execute = connection.execute
    for item in range(items):
        now = time.time_ns() // 1000
        execute(ATTEMPT, (item, now, now, "null"))
    connection.close()
    return Figures(started)


def connect(path: Path) -> sqlite3.Connection:
    """An autocommit connection to a new database with an attempts and an events table."""
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
