"""Re-recording against its bound: no schedule is faster than the longest file, the sum over the workers, or the limit.

The suite waits for its service most of the time: for every worker FILES test files of CALLS calls with WAIT seconds each,
and once FEWER with LONG seconds each, recorded by real pytest processes against a real API
(tests/rerecord_suite/gene_api.py). They load no plugin but ours: others here end pytest where they meet.
"""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

from bench import contest, machine
from bench.figures import Broken, Json
from bench.report import on, table, targets, write
from bench.respool_cli import row
from bench.rounds import progress
from respool.phrases import counted

BEGIN, END = "<!-- bench: rerecord, generated, do not edit -->", "<!-- bench: rerecord, end -->"
CALLS = 8
FILES, WAIT = 4, 1.2
FEWER, LONG = 2, 4.0
LIMITED = (120, 30.0)  # calls, in so many seconds
RATE = f"{LIMITED[0]}/{LIMITED[1]:g}s"
LEAST = 0.85  # of the bound
XDIST = ("xdist", "xdist.looponfail")  # where it is installed, `respool rerecord` says `-n 0` to it
KEY = "right-key-of-the-gene-api"
TEST = """
import json

import pytest
import urllib3


@pytest.mark.cassette
def test_partners():
    for number in range({calls}):
        url = "{base}/wait/BRCA1?seconds={wait}&number=%d" % number
        answer = urllib3.request("GET", url, headers={{"X-Api-Key": "{key}"}}, timeout=60)
        assert json.loads(answer.data)["generation"] == 1
"""


def run(quick: bool, page: Path, results: Path) -> bool:
    """Measure, print, and (unless `quick`) write; whether every target was met."""
    begin = time.perf_counter()
    files, workers = (1, (8,)) if quick else (FILES, (1, 2, 4, 8))
    found: Json = {"machine": machine.describe(contest.ROOT, ("respool", "pytest", "urllib3"))}
    found["options"] = {"rounds": 1, "workers": workers[-1]}
    progress(f"re-recording files of {CALLS} calls of {WAIT} s")
    found["runs"] = [measured(files * many, many, WAIT) for many in workers]
    found["runs"].append(measured(files * workers[-1], workers[-1], WAIT, limited=True))
    if not quick:
        found["runs"].append(measured(FEWER * workers[-1], workers[-1], LONG))
    found["bare"] = measured(8, 1, 0.0)
    found["seconds"] = round(time.perf_counter() - begin)
    found["machine"]["load_after"] = machine.load()
    rows = [_row(each) for each in found["runs"]]
    print(text := markdown(found, rows))
    if not quick:
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        write(page, text, BEGIN, END)
    return all(each["ok"] for each in rows)


def measured(files: int, workers: int, wait: float, *, limited: bool = False) -> Json:
    """One recording of a fresh suite: its wall time, the bound, and the CPU time of everything that it started.

    Raises Broken if it does not succeed.
    """
    with contest.scratch() as folder:
        api = subprocess.Popen(
            [sys.executable, str(contest.ROOT / "tests" / "rerecord_suite" / "gene_api.py"), "0", str(folder / "log")],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert api.stdout is not None
            host = f"127.0.0.1:{int(api.stdout.readline())}"
            _write_suite(folder, host, files, wait, RATE if limited else None)
            seconds, cpu = _recorded(folder, workers)
        finally:
            api.kill()
            api.communicate()
    bounds = {"longest file": CALLS * wait, "sum / workers": files * CALLS * wait / workers}
    if limited:
        bounds["calls / limit"] = (files * CALLS - 1) // LIMITED[0] * LIMITED[1]  # when the last window opens
    progress(f"  {workers} workers{', limited' if limited else ''}: {seconds:.1f} s, bound {max(bounds.values()):.1f} s")
    return {"files": files, "workers": workers, "wait": wait, "limited": limited, "seconds": seconds, "cpu": cpu,
            "bounds": bounds}  # fmt: skip


def _write_suite(folder: Path, host: str, files: int, wait: float, limit: str | None) -> None:
    (folder / "tests").mkdir()
    limits = f'[tool.respool.rerecord]\nlimits = {{ "{host}" = "{limit}" }}\n' if limit else ""
    others = sorted({plugin.name for plugin in entry_points(group="pytest11")} - {"respool", *XDIST})
    without = " ".join(f"-p no:{name}" for name in others)
    # Without options of its own, pytest would take those of the project around the scratch folder.
    (folder / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\naddopts = '{without}'\n{limits}", encoding="utf-8")
    test = TEST.format(calls=CALLS, base=f"http://{host}", wait=wait, key=KEY)
    for number in range(files):
        (folder / "tests" / f"test_{number:02}.py").write_text(test, encoding="utf-8")


def _recorded(folder: Path, workers: int) -> tuple[float, float]:
    # Python keeps compiled files unless it is told not to, and a user's does.
    left_out = ("PYTEST_", "PYTHONDONTWRITEBYTECODE")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    program = str(Path(sys.executable).parent / "respool")
    begin, used = time.perf_counter(), _cpu()
    ended = subprocess.run(
        [program, "rerecord", "--all", "--workers", str(workers), "--no-tui"],
        cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=contest.DEADLINE,
        check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    if ended.returncode != 0:
        raise Broken(ended.stderr.strip()[-1000:])
    return seconds, _cpu() - used


def _cpu() -> float:
    """CPU seconds of the processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(run: Json) -> Json:
    bound = max(run["bounds"].values())
    which = max(run["bounds"], key=run["bounds"].__getitem__)
    share = bound / run["seconds"]
    limit = f", limit {RATE}" if run["limited"] else ""
    calls = f", calls of {run['wait']:g} s" if run["wait"] != WAIT else ""
    told = f"{run['files']} files in {run['seconds']:.1f} s; bound {bound:.1f} s ({which}), CPU {run['cpu']:.1f} s"
    what = f"{counted(run['workers'], 'worker')}{limit}{calls}: of the bound"
    return row(what, "≥ 85 %", share * 100, "%", share >= LEAST, told)


def markdown(found: Json, rows: list[Json]) -> str:
    """The report as Markdown."""
    bare = found["bare"]
    per_file = [
        ["by the clock", f"{bare['seconds'] / bare['files']:.2f} s"], ["of the CPU", f"{bare['cpu'] / bare['files']:.2f} s"],
    ]  # fmt: skip
    words = (
        f"Test files of {CALLS} calls, each answered after {WAIT:g} s where nothing else is said. The bound is the longest "
        "file, the sum over workers, or the start of the last window of the limit, whichever is most. The command is "
        "`respool rerecord --all --workers N`; the tests load no plugin of pytest's but respool's.\n"
    )
    return "\n".join([
        "# Re-recording\n", words, on(found["machine"], found["options"], found["seconds"]), targets(rows),
        "## What a test file costs that waits for nothing\n",
        "Three starts of Python (the unit, pytest to record, pytest to play), one file after the other.\n",
        table(["", "per file"], per_file),
    ])  # fmt: skip
