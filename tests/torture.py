"""The kill torture: a real runner, killed again and again at random moments, and what must be true afterwards.

Every item's task writes one line when it starts and one when it has finished, with O_APPEND, so that the log knows what
was really done, whatever the spool says. tests/batch/test_crash.py is the short form, tests/crash the long one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from respool.batch.declaration import Command, Mode, Task
from respool.batch.spool import Spool
from respool.files import FileLock

PROGRAM = str(Path(sys.executable).parent / "respool")
MODES = ("async", "thread", "process", "command")

TASKS = '''
import asyncio, os, time
from pathlib import Path
from respool import task

LOG = str(Path(__file__).parent / "effects")

def log(sign, mode, context):
    descriptor = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{sign} {mode} {context.key} {context.attempt}\\n".encode())
    os.close(descriptor)

@task
async def in_async(payload, context):
    log("+", "async", context)
    await asyncio.sleep(payload["seconds"])
    log("-", "async", context)
    return payload["seconds"]

@task(mode="thread")
def in_thread(payload, context):
    log("+", "thread", context)
    time.sleep(payload["seconds"])
    log("-", "thread", context)
    return payload["seconds"]

@task(mode="process")
def in_process(payload, context):
    log("+", "process", context)
    time.sleep(payload["seconds"])
    log("-", "process", context)
    return payload["seconds"]
'''
SHELL = (
    'printf "+ command %s %s\\n" "$RESPOOL_KEY" "$RESPOOL_ATTEMPT_NUMBER" >>effects; sleep "$1"; '
    'printf -- "- command %s %s\\n" "$RESPOOL_KEY" "$RESPOOL_ATTEMPT_NUMBER" >>effects'
)


@dataclass
class Figures:
    """What came of a torture. `repeats` are starts beyond one for each item, `adopted` the results of attempts that
    outlived their runner, `in_settle` the kills inside a transaction, `again_after_end` items whose effect finished
    more than once, by mode."""

    kills: int = 0
    in_settle: int = 0
    items: int = 0
    repeats: int = 0
    most_repeats: int = 0
    adopted: int = 0
    receipts: int = 0
    again_after_end: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        again = ", ".join(f"{mode} {self.again_after_end.get(mode, 0)}" for mode in MODES)
        return (
            f"{self.kills} kills ({self.in_settle} inside a transaction), {self.items} items, {self.repeats} repeats "
            f"(at most {self.most_repeats} of one item), {self.adopted} adopted, finished more than once: {again}; "
            f"{self.seconds:.0f} s"
        )


class Torture:
    """`kills` kills, at moments that `seed` draws, of runners over `items` items of every mode."""

    def __init__(self, folder: Path, *, seed: int, items: int, kills: int, workers: int = 8) -> None:
        self.folder, self.kills, self.workers = folder, kills, workers
        self.random = random.Random(seed)
        self.items = items
        self.waves = 0
        self.figures = Figures()
        (folder / "tasks.py").write_text(TASKS)
        self.spool = folder / "spool.db"
        self.places = Spool(self.spool).places
        # Receipts seen while no runner lived: each must become its item's result.
        self.receipts: set[tuple[int, int]] = set()

    def go(self) -> Figures:
        """Kill, run to the end, check. AssertionError says what was lost."""
        began = time.monotonic()
        self._submit()
        while self.figures.kills < self.kills:
            self._one_kill()
        self._to_the_end()
        self.figures.seconds = time.monotonic() - began
        self._check_spool()
        self._check_effects()
        return self.figures

    def _submit(self) -> None:
        """A job of every mode. Another wave of them when everything is done before the last kill."""
        self.waves += 1
        tasks: dict[str, Task | str] = {mode: f"tasks:in_{mode}" for mode in MODES}
        command = Command(argv=("sh", "-c", SHELL, "sh", "{seconds}"), cwd=str(self.folder))
        tasks["command"] = Task(name="command:effects", mode=Mode.COMMAND, command=command)
        with Spool(self.spool) as spool:
            for mode in MODES:
                # Different payloads: equal ones would be cached, and are rightly done only once.
                items = {
                    f"{mode}-{self.waves}-{n}": {"seconds": round(self.random.uniform(0.02, 0.3), 9)}
                    for n in range(self.items // len(MODES))
                }
                spool.submit(tasks[mode], items, name=f"{mode} {self.waves}", folder=self.folder)
                self.figures.items += len(items)

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = [PROGRAM, "run", "--spool", str(self.spool), "--workers", str(self.workers), "--no-tui"]
        with open(self.folder / "said", "ab") as said:
            return subprocess.Popen(arguments, cwd=self.folder, stdout=said, stderr=said, stdin=subprocess.DEVNULL)

    def _one_kill(self) -> None:
        before = self._written()
        runner = self._start()
        how = self.random.choice(("start", "work", "settle", "settle"))
        if how == "start":
            self._sleep(runner, self.random.uniform(0, 0.6))
        else:
            self._until(runner, lambda: self._written() != before)
            self._sleep(runner, self.random.uniform(0, 0.2) * self.random.choice((1, 1, 4)))
        inside = how == "settle" and self._stop_inside_a_transaction(runner)
        ended = runner.poll() is not None
        runner.kill()
        code = runner.wait()
        if ended:
            assert code == 0, self._said()
            self._submit()
            return
        self.figures.kills += 1
        self.figures.in_settle += inside
        if self.random.random() < 0.3:
            time.sleep(self.random.uniform(0, 0.4))  # what outlived the runner may finish in peace
        self._see_receipts()

    def _stop_inside_a_transaction(self, runner: subprocess.Popen[bytes]) -> bool:
        """Freeze the runner again and again until it holds the write gate; it is left frozen there."""
        until = time.monotonic() + 1.5
        gate = FileLock(self.places.write_lock)
        while time.monotonic() < until and runner.poll() is None:
            runner.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, runner.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if not gate.is_free():
                return True
            runner.send_signal(signal.SIGCONT)
            time.sleep(self.random.uniform(0.0002, 0.003))
        return False

    def _see_receipts(self) -> None:
        for receipt in self.places.attempts.glob("*/*/result.json"):
            with contextlib.suppress(OSError):
                if b"interrupted" not in receipt.read_bytes():
                    item, number = receipt.parent.name.split("-")
                    self.receipts.add((int(item), int(number)))

    def _written(self) -> tuple[int, int]:
        try:
            facts = os.stat(f"{self.spool}-wal")
        except FileNotFoundError:
            return 0, 0
        return facts.st_mtime_ns, facts.st_size

    def _sleep(self, runner: subprocess.Popen[bytes], seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(seconds)

    def _until(self, runner: subprocess.Popen[bytes], true: object) -> None:
        until = time.monotonic() + 20
        while runner.poll() is None and not true():  # type: ignore[operator]
            assert time.monotonic() < until, "the runner never wrote anything\n" + self._said()
            time.sleep(0.0005)

    def _said(self) -> str:
        return (self.folder / "said").read_text()[-4000:]

    def _to_the_end(self) -> None:
        runner = self._start()
        try:
            code = runner.wait(600)
        finally:
            runner.kill()
            runner.wait()
        assert code == 0, self._said()

    def _check_spool(self) -> None:
        with contextlib.closing(sqlite3.connect(self.spool)) as connection:
            all_rows = connection.execute
            assert all_rows("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert all_rows("PRAGMA foreign_key_check").fetchall() == []
            states = Counter(state for (state,) in all_rows("SELECT state FROM items"))
            assert states == {"done": self.figures.items}
            done = Counter(item for (item,) in all_rows("SELECT item_id FROM attempts WHERE outcome = 'done'"))
            assert set(done.values()) == {1}
            assert len(done) == self.figures.items
            assert all_rows("SELECT count(*) FROM attempts WHERE outcome NOT IN ('done', 'interrupted')").fetchone() == (0,)
            reached = set(all_rows("SELECT item_id, number FROM attempts WHERE outcome = 'done'"))
            assert self.receipts <= reached, f"thrown away: {sorted(self.receipts - reached)}"
            assert all_rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL").fetchone() == (0,)
            self.figures.receipts = len(self.receipts)
            # Ended when a later session had begun: by that session.
            adopted = """SELECT count(*) FROM attempts a WHERE outcome = 'done' AND
                         EXISTS (SELECT 1 FROM sessions s WHERE s.id > a.session_id AND s.started_at <= a.ended_at)"""
            self.figures.adopted = all_rows(adopted).fetchone()[0]
            (identity,) = all_rows("SELECT id FROM spool").fetchone()
        left = living(identity)
        assert not left, f"still alive: {left}"

    def _check_effects(self) -> None:
        starts: Counter[tuple[str, str]] = Counter()
        ends: Counter[tuple[str, str]] = Counter()
        tries: Counter[tuple[str, str, str]] = Counter()
        for line in (self.folder / "effects").read_text().splitlines():
            sign, mode, key, attempt = line.split()
            (starts if sign == "+" else ends)[mode, key] += 1
            tries[sign, key, attempt] += 1
        figures = self.figures
        assert len(starts) == len(ends) == figures.items, "an item was never really done"
        assert max(tries.values()) == 1, "one attempt ran twice"
        figures.repeats = sum(starts.values()) - figures.items
        figures.most_repeats = max(starts.values()) - 1
        figures.again_after_end = dict(Counter(mode for (mode, _), count in ends.items() if count > 1))
        assert figures.repeats <= figures.kills * self.workers
        assert figures.most_repeats <= figures.kills
        # A worker process finishes what it does, and what it has finished is never repeated. A command that is told to
        # end in the instant after its last act, and before its exit, is.
        assert "process" not in figures.again_after_end, str(figures)
        assert figures.again_after_end.get("command", 0) <= max(1, figures.kills // 20), str(figures)
        assert figures.adopted > 0


def living(spool: str, seconds: float = 5.0) -> list[str]:
    """The processes that carry this spool's mark and do not end by themselves in so many seconds."""
    until = time.monotonic() + seconds
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"RESPOOL_ATTEMPT={spool}:".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.05)
