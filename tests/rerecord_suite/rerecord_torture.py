"""Re-recording, killed again and again, and what must be true afterwards; the short and the long form share it.

Nothing is pretended: a suite of real clients, a real API in a process of its own which throttles and fails, a real
`respool rerecord` that is killed with SIGKILL, as are some of its units, and a process beside them that watches every
cassette all the time (cassette_watch.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from suite_writer import Suite, write

HERE = Path(__file__).parent
PROGRAM = str(Path(sys.executable).parent / "respool")
RIGHT, WRONG = "right-key-of-the-gene-api", "wrong-key-of-the-gene-api"
PERIOD = 1.0  # seconds of the API's sliding window


class GeneApi:
    """The API as a process, and what its log says."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "arrivals.jsonl"
        arguments = [sys.executable, str(HERE / "gene_api.py"), "0", str(self.log)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def set(self, **controls: Any) -> None:
        """Change what the server does."""
        with urlopen(Request(f"{self.url}/_control", data=json.dumps(controls).encode()), timeout=60) as answer:
            answer.read()

    def arrivals(self, start: int = 0) -> list[dict[str, Any]]:
        """The log's lines from the one with that number on."""
        return [json.loads(line) for line in self.log.read_text().splitlines()[start:]]

    def __enter__(self) -> GeneApi:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def environment(key: str = RIGHT) -> dict[str, str]:
    """The environment of a run: ours, without what speaks to the pytest that we run in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RESPOOL_", "COV_"))}
    return kept | {"GENES_KEY": key}


def respool(folder: Path, *arguments: str, code: int, key: str = RIGHT) -> Any:
    """What `respool ARGUMENTS --json` prints, None if nothing; it must end with that exit code."""
    done = subprocess.run(
        [PROGRAM, *arguments, "--json"], cwd=folder, env=environment(key), capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout) if done.stdout else None


@dataclass
class Figures:
    """What came of a torture."""

    files: int = 0
    cassettes: int = 0
    requests: int = 0
    kills: int = 0
    unit_kills: int = 0
    refused: int = 0
    runs: int = 0
    failures_runs: int = 0
    arrivals: int = 0
    faults: int = 0
    busiest: int = 0
    limit: int = 0
    rounds: int = 0
    states: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.files} files, {self.cassettes} cassettes, {self.requests} requests; {self.kills} kills of the runner, "
            f"{self.unit_kills} of units, {self.refused} calls with the wrong key; over {self.runs} full recordings, "
            f"{self.failures_runs} runs with --failures; {self.arrivals} arrivals, {self.faults} of them answered with a "
            f"fault, at most {self.busiest} within {PERIOD:g} s (limit {self.limit}); {self.rounds} rounds of the watch, "
            f"{self.states} contents seen; {self.seconds:.0f} s"
        )


class RerecordTorture:
    """A suite of `files` test files, whose recording is killed `kills` times at moments that `seed` draws."""

    def __init__(self, folder: Path, *, files: int, late: int, kills: int, seed: int, limit: int, most: int = 30) -> None:
        self.folder, self.kills, self.limit = folder, kills, limit
        self.random = random.Random(seed)
        self.api = GeneApi(folder)
        genes = [line.split("\t")[0] for line in (HERE / "data" / "symbols.tsv").read_text().splitlines()[1:]]
        self.suite: Suite = write(
            folder / "suite", self.api.url, genes, files=files, late=late, seed=seed, limit=f"{limit}/{PERIOD:g}s", most=most
        )  # fmt: skip
        self.figures = Figures(files, len(self.suite.cassettes), self.suite.requests, limit=limit)
        self.generation = 1
        self.recorded = 0  # arrivals of the first recording

    def go(self) -> Figures:
        """Record, kill, converge, check. AssertionError says what went wrong."""
        began = time.monotonic()
        self.first_recording()
        with self.watched():
            self._wrong_key()
            self._kill_and_kill()
            self._to_the_end()
        self._check_limit()
        self._check_cassettes()
        self._check_nothing_is_left()
        self.figures.seconds = time.monotonic() - began
        return self.figures

    def close(self) -> None:
        """End the API."""
        self.api.close()

    def first_recording(self) -> None:
        """The old cassettes, by plain pytest in one process; those of the late files are not made."""
        late = sorted({f"tests/{Path(cassette).parent.name}.py" for cassette in self.suite.late})
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cassettes=fill",
             *(f"--ignore={file}" for file in late)],
            cwd=self.suite.folder, env=environment() | {"GENES_GIVE_UP": "60"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        self.recorded = len(self.api.arrivals())
        assert self.there() == set(self.suite.cassettes) - self.suite.late

    def there(self) -> set[str]:
        """The cassettes that are there."""
        return {
            path.relative_to(self.suite.folder).as_posix() for path in (self.suite.folder / "tests").rglob("*.json")
            if not path.name.startswith(".")
        }  # fmt: skip

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the cassettes meanwhile; AssertionError for whatever should never have been seen."""
        plan, report = self.folder / "plan.json", self.folder / "watch.json"
        plan.write_text(json.dumps({name: sorted(tests) for name, tests in self.suite.cassettes.items()}))
        cassettes = self.suite.folder / "tests" / "cassettes"
        watch = subprocess.Popen(
            [sys.executable, str(HERE / "cassette_watch.py"), str(cassettes), str(plan), str(report)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with watch:
            assert watch.stdout is not None
            assert watch.stdout.readline() == "watching\n"
            yield
            watch.communicate("", timeout=600)
        told = json.loads(report.read_text())
        assert not told["wrong"], told["wrong"][:10]
        assert told["new"] == len(self.suite.cassettes), told
        self.figures.rounds, self.figures.states = told["rounds"], told["states"]

    def run(self, *options: str, key: str = RIGHT) -> subprocess.Popen[bytes]:
        """Start `respool rerecord`."""
        with open(self.folder / "said", "ab") as said:
            return subprocess.Popen(
                [PROGRAM, "rerecord", "--workers", "8", "--delay", "0", *options], cwd=self.suite.folder,
                env=environment(key), stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    def said(self) -> str:
        """The end of what the runs said."""
        return (self.folder / "said").read_text(errors="replace")[-6000:]

    def _next_generation(self) -> None:
        self.generation += 1
        self.figures.runs += 1
        self.api.set(generation=self.generation, limit=self.limit, period=PERIOD, fail_every=50, latency=0.005)

    def _wrong_key(self) -> None:
        """The breaker opens after a handful of calls, nothing is lost, and the runs after this one go on with it."""
        self._next_generation()
        before, cassettes = len(self.api.arrivals()), self._contents()
        assert self._finished(self.run("--all", key=WRONG)) == 6, self.said()
        refused = [line["status"] for line in self.api.arrivals(before)]
        assert set(refused) == {401}
        assert len(refused) <= 3 + 8, "three refusals open the breaker, and eight units may be under way"
        assert self._contents() == cassettes
        self.figures.refused = len(refused)

    def _contents(self) -> dict[str, bytes]:
        return {name: (self.suite.folder / name).read_bytes() for name in self.there()}

    def _kill_and_kill(self) -> None:
        """Kill the run again and again; when one has come to its end, everything is recorded once more."""
        while self.figures.kills < self.kills:
            runner = self.run("--all")
            self._wait(runner)
            if self.random.random() < 0.3:
                self.figures.unit_kills += self._kill_a_unit()
                self._pause(runner, self.random.uniform(0, 0.5))
            ended = runner.poll()
            runner.kill()
            runner.wait()
            if ended is None:
                self.figures.kills += 1
            else:
                assert ended in (0, 1, 6), self.said()
                if ended != 6:  # paused for a service that does not answer: the same command goes on
                    self._next_generation()
            if self.random.random() < 0.3:
                time.sleep(self.random.uniform(0, 1.0))  # what outlived the runner may go on for a while

    def _wait(self, runner: subprocess.Popen[bytes]) -> None:
        """Until a random moment: of the start, of the first units after it, or of a swap that is seen to begin."""
        how = self.random.choice(("start", "work", "work", "swap"))
        if how == "start":
            self._pause(runner, self.random.uniform(0, 1.0))
            return
        asked = self._size()
        self._until(runner, lambda: self._size() > asked)
        if how == "work":
            self._pause(runner, self.random.uniform(0, 4.0))
        else:
            journals = self.suite.folder / ".respool" / "swaps"
            deadline = time.monotonic() + 10
            self._until(runner, lambda: time.monotonic() > deadline or (journals.is_dir() and os.listdir(journals)))

    def _size(self) -> int:
        return self.api.log.stat().st_size

    def _pause(self, runner: subprocess.Popen[bytes], seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(seconds)

    def _until(self, runner: subprocess.Popen[bytes], true: Any) -> None:
        until = time.monotonic() + 600
        while runner.poll() is None and not true():
            assert time.monotonic() < until, "nothing happens\n" + self.said()
            time.sleep(0.001)

    def _kill_a_unit(self) -> int:
        units = list(self._processes("respool.rerecord.unit")) + list(self._processes("pytest"))
        if not units:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.random.choice(units), signal.SIGKILL)
            return 1
        return 0

    def _processes(self, word: str = "") -> Iterator[int]:
        """Processes that were started, by whomever, in the folder of the suite, with that word in their command line."""
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                here = Path(os.readlink(entry / "cwd")) == self.suite.folder
                if here and word.encode() in (entry / "cmdline").read_bytes():
                    yield int(entry.name)

    def _to_the_end(self) -> None:
        """The same command again while it is paused, `--failures` while something has failed."""
        code, options = self._finished(self.run("--all")), "--all"
        while code != 0:
            assert code in (1, 6), self.said()
            assert self.figures.failures_runs < 20, f"--failures does not converge\n{self.said()}"
            before = len(self.api.arrivals())
            options = "--failures" if code == 1 else options
            failed = self.failed_files() if options == "--failures" else set()
            code = self._finished(self.run(options))
            if options == "--failures":
                self.figures.failures_runs += 1
                assert self.asking_files(before) <= failed, "--failures ran what had not failed"

    def _finished(self, runner: subprocess.Popen[bytes]) -> int:
        try:
            return runner.wait(1800)
        finally:
            runner.kill()
            runner.wait()

    def failed_files(self) -> set[str]:
        """The files that `--failures` would run, with those that share a cassette with them."""
        told = respool(self.suite.folder, "rerecord", "--failures", "--dry-run", code=0)
        return {Path(file).stem for unit in told["units"] for file in unit["files"]}

    def asking_files(self, start: int) -> set[str]:
        """The modules of the tests whose requests arrived since then."""
        tests = [line["path"].partition("test=")[2].partition("&")[0] for line in self.api.arrivals(start)]
        return {test.partition(".")[0] for test in tests if test}

    def _check_limit(self) -> None:
        """Over the arrivals as the server saw them: never more than the limit in any window."""
        arrivals = self.api.arrivals(self.recorded)
        at = [line["at"] for line in arrivals]
        start = 0
        for end, moment in enumerate(at):
            while at[start] <= moment - PERIOD:
                start += 1
            self.figures.busiest = max(self.figures.busiest, end - start + 1)
        self.figures.arrivals = len(arrivals)
        self.figures.faults = Counter(line["status"] == 200 for line in arrivals)[False]
        assert self.figures.busiest <= self.limit, str(self.figures)

    def _check_cassettes(self) -> None:
        """Every test has its cassette, nothing else is there, and each holds an answer of the last generation only."""
        assert self.there() == set(self.suite.cassettes)
        for name in self.suite.cassettes:
            told = json.loads((self.suite.folder / name).read_bytes())
            generations = {_generation(each) for each in told["interactions"]}
            assert generations == {self.generation}, f"{name}: {generations}, not {self.generation}"

    def _check_nothing_is_left(self) -> None:
        assert not list(self._processes("respool")), "processes are left"
        swaps = self.suite.folder / ".respool" / "swaps"
        assert not list(swaps.glob("*.json")), "a swap was left half done"


def _generation(interaction: dict[str, Any]) -> int:
    body = interaction["response"]["body"]
    return int(body["json"]["generation"])
