"""`respool summarise`: summaries of clusters by a language model, each held against its evidence and paid for once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from respool import canonical
from respool.batch.forecast import expected_seconds
from respool.batch.model import ItemState
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.intake import Wishes
from respool.cli import options
from respool.cli.closing import close
from respool.cli.exits import Exit
from respool.cli.options import option, together
from respool.cli.reader import find
from respool.cli.talk import columns, keep, put, put_json, say, seconds_text
from respool.config import parse_duration
from respool.errors import JobNotFound, UsageError
from respool.phrases import counted
from respool.summaries import tasks
from respool.summaries.costs import cost_text, forecast
from respool.summaries.identity import Known, Work
from respool.summaries.prompts import SYSTEM, question
from respool.summaries.result import judge_of, rejections, spent, tally
from respool.summaries.settings import load_settings

if TYPE_CHECKING:
    from respool.batch.spool import JobHandle, Spool

USUAL_CONCURRENCY = 4
MODEL = together(
    option("--provider", metavar="NAME|URL", help="google, openai, anthropic, or the URL of an OpenAI-compatible service."),
    option("--model", metavar="NAME", help="The model that writes."),
    option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Of one answer; a longer one is cut [2000]."),
    option("--judge", metavar="[PROVIDER:]MODEL", help="A model that says of each claim whether the evidence bears it."),
    option("--cassette", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
           help="Recorded answers: nothing is asked that is not on it."),
    option("--record", is_flag=True, help="Record on --cassette what is not on it yet."),
)  # fmt: skip
CARE = together(
    option("--only", multiple=True, metavar="CLUSTER", help="Just this cluster, in a job of its own; may be repeated."),
    option("--concurrency", type=click.IntRange(min=1), metavar="N", help=f"How many at once [{USUAL_CONCURRENCY}]."),
    option("--max-cost", type=click.FloatRange(min=0), metavar="DOLLARS", help="Stop the run before it costs more."),
    option("--job-timeout", metavar="DUR", help="For the whole run; the next one goes on [1h]."),
    option("--strict", is_flag=True, default=None, help="Names from outside the evidence are errors."),
    option("--dry-run", is_flag=True, help="Say what would be written and why, with tokens, cost and time; ask nothing."),
    option("--force", is_flag=True, help="Write all of them again, whatever is there."),
    option("--retry-failed", is_flag=True, help="Failed ones too, with fresh budgets."),
    option("--retry-rejected", is_flag=True, help="Rejected ones too: another summary is written."),
)  # fmt: skip
OUT = together(
    option("--html", type=options.OUTPUT, metavar="FILE", help="A report as one page."),
    option("--tsv", type=options.OUTPUT, metavar="FILE", help="A line for each claim."),
    option("--out", type=options.OUTPUT, metavar="FILE", help="Everything as JSON."),
)  # fmt: skip


@click.command()
@click.argument("source", metavar="CLUSTERS.json|JOB")
@MODEL
@CARE
@OUT
@options.WHERE
@options.FOR_MACHINES
def summarise(source: str, **given: Any) -> int:
    """Write a summary of every cluster, or go on where the last run stopped.

    CLUSTERS.json is what `respool cluster ... --out` writes; JOB is the number or name of a clustering job.
    A summary that is there already is not asked for again. [tool.respool.llm] holds the usual provider and model.

    \b
    respool summarise clusters.json --provider http://localhost:11434/v1 --model llama3.2 --html report.html
    respool summarise 12 --dry-run
    respool summarise 12 --only 7 --only 9 --model another      (beside what is there)
    """
    return _Summarise(source, given).go()


class _Plan(NamedTuple):
    """The items of the job, and why each has to be written; None where it is there."""

    items: dict[str, Any]
    why: dict[str, str | None]


class _Summarise:
    """One call of the command."""

    def __init__(self, source: str, given: dict[str, Any]) -> None:
        self.given = given
        named = ("provider", "model", "max_tokens", "judge", "concurrency", "max_cost", "strict", "cassette")
        self.settings = load_settings({name: given[name] for name in named})
        if given["record"] and given["cassette"] is None:
            raise UsageError("--record needs --cassette", command="respool summarise --help")
        inputs = [source] if given["cassette"] is None else [source, given["cassette"]]
        options.keep_apart({f"--{name}": given[name] for name in ("html", "tsv", "out")}, inputs)
        self.places = options.places_of(given["spool"])
        self.data, name = self._source(source)
        only = [*dict.fromkeys(given["only"])]
        self.name = f"summaries of clusters {', '.join(only)} of {name}" if only else f"summaries of {name}"
        self.workers = self.settings.concurrency or USUAL_CONCURRENCY

    def go(self) -> int:
        rows = self._rows()
        plan = self._plan(rows)
        if self.given["dry_run"]:
            return self._dry_run(plan)
        if rows and any(plan.why.values()):
            self._check()
        from respool.batch.spool import Spool

        with contextlib.closing(Spool(self.given["spool"], told=say)) as spool:
            return self._run(spool, plan)

    def _rows(self) -> list[tasks.Row]:
        rows, only = tasks.rows_of(self.data), set(self.given["only"])
        if missing := only - {key for key, _, _ in rows}:
            raise UsageError(f"there is no cluster {', '.join(sorted(missing))}", where=self.name)
        return [row for row in rows if not only or row[0] in only]

    def _source(self, source: str) -> tuple[Any, str]:
        path = Path(source)
        if path.is_file():
            try:
                return canonical.decode(path.read_bytes()), source
            except canonical.NotCanonical as error:
                raise UsageError(
                    f"{source} holds no clusters: {error}", command=f"respool cluster ... --out {source}"
                ) from None
        with self._reading() as database:
            if database is None:
                raise JobNotFound(
                    f"{source!r} is neither a file nor a job", where=str(self.places.database),
                    command="respool cluster ... --out clusters.json",
                )  # fmt: skip
            job = find(database, source)
            if job.task == tasks.GENERATION and job.parent is not None:
                job = reading.job(database, job.parent)
            results = [result for _, _, result in reading.results(database, job.id)]
        if len(results) > 1 or (results and results[0] is not None and not isinstance(results[0], dict)):
            raise UsageError(f"job {job.id} is no clustering", where=job.name, command="respool jobs list")
        return (results[0] if results else None), job.name

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Database | None]:
        if not self.places.database.exists():
            yield None
            return
        with Database.open(self.places, read_only=True) as database:
            yield database

    def _plan(self, rows: Sequence[tasks.Row]) -> _Plan:
        force: Sequence[str] | bool = self.given["force"]
        with self._reading() as database:
            known = Known(() if database is None else reading.finished_payloads(database, tasks.GENERATION))
            if not force and self.given["retry_rejected"] and database is not None:
                force = tuple(rejections(database, find(database, self.name)))
        items = tasks.items_of(rows, self.settings, known, force=force) if rows else {}
        return _Plan(items, {key: _why(payload) for key, payload in items.items()})

    def _check(self) -> None:
        missing = self.settings.missing()
        if missing is not None and not (self.given["record"] and self.settings.cassette is not None):
            raise UsageError(
                f"nothing can be asked: {missing}", where="[tool.respool.llm]",
                command="respool summarise --provider http://localhost:11434/v1 --model NAME, or set a key",
            )  # fmt: skip

    def _dry_run(self, plan: _Plan) -> int:
        works = {key: Work.of_payload(plan.items[key]) for key, why in plan.why.items() if why and why != "malformed"}
        model = self.settings.generator() if works else None
        coming = None
        if model is not None:
            coming = forecast(model, (SYSTEM[one.evidence.kind] + question(one.evidence) for one in works.values()))
        with self._reading() as database:
            typical = None if database is None else reading.typical_seconds(database, None, tasks.GENERATION)
        task = tasks.generation_task(self.settings)
        seconds = expected_seconds(task, len(works), typical, self.workers)
        if self.given["as_json"]:
            items = [{"cluster": key, "action": "write" if why else "cached", "why": why} for key, why in plan.why.items()]
            told = None if coming is None else {
                "calls": coming.calls, "input_tokens": coming.input, "output_tokens": coming.output, "cost": coming.cost,
            }  # fmt: skip
            put_json({"job": self.name, "model": str(model or ""), "forecast": told, "seconds": seconds, "items": items})
            return int(Exit.DONE)
        for line in columns([("write" if why else "cached", key, why or "") for key, why in plan.why.items()]):
            put(line)
        say(f"{self.name}: {counted(len(works), 'summary', 'summaries')} to write; nothing was asked or written")
        if coming is not None:
            say(f"with {model}: about {coming.input} tokens to be read and at most {coming.output} written, "
                f"at most {cost_text(coming.cost)}")  # fmt: skip
            say("time unknown: no call has been timed yet" if seconds is None else f"expected: {seconds_text(seconds)}")
        return int(Exit.DONE)

    def _run(self, spool: Spool, plan: _Plan) -> int:
        from respool.cli.summary_view import SummaryView

        found = self._found(spool) - {key for key, why in plan.why.items() if why is not None}
        with self._answering():
            handle = self._submit(spool, plan)
            if handle.stored_for_live_runner:
                from respool.cli.run import busy

                raise busy(spool.holder(), str(spool.places.database), handle.id)
            for key, why in plan.why.items():
                if why not in (None, "new"):
                    say(f"cluster {key}: {why}")
            with contextlib.closing(SummaryView(spool)) as view:
                view.begin()
                report = spool.run([handle.id], workers=self.workers, watcher=view.show)
        self._write_reports(spool, handle)
        job = handle.read()
        counts = tally(spool.database(), job, found=found)
        used = {"generation": spent(spool.database(), job).to_data()}
        judged = judge_of(spool.database(), job)
        if judged is not None:
            used["judge"] = spent(spool.database(), judged).to_data()
        code = close(
            spool.database(), [one for one in report.jobs if one.id != handle.id] + [job], seconds=report.seconds,
            signal_number=report.signal, paused={number: pause.reason for number, pause in report.paused.items()},
            now=report.now, as_json=self.given["as_json"], note={"result": counts.to_data(), "spent": used},
            last_word=job.id,
        )  # fmt: skip
        for what, one in used.items():
            say(_spent_text(what, one))
        say(str(counts))
        return code

    def _found(self, spool: Spool) -> frozenset[str]:
        """What was finished before this call, if the job had come to its end: those are there already."""
        with contextlib.suppress(JobNotFound):
            job = spool.job(self.name).read()
            if job.ended_at is not None:
                database = spool.database()
                return frozenset(
                    key for state in (ItemState.DONE, ItemState.CACHED) for key in reading.keys(database, job.id, state)
                )  # fmt: skip
        return frozenset()

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Ask for real, play a cassette, or record one."""
        if not self.given["record"] or self.settings.cassette is None:
            with tasks.session_with(self.settings):
                yield
            return
        from respool.cassette.recording import use_cassette

        tape = use_cassette(self.settings.cassette, mode="fill", allow_status=None)
        with tape, tasks.session_with(replace(self.settings, cassette=None)):
            yield

    def _submit(self, spool: Spool, plan: _Plan) -> JobHandle:
        settings = replace(self.settings, cassette=None) if self.given["record"] else self.settings
        told = self.given["job_timeout"]
        timeout = None if told is None else parse_duration(told, what="--job-timeout")
        handle = spool.submit(
            tasks.generation_task(settings), plan.items, name=self.name, job_timeout=timeout,
            wishes=Wishes(retry_failed=self.given["retry_failed"]),
        )  # fmt: skip
        judged = judge_of(spool.database(), handle.read())
        if judged is not None:  # an outage of the judge is no verdict: what it left is judged now
            spool.job(judged.id).retry()
        return handle

    def _write_reports(self, spool: Spool, handle: JobHandle) -> None:
        if not any(self.given[name] for name in ("html", "tsv", "out")):
            return
        from respool.summaries.report import as_json, as_tsv, report_of
        from respool.summaries.report_html import as_html

        report = report_of(spool.database(), handle.read(), self.data, title=self.name)
        for name, form in (("html", as_html), ("tsv", as_tsv), ("out", as_json)):
            if self.given[name] is not None:
                keep(self.given[name], form(report))


def _why(payload: dict[str, Any]) -> str | None:
    return "malformed" if tasks.MALFORMED in payload else payload["why"]


def _spent_text(what: str, used: dict[str, Any]) -> str:
    calls, usage = counted(used["calls"], "answered call"), used["usage"]
    return f"{what}: {calls}, {usage['input']} tokens in, {usage['output']} out, {cost_text(used['cost'])}"

