"""500 summaries at concurrency 10 through a provider on this machine: what each costs beside the provider's own time.

The provider (examples/extractive_provider.py, a process of its own; or the emulator at RESPOOL_EMULATOR) answers each
question after LATENCY seconds. Measured is the CPU of the runner for one summary, from its claim to its commit: evidence in,
question, call, answer, checks, log, spool. Beside it stands the same call made with OpenAI's SDK alone, ten at once.
"""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench import contest, machine
from bench.figures import Json
from bench.report import on, targets, write
from bench.respool_cli import row
from bench.rounds import progress
from respool import Spool
from respool.clusters.model import Cluster, Clustering, ClusterKind, Term, identity
from respool.summaries.identity import Known, Work
from respool.summaries.prompts import SYSTEM, question
from respool.summaries.settings import Settings
from respool.summaries.tasks import generation_task, items_of, rows_of, session_with

BEGIN, END = "<!-- bench: summaries, generated, do not edit -->", "<!-- bench: summaries, end -->"
SUMMARIES, AT_ONCE, LATENCY = 500, 10, 0.05
MOST_MS = 10.0
ROUNDS = 3


def run(quick: bool, page: Path, results: Path) -> bool:
    """Measure, print, and (unless `quick`) write; whether the target was met."""
    begin = time.perf_counter()
    many = 50 if quick else SUMMARIES
    packages = ("respool", "pydantic-ai-slim", "openai", "httpx2")
    found: Json = {"machine": machine.describe(contest.ROOT, packages)}
    found["options"] = {"rounds": 1 if quick else ROUNDS, "workers": AT_ONCE}
    progress(f"{many} summaries, {AT_ONCE} at once, {LATENCY * 1000:g} ms for each answer")
    settings = Settings(provider=os.environ.get("RESPOOL_EMULATOR"), model="extractive")
    with contest.scratch() as folder, provider(settings) as at:
        settings = replace(settings, provider=at)
        items = items_of(rows_of(made_up(many).to_data()), settings, Known(()))
        one_round(folder / "first", settings, dict(list(items.items())[:10]))  # imports and first connections
        runs = [one_round(folder / str(number), settings, items) for number in range(found["options"]["rounds"])]
    best = min(runs, key=lambda one: one["runner_ms"])
    found |= {"runs": runs, "seconds": round(time.perf_counter() - begin)}
    found["machine"]["load_after"] = machine.load()
    detail = (
        f"CPU of the runner for one summary; {best['bare_ms']:.1f} ms of it take the same calls with OpenAI's SDK alone. "
        f"{best['wall']:.1f} s in all, where the answers alone take {best['ideal']:.1f} s"
    )
    overhead = best["runner_ms"] - best["bare_ms"]
    rows = [
        row(f"{many} summaries at {AT_ONCE} at once", f"< {MOST_MS:g} ms each", best["runner_ms"], "ms", None, detail),
        row("respool's part of it", f"< {MOST_MS:g} ms each", overhead, "ms", overhead < MOST_MS, "the difference"),
    ]  # fmt: skip
    print(text := "\n".join(["## Summaries", "", on(found["machine"], found["options"], found["seconds"]),
                             targets(rows).partition("\n\n")[2]]))  # fmt: skip
    if not quick:
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        write(page, text, BEGIN, END)
    return all(each["ok"] is not False for each in rows)


class provider:  # noqa: N801 - used as a function is
    """A provider in a process of its own, for a `with` block; its address. Nothing is started if there is one."""

    def __init__(self, settings: Settings) -> None:
        self._there, self._process = settings.provider, None

    def __enter__(self) -> str:
        if self._there is not None:
            return self._there
        script = contest.ROOT / "examples" / "extractive_provider.py"
        argv = [sys.executable, str(script), "--port", "0", "--latency", str(LATENCY)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()[-1]

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def made_up(many: int) -> Clustering:
    """Clusters of 40 genes with 20 terms, all different."""
    rng, kind, clusters = random.Random(1), ClusterKind.FUNCTIONAL, []
    for number in range(1, many + 1):
        members = tuple(f"G{number}N{gene}" for gene in range(40))
        terms = tuple(
            Term(f"GO:{rng.randrange(10**7):07}", f"process {number} {at}", "GO", 1e-9, 1e-6, members[at : at + 15], 60, 40,
                 9000, 9.5)
            for at in range(20)
        )  # fmt: skip
        clusters.append(Cluster(number, identity(members, kind), kind, members, stability=0.8, terms=terms))
    return Clustering(kind, tuple(clusters), 40 * many)


def one_round(folder: Path, settings: Settings, items: Json) -> Json:
    """One run of all of them, and the same calls without respool."""
    folder.mkdir()
    before, began = time.process_time(), time.perf_counter()
    with Spool(folder / "spool.db") as spool, session_with(settings):
        job = spool.submit(generation_task(settings), items, name="summaries")
        report = spool.run([job.id], workers=AT_ONCE)
        assert report.jobs[0].counts == {"done": len(items)}, report.jobs[0].counts
    runner, wall = time.process_time() - before, time.perf_counter() - began
    before = time.process_time()
    asyncio.run(bare(str(settings.provider), items, len(items)))
    alone = time.process_time() - before
    return {
        "runner_ms": 1000 * runner / len(items), "bare_ms": 1000 * alone / len(items), "wall": wall,
        "ideal": LATENCY * len(items) / AT_ONCE,
    }  # fmt: skip


async def bare(url: str, items: Json, many: int) -> None:
    """The same questions, asked with the SDK and nothing else."""
    from openai import AsyncOpenAI

    places = asyncio.Semaphore(AT_ONCE)
    async with AsyncOpenAI(base_url=url, api_key="none-needed", max_retries=0) as client:

        async def ask(work: Work) -> None:
            system, asked = SYSTEM[work.evidence.kind], question(work.evidence)
            async with places:
                answer = await client.chat.completions.create(
                    model="extractive", max_tokens=2000,
                    messages=[{"role": "system", "content": system}, {"role": "user", "content": asked}],
                )  # fmt: skip
            json.loads(answer.choices[0].message.content or "")

        await asyncio.gather(*(ask(Work.of_payload(payload)) for payload in list(items.values())[:many]))
