"""One contestant, once: started in a process of its own, watched by a second one, its memory sampled by this one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import memory
from bench.figures import Broken, Json, Skip, Source
from bench.peers import contestant

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 600.0


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards, on the disk that holds the project (a RAM disk would flatter everyone)."""
    (ROOT / ".bench").mkdir(exist_ok=True)
    (ROOT / ".bench" / ".gitignore").write_text("*\n", encoding="utf-8")
    folder = Path(tempfile.mkdtemp(dir=ROOT / ".bench"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def watching(source: Source, folder: Path, target: int, every: float = 0.005) -> Iterator[Json]:
    """A second process that counts what is recorded; its figures are in the dictionary after the block."""
    order = {"kind": source.kind, "path": str(folder / source.file), "growth": source.growth, "target": target,
             "every": every}  # fmt: skip
    found: Json = {}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.observer", json.dumps(order)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield found
            # The last commit is seen within one look; a target that was not reached must not hold us up for ever.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
        finally:
            answer = process.communicate("\n")[0]
    found.update(json.loads(answer.strip().splitlines()[-1]))


def spawn(name: str, items: int, workers: int, work: str, folder: Path) -> subprocess.Popen[bytes]:
    """The contestant, in a session of its own; what it prints goes to a file in its folder."""
    with (folder / "output.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bench.contestant", name, str(items), str(workers), work, str(folder)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def measure(name: str, work: str, workers: int, items: int) -> Json:
    """Run a contestant; its items/s, seconds to the first recorded item, MB and more. Raises Skip, Broken."""
    measured = contestant(name)
    with scratch() as folder:
        with watching(measured.recorded, folder, items) as seen:
            spawned = time.perf_counter()
            process = spawn(name, items, workers, work, folder)
            samples = sample(process, spawned + DEADLINE, with_root=not measured.launcher)
        _check(name, process, folder)
        figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        recorded = count(measured.recorded, folder)
        if recorded != items or seen["count"] < items:
            raise Broken(f"{recorded} of {items} items recorded ({seen['count']} seen); {_tail(folder)}")
        seconds = seen["last"] - figures["started"]
        return {
            "items": items, "rate": items / seconds, "seconds": seconds, "first_s": seen["first"] - spawned,
            "whole_s": seen["last"] - spawned, "submit_s": figures["submit_s"], "pss_mb": max(samples, default=0.0),
            "pss_quarters": quarters(samples), "note": figures["note"], "looks": seen["looks"],
            **{key: seen[key] for key in ("gap_median_ms", "gap_p99_ms", "gap_max_ms")},
        }  # fmt: skip


def trial(name: str, workers: int) -> Json:
    """Kill -9 a contestant when a third of its items took effect, start it again, and count. Raises Skip, Broken."""
    measured = contestant(name)
    items = measured.items["trial"]
    with scratch() as folder:
        effects = folder / "effects.log"
        first = spawn(name, items, workers, "trial", folder)
        _until(lambda: len(_effects(effects)) >= items // 3, first, name, folder)
        victims = memory.tree(first.pid)
        victim = victims[1] if measured.launcher and len(victims) > 1 else first.pid
        os.kill(victim, signal.SIGKILL)
        first.wait(10)
        before = set(_effects(effects))
        time.sleep(1)  # what it left behind may still be at work; a user does not restart faster
        left = [pid for pid in victims if pid != victim and _alive(pid)]
        again = spawn(name, items, workers, "trial", folder)
        try:
            again.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(again.pid, signal.SIGKILL)
            again.wait()
        done = _effects(effects)
        recorded = count(measured.recorded, folder)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return {
            "items": items, "finished_before_kill": len(before), "never_finished": items - len(set(done)),
            "not_recorded": max(0, items - recorded), "twice": len(done) - len(set(done)), "left_behind": len(left),
            "second_run": again.returncode, "workers": workers,
        }  # fmt: skip


def count(source: Source, folder: Path) -> int:
    """How many items are recorded, once all is over."""
    import sqlite3

    path = folder / source.file
    if not path.exists():
        return 0
    if source.kind == "lines":
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        return len({line.split("\t")[0] for line in lines})
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        return int(connection.execute(source.total).fetchone()[0])


def sample(process: subprocess.Popen[bytes], deadline: float, *, with_root: bool = True) -> list[float]:
    """Wait until the process has ended; returns the PSS of its tree in MB, every 100 ms."""
    samples = []
    while process.poll() is None:
        samples.append(memory.pss_mb(process.pid, with_root=with_root))
        if time.perf_counter() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    return samples


def quarters(samples: list[float]) -> list[float]:
    """The peak in each quarter of the run: flat memory is a last quarter like the second one.

    >>> quarters([1.0, 5.0, 6.0, 6.0, 6.0, 7.0, 6.0, 6.0])
    [5.0, 6.0, 7.0, 6.0]
    """
    size = max(1, len(samples) // 4)
    return [max(samples[start : start + size]) for start in range(0, len(samples), size)][:4]


def _check(name: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    skipped = folder / "skipped"
    if skipped.exists():
        raise Skip(skipped.read_text(encoding="utf-8"))
    if process.returncode != 0:
        raise Broken(f"{name} ended with {process.returncode}: {_tail(folder)}")


def _tail(folder: Path) -> str:
    lines = (folder / "output.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _until(reached: Callable[[], bool], process: subprocess.Popen[bytes], name: str, folder: Path) -> None:
    deadline = time.perf_counter() + 60
    while not reached():
        if process.poll() is not None or time.perf_counter() > deadline:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.wait()
            _check(name, process, folder)
            raise Broken(f"{name} was over before it could be killed: {_tail(folder)}")
        time.sleep(0.005)


def _effects(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
