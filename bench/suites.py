"""Real suites, under their own tool, under respool in its place, and under cassetter, with the network off in the kernel.

    python -m bench.suites suites.json            prints the page of docs/real-suites.md on standard output

Nothing is fetched here. `suites.json` is a list of suites that somebody has checked out:

    [{"name": "praw", "of": "praw-dev/praw", "commit": "7b69758", "folder": "/src/praw", "client": "requests",
      "arguments": ["tests/integration"], "tools": {"vcrpy": "/venvs/own/bin/python", "respool": "/venvs/ours/bin/python"}}]

Each tool has an environment of its own, in which nothing else answers to the marks or to the name `vcr`; "own" in a
suite names the tool that it is compared with (the first one else). A tool whose value is a text in parentheses cannot
run that suite, for that reason. Every round runs all tools once. Needs Linux, with `unshare` for users.
"""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from statistics import median

from bench import machine
from bench.figures import Json
from bench.rounds import progress

ROUNDS = 3
DEADLINE = 900.0
SHOWN = ("vcrpy", "pytest-recording", "pytest-vcr", "cassetter", "respool", "pytest", "requests", "aiohttp", "httpx",
         "httpx2", "openai", "anthropic", "groq", "mistralai", "cohere")  # fmt: skip
_VERSIONS = f"""
from importlib.metadata import PackageNotFoundError, version
found = []
for name in {SHOWN!r}:
    try: found.append(name + " " + version(name))
    except PackageNotFoundError: pass
print(", ".join(found))
"""


def outcomes(suite: Json, python: str) -> tuple[dict[str, str], tuple[float, float]]:
    """One run: test id → "passed", "failed", "error" or "skipped", and its seconds, by the clock and of the CPU.

    Raises RuntimeError if none ran.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        environ = {**os.environ, "RESPOOL_ANSWER_TO_VCR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        begin, used = time.perf_counter(), _cpu()
        ended = subprocess.run(
            ["unshare", "--map-root-user", "--net", python, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             f"--junitxml={report}", "-o", "junit_family=xunit1", *suite["arguments"]],
            cwd=suite["folder"], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - begin, _cpu() - used
        if not report.exists():
            raise RuntimeError((ended.stdout + ended.stderr).strip()[-2000:])
        found: dict[str, str] = {}
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('file')}::{(case.get('classname') or '').rpartition('.')[2]}::{case.get('name')}"
            kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
            found[name] = found.get(name, "") + "+".join(sorted(kinds)) if kinds else found.get(name, "")
    return {name: kinds or "passed" for name, kinds in found.items()}, seconds


def _cpu() -> float:
    """CPU seconds of the processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(suite: Json) -> Json:
    """All rounds of one suite: per tool its seconds, its outcomes, and what differs from those of the suite's own tool."""
    usable = {tool: python for tool, python in suite["tools"].items() if not python.startswith("(")}
    own = suite.get("own") or next(iter(usable))
    runs: dict[str, list[tuple[float, float]]] = {tool: [] for tool in usable}
    seen: dict[str, dict[str, str]] = {}
    for number in range(ROUNDS):
        for tool, python in usable.items():
            found, seconds = outcomes(suite, python)
            progress(f"  round {number + 1} {suite['name']} {tool}: {seconds[0]:.1f} s, {told(found)}")
            runs[tool].append(seconds)
            for name, outcome in found.items():
                before = seen.setdefault(tool, {}).setdefault(name, outcome)
                if before != outcome:
                    seen[tool][name] = f"{before}, once {outcome}"
    versions = {
        tool: subprocess.run([python, "-c", _VERSIONS], capture_output=True, text=True, check=True).stdout.strip()
        for tool, python in usable.items()
    }
    return {"suite": suite, "own": own, "seconds": runs, "seen": seen, "versions": versions}


