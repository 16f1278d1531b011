"""A report of a job of summaries: each cluster with its evidence, its claims, and what a judge says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from respool.batch.model import Item, Job
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.clusters.confidence import Confidence
from respool.clusters.model import Clustering, Picture
from respool.clusters.record import Record
from respool.errors import UsageError
from respool.summaries.evidence import Evidence
from respool.summaries.identity import Work
from respool.summaries.result import Spent, Tally, judge_of, spent, tally
from respool.summaries.schemas import SUMMARIES, FunctionalSummary, Pattern, PhenotypeSummary, Summary, Theme


@dataclass(frozen=True, slots=True)
class Claim(Record):
    """One theme of a summary as a claim: what is said, what it cites, and a judge's verdict on it if there is one.

    `cites` are ids of terms or features of the evidence; `support` the genes, or the directions of the features.
    """

    name: str
    statement: str
    cites: tuple[str, ...]
    support: tuple[str, ...]
    verdict: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """One cluster. `state` is its item's, or "rejected"; without a summary, `message` says why there is none."""

    key: str
    state: str
    message: str | None
    evidence: Evidence | None
    members: tuple[str, ...]
    functional: FunctionalSummary | None = None
    phenotype: PhenotypeSummary | None = None
    claims: tuple[Claim, ...] = ()
    title_verdict: str | None = None
    mentions: tuple[str, ...] = ()
    data_confidence: Confidence | None = None
    mismatch: bool = False
    model: str | None = None
    calls: int = 0

    @property
    def summary(self) -> Summary | None:
        return self.functional or self.phenotype


@dataclass(frozen=True, slots=True)
class Report(Record):
    """All of it. `judged` says whether there is a judge's job; `control` is the clustering's negative control in words."""

    title: str
    entries: tuple[Entry, ...]
    tally: Tally
    spent: Spent
    judged: bool
    picture: Picture
    control: str | None


def report_of(database: Database, job: Job, clustering: Any, *, title: str) -> Report:
    """The report of a job of summaries that were made of `clustering` (its data)."""
    whole = _whole(clustering)
    judged = judge_of(database, job)
    verdicts = {} if judged is None else {key: result for key, _, result in reading.results(database, judged.id)}
    entries = tuple(_entry(item, verdicts.get(item.key)) for item in reading.items(database, job.id))
    return Report(
        title, entries, tally(database, job), spent(database, job), judged is not None,
        Picture() if whole is None else whole.picture, None if whole is None else control_text(whole),
    )  # fmt: skip


def written_by(report: Report) -> str:
    """Which model wrote how many of the summaries, the most first.

    For example "52 by gemini-2.5-flash at google, 3 by llama3.2 at http://localhost:11434/v1".
    """
    writers = Counter(entry.model for entry in report.entries if entry.summary is not None)
    return ", ".join(f"{number} by {model}" for model, number in writers.most_common())


def control_text(whole: Clustering) -> str | None:
    """What the negative control found, or None where none was made."""
    control = whole.control
    if control is None:
        return None
    return (
        f"Negative control: of {control.tested} clusters with shuffled members, the data give low confidence to "
        f"{control.low}; of the {control.real} real ones to {control.real_low}."
    )


def as_json(report: Report) -> str:
    """The report for programs, on one line."""
    return report.to_json() + "\n"


def as_tsv(report: Report) -> str:
    """A line for each claim, and one for a cluster without."""
    lines: list[list[str | None]] = [[*_COLUMNS.split()], *(row for entry in report.entries for row in _rows(entry))]
    return "".join("\t".join(_cell(cell) for cell in line) + "\n" for line in lines)


_COLUMNS = "cluster state title confidence data_confidence claim statement cites support verdict model message"


def _rows(entry: Entry) -> Iterator[list[str | None]]:
    summary, trust = entry.summary, entry.data_confidence
    title, said = (summary.title, summary.confidence) if summary is not None else (None, None)
    front = [entry.key, entry.state, title, said, None if trust is None else trust.level.value]
    for claim in entry.claims or (Claim("", "", (), ()),):
        cited = [claim.name, claim.statement, " ".join(claim.cites), " ".join(claim.support), claim.verdict]
        yield [*front, *cited, entry.model, entry.message]


def _cell(text: str | None) -> str:
    """Without what would end the cell, or begin a formula in a spreadsheet."""
    plain = " ".join((text or "").split())
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@") and len(plain) > 1 else plain


def _whole(clustering: Any) -> Clustering | None:
    try:
        return None if not clustering else Clustering.from_data({**clustering, "clusters": []})
    except (UsageError, TypeError):
        return None


def _entry(item: Item, judged: dict[str, Any] | None) -> Entry:
    try:
        work = Work.of_payload(item.payload)
    except UsageError:
        return Entry(item.key, str(item.state), item.message or item.payload.get("malformed"), None, ())
    trust = Confidence.from_data(item.payload["confidence"])
    plain = Entry(
        item.key, str(item.state), item.message, work.evidence, work.members, data_confidence=trust, model=str(work.model),
        calls=item.attempts,
    )  # fmt: skip
    if not isinstance(item.result, dict):
        return plain
    said, asked = item.result, item.result["asked"]
    summary = SUMMARIES[work.evidence.kind].from_data(said["summary"])
    return replace(
        plain, state="rejected" if judged and judged["rejected"] else plain.state,
        functional=summary if isinstance(summary, FunctionalSummary) else None,
        phenotype=summary if isinstance(summary, PhenotypeSummary) else None,
        claims=tuple(_claims(summary, judged)), mismatch=said["confidence"]["mismatch"],
        mentions=tuple(one["said"] for one in said["mentions"]), model=asked["model"], calls=asked["calls"],
        title_verdict=judged["verdicts"][0]["verdict"] if judged else None,
    )  # fmt: skip


def _claims(summary: Summary, judged: dict[str, Any] | None) -> Iterator[Claim]:
    verdicts = judged["verdicts"][1:] if judged else []  # the first is the title's
    themes: tuple[Theme | Pattern, ...] = summary.themes
    for at, theme in enumerate(themes):
        verdict = verdicts[at] if at < len(verdicts) else {"verdict": None, "reason": None}
        if isinstance(theme, Theme):
            cites, support = theme.term_ids, theme.genes
        else:
            cites, support = tuple(one.id for one in theme.features), tuple(one.direction for one in theme.features)
        yield Claim(theme.name, theme.statement, cites, support, verdict["verdict"], verdict["reason"])
