"""The clock is set back, and forward, while a real process runs a batch: nothing waits longer for it, nothing is lost,
and what happened one after the other is on record so."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from respool.batch.places import Places
from respool.clock import FakeClock, SteadyClock
from respool.doctor import diagnose
from spool_bench import sql

HOUR = 3600

SCRIPT = """
import sys, time
from pathlib import Path
from respool import Limit, Retry, Spool, task
from respool.clock import SystemClock

HERE = Path(__file__).parent
SHIFT = HERE / "shift"  # seconds by which the machine's clock is wrong

class WrongClock(SystemClock):
    def now(self):
        return super().now() + round(float(SHIFT.read_text()) * 1e6)

def log(line):
    with open(HERE / "effects", "a") as file:
        file.write(line + "\\n")

@task(mode="thread", retry=Retry(base=float(sys.argv[2]), jitter=0), limit=Limit("api", "20/s"))
def step(payload, context):
    log(f"{context.key} {context.attempt}")
    if payload.get("sets"):
        new = HERE / "new shift"
        new.write_text(str(payload["sets"]))
        new.replace(SHIFT)
    if payload.get("fails") and context.attempt == 1:
        raise RuntimeError("not yet")
    time.sleep(0.02)

if __name__ == "__main__":
    items = {"flaky": {"fails": True}, "wrong": {"sets": float(sys.argv[1])}}
    items |= {f"k{n}": {"n": n} for n in range(30)}
    spool = Spool("spool.db", clock=WrongClock())
    job = spool.submit(step, items, job_timeout=1800)
    job.run(workers=2)
    print(job.read().state())
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "shift").write_text("0")
    return tmp_path


def start(work: Path, sets: int, base: float) -> subprocess.Popen[str]:
    program = [sys.executable, "script.py", str(sets), str(base)]
    return subprocess.Popen(program, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    try:
        out, err = process.communicate(timeout=60)  # an hour's wait does not pass unseen
    finally:
        process.kill()
    assert process.returncode == 0, err
    return out.strip()


@pytest.mark.parametrize("sets", [-HOUR, HOUR])
def test_during_a_run(work: Path, sets: int) -> None:
    assert ended(start(work, sets, base=0.4)) == "done"
    places = Places.at(work / "spool.db")
    assert sql(places, "SELECT state, count(*) FROM items GROUP BY state") == [("done", 32)]
    assert sql(places, "SELECT count(*) FROM attempts WHERE ended_at < started_at") == [(0,)]
    stamps = [at for (at,) in sql(places, "SELECT at FROM events ORDER BY seq")]
    assert stamps == sorted(stamps)
    lines = (work / "effects").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 33
    # The clock that the machine has now; what was written under the other one lies in the future for who goes by it.
    here = FakeClock(time.time_ns() // 1000 + sets * 1_000_000)
    codes = [finding.code for finding in diagnose(places, here).findings]
    assert ("CLOCK_JUMP" in codes) == (sets < 0), codes


def test_between_two_runs(work: Path) -> None:
    """A run was killed while an item waited; then the clock is set back."""
    (work / "shift").write_text(str(HOUR))
    places = Places.at(work / "spool.db")
    first = start(work, HOUR, base=1.5)
    until = time.monotonic() + 30
    waiting = "SELECT count(*) FROM items WHERE state = 'pending' AND not_before > 0"
    try:
        while not (places.database.exists() and sql(places, waiting) == [(1,)]):
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        first.kill()
        said = first.communicate()
    assert first.returncode == -signal.SIGKILL, said
    (work / "shift").write_text("0")
    assert "CLOCK_JUMP" in [finding.code for finding in diagnose(places).findings]
    assert ended(start(work, 0, base=1.5)) == "done"
    ((told,),) = sql(places, "SELECT data FROM events WHERE type = 'clock_set_back'")
    assert ended(start(work, 0, base=1.5)) == "done"
    assert sql(places, "SELECT count(*) FROM events WHERE type = 'clock_set_back'") == [(1,)], "that is over"
    assert f'"seconds": {HOUR - 1}' in told or f'"seconds": {HOUR}' in told


def test_the_steady_clock_follows_forward_and_never_goes_back() -> None:
    behind = FakeClock(now=0)
    steady = SteadyClock(behind)
    seen = []
    for seconds in (1, -0.5, 1, -HOUR, 1, 2 * HOUR, 1):
        if seconds != 1:
            behind.set_back(-seconds)
        else:
            behind.advance(seconds)
        seen.append(steady.now())
    assert seen == sorted(seen)
    assert seen[-1] == behind.now()
    assert seen[4] - seen[3] == 1_000_000
