"""The command line of the bench: see the package's docstring."""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time

from bench import machine, report, rerecord, rounds
from bench.contest import ROOT
from bench.figures import Broken, Json, Skip
from bench.peers import MODULES
from bench.replay import report as replay_report
from bench.rounds import progress

RERECORD_RESULTS = ROOT / "bench" / "results" / "rerecord.json"
CLUSTERS_RESULTS = ROOT / "bench" / "results" / "clusters.json"
SUMMARIES_RESULTS = ROOT / "bench" / "results" / "summaries.json"
REPLAY_RESULTS = ROOT / "bench" / "results" / "replay.json"
RESULTS = ROOT / "bench" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
TARGETS = ("throughput", "start", "scale", "resume")


def main() -> int:
    """Measure, print the report and, of a full run, write the page and the figures.

    Exit 1 if a target was missed or a contestant broke.
    """
    options = _options()
    os.environ["PYTHONPATH"] = str(ROOT)  # the contestants import us, whatever folder they run in
    met = options.only.startswith(("replay", "rerecord", "clusters", "summaries")) or _batch(options)
    if not options.only or options.only.startswith("replay"):
        met = replay_report.run(options.rounds, options.quick, options.only, PAGE, REPLAY_RESULTS) and met
    if options.only in ("", "rerecord"):
        met = rerecord.run(options.quick, PAGE, RERECORD_RESULTS) and met
    if options.only in ("", "clusters"):
        clusters = importlib.import_module("bench.clusters")  # what it needs takes its time to load
        met = clusters.run(options.quick, PAGE, CLUSTERS_RESULTS) and met
    if options.only in ("", "summaries"):
        summaries = importlib.import_module("bench.summaries")
        met = summaries.run(options.quick, PAGE, SUMMARIES_RESULTS) and met
    return 0 if met else 1


def _batch(options: argparse.Namespace) -> bool:
    """The batch half; whether nothing broke and every target was met."""
    names = [name for name in MODULES if not options.only or options.only in name]
    begin = time.perf_counter()
    found: Json = {
        "machine": machine.describe(ROOT),
        "options": {"rounds": options.rounds, "workers": options.workers, "quick": options.quick, "only": options.only},
    }
    progress(f"rounds of {len(names)} contestants")
    found |= rounds.play(names, options.rounds, options.workers, 20 if options.quick else 1)
    found["summary"] = rounds.summary(found["runs"])
    found["trials"] = rounds.trials(names, options.workers, {**found["skipped"], **found["broken"]})
    found["targets"] = _targets(options, found)
    found["seconds"] = round(time.perf_counter() - begin)
    found["machine"]["load_after"] = machine.load()
    print(report.markdown(found))
    if options.quick:
        progress("quick: too few items for a figure worth quoting")
    if not options.quick and not options.only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        report.write(PAGE, report.markdown(found))
        progress(f"written: {PAGE.relative_to(ROOT)}, {RESULTS.relative_to(ROOT)}")
    return not found["broken"] and all(row["ok"] is not False for row in found["targets"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small counts, one round, nothing written")
    parser.add_argument("--rounds", type=int, help="rounds of all contestants (default 3; quick: 1)")
    parser.add_argument(
        "--only", metavar="NAME", default="",
        help="what has NAME in its name; clusters, summaries, rerecord, replay: that bench; replay_NAME: parts of it",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=4, help="workers of every contestant (default 4)")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def _targets(options: argparse.Namespace, found: Json) -> list[Json]:
    """What respool promised itself, measured; a part that cannot run is skipped by name."""
    rows: list[Json] = []
    for name in TARGETS:
        if options.only and options.only not in f"respool_{name}":
            continue
        progress(f"target: {name}")
        try:
            rows += importlib.import_module(f"bench.respool_{name}").measure(options.quick, found["summary"])
        except (Skip, Broken) as reason:
            found["skipped" if isinstance(reason, Skip) else "broken"][f"respool_{name}"] = str(reason)
            progress(f"  {type(reason).__name__.lower()}: {reason}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