def told(found: dict[str, str]) -> str:
    """The counts of outcomes.

    >>> told({"a": "passed", "b": "passed", "c": "error"})
    '2 passed, 1 error'
    """
    return ", ".join(f"{count} {kind}" for kind, count in Counter(found.values()).most_common())


def differences(own: dict[str, str], other: dict[str, str]) -> list[tuple[str, str, str]]:
    """(test id, its outcome under the one, under the other) wherever the two differ.

    >>> differences({"a": "passed", "b": "passed"}, {"a": "passed", "c": "error"})
    [('b', 'passed', 'not collected'), ('c', 'not collected', 'error')]
    """
    names = sorted({*own, *other})
    rows = [(name, own.get(name, "not collected"), other.get(name, "not collected")) for name in names]
    return [row for row in rows if row[1] != row[2]]


def page(results: list[Json], where: Json) -> str:
    """The page, as Markdown."""
    lines = [
        "# Real suites", "",
        "Public projects with committed cassettes, run with nothing edited, the network off in the kernel",
        "(`unshare --net`), each tool in an environment of its own, every tool once per round.",
        "Written by `python -m bench.suites`, with the checkouts and environments that are named below.", "",
        f"{where['date']}, {where['cpu']}, {where['cores']} cores, {where['kernel']}, {where['python']}; "
        f"load before {where['load_before']:g}, after {machine.load():g}; median of {ROUNDS} interleaved runs.", "",
        "The suites say `import vcr`; respool answers to that name because `RESPOOL_ANSWER_TO_VCR=1` is set",
        "([coming from vcrpy](migrating.md)). Who shares the machine makes the clock's seconds longer, and the CPU's",
        "hardly.", "",
        "| suite | client | tool | outcomes | CPU seconds | all runs | seconds by the clock | same ids and outcomes |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for each in results:
        suite, own = each["suite"], each["own"]
        for tool, python in suite["tools"].items():
            start = f"| {suite['name']} | {suite['client']} | {tool} |"
            if tool not in each["seconds"]:
                lines.append(f"{start} {python} | – | – | – | – |")
                continue
            seconds, differing = each["seconds"][tool], differences(each["seen"][own], each["seen"][tool])
            same = "its own tool" if tool == own else "yes" if not differing else f"{len(differing)} differ"
            clock, cpu = zip(*seconds, strict=True)
            every = " / ".join(f"{one:.1f}" for one in cpu)
            figures = f"{median(cpu):.1f} | {every} | {median(clock):.1f}"
            lines.append(f"{start} {told(each['seen'][tool])} | {figures} | {same} |")
    for each in results:
        lines += ["", f"## {each['suite']['name']}", "", *_details(each)]
    return "\n".join(lines) + "\n"


def _details(each: Json) -> list[str]:
    suite = each["suite"]
    lines = [f"`{suite['of']}` at `{suite['commit']}`: `pytest {' '.join(suite['arguments'])}`", ""]
    lines += [f"- {tool}: {versions}" for tool, versions in each["versions"].items()]
    if "note" in suite:
        lines += ["", suite["note"]]
    own = each["seen"][each["own"]]
    amiss = [name for name, outcome in own.items() if outcome not in ("passed", "skipped")]
    if amiss:
        lines += ["", f"Not passed under {each['own']} itself:", "", *(f"- `{name}`: {own[name]}" for name in amiss)]
    for tool, seen in each["seen"].items():
        differing = differences(own, seen)
        if differing:
            lines += ["", f"Different under {tool}:", "", f"| test | {each['own']} | {tool} |", "|---|---|---|"]
            lines += [f"| `{name}` | {mine} | {its} |" for name, mine, its in differing]
    return lines


def main() -> int:
    """Run all suites of the file that was named; exit 1 if respool's ids or outcomes differ from the own tool's."""
    suites = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    where = machine.describe(Path.cwd())
    results = [measured(suite) for suite in suites]
    print(page(results, where), end="")
    return 1 if any(differences(each["seen"][each["own"]], each["seen"]["respool"]) for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
