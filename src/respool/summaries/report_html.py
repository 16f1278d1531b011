"""The report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.

Each claim links to the rows of evidence that it cites. Everything that comes from a file or a model is text here: it is
escaped where it is put in, without exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from respool.clusters.model import ClusterKind
from respool.phrases import counted
from respool.summaries.costs import cost_text
from respool.summaries.evidence import Evidence, number_text
from respool.summaries.report import Claim, Entry, Report, written_by
from respool.summaries.report_picture import bars, colour, network

_STYLE = files("respool.summaries").joinpath("report.css").read_text(encoding="utf-8")


def as_html(report: Report) -> str:
    """The report as a page."""
    places = {entry.key: place for place, entry in enumerate(report.entries)}
    belongs: dict[str, int] = {}
    for entry in report.entries:  # clusters come before their parts, whose members keep the whole's colour
        for member in entry.members:
            belongs.setdefault(member, places[entry.key])
    picture = network(report.picture, belongs, [entry.key for entry in report.entries])
    body = "\n".join(_article(entry, places[entry.key], judged=report.judged) for entry in report.entries)
    contents = "".join(_content(entry, places[entry.key]) for entry in report.entries)
    control = f'<p class="soft">{escape(report.control)}</p>' if report.control else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(report.title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{escape(report.title)}</h1>\n"
        f"<p>{escape(str(report.tally))}. {escape(_spent(report))}</p>\n<p>{escape(_written(report))}</p>\n{control}\n"
        f"</header>\n{picture}\n"
        f'<nav aria-label="Clusters">{contents}</nav>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _spent(report: Report) -> str:
    tokens = report.spent.usage.input + report.spent.usage.output
    return f"{counted(report.spent.calls, 'answered call')}, {tokens} tokens, {cost_text(report.spent.cost)}."


def _written(report: Report) -> str:
    by = written_by(report)
    return f"Written, each held to its evidence: {by}." if by else "No summary was written."


def _content(entry: Entry, place: int) -> str:
    title = entry.summary.title if entry.summary is not None else entry.state
    return (
        f'<a href="#c{_id(entry.key)}"><span class="dot" style="background:{colour(place)}"></span> '
        f"{escape(entry.key)} {escape(title)}</a>"
    )


def _article(entry: Entry, place: int, *, judged: bool) -> str:
    title = entry.summary.title if entry.summary is not None else f"Cluster {entry.key}"
    parts = [
        f'<article id="c{_id(entry.key)}"><div class="head"><span class="dot" style="background:{colour(place)}"></span>'
        f'<h2>{escape(entry.key)}. {escape(title)}</h2> {"".join(_badges(entry, judged=judged))}</div>'
    ]
    if entry.summary is None:
        parts.append(f'<p class="bad">{escape(_missing(entry))}</p>')
    else:
        parts.append(f"<p>{escape(entry.summary.summary)}</p>")
        parts += [_claim(entry.key, claim) for claim in entry.claims]
        parts.append(_remarks(entry))
    if entry.evidence is not None:
        parts += [bars(entry.evidence, place), _evidence(entry.key, entry.evidence)]
    parts.append("</article>")
    return "\n".join(part for part in parts if part)


def _missing(entry: Entry) -> str:
    if entry.state == "failed" and entry.calls > 1:
        return f"No summary: none of {entry.calls} answers can be used. The last: {entry.message}"
    return f"No summary ({entry.state}): {entry.message or 'it was not written yet'}"


def _badges(entry: Entry, *, judged: bool) -> Iterator[str]:
    if entry.evidence is not None:
        noun = "gene" if entry.evidence.kind is ClusterKind.FUNCTIONAL else "entity"
        yield f'<span class="badge">{counted(entry.evidence.size, noun, None if noun == "gene" else "entities")}</span> '
    if entry.data_confidence is not None:
        yield f'<span class="badge">data: {escape(entry.data_confidence.level.value)}</span> '
    if entry.summary is None:
        yield f'<span class="badge">asked: {escape(entry.model or "?")}</span>'
        return
    yield f'<span class="badge">model: {escape(entry.summary.confidence)}</span> '
    if entry.mismatch:
        yield '<span class="badge warn">model and data differ</span> '
    if entry.state == "rejected":
        yield '<span class="badge bad">rejected by the judge</span> '
    elif entry.title_verdict is not None:
        yield '<span class="badge good">accepted by the judge</span> '
    elif judged:
        yield '<span class="badge warn">not judged</span> '
    yield f'<span class="badge">by {escape(entry.model or "?")}</span>'


def _claim(key: str, claim: Claim) -> str:
    links = "".join(f'<a href="#e{_id(key)}-{_id(one)}">{escape(one)}</a>' for one in claim.cites)
    verdict = ""
    if claim.verdict is not None:
        told = f"{claim.verdict}: {claim.reason or ''}"
        verdict = f'<div class="{_tone(claim.verdict)}"><small>{escape(told)}</small></div>'
    return (
        f'<div class="claim {escape(claim.verdict or "")}"><strong>{escape(claim.name)}</strong><br>{escape(claim.statement)}'
        f'<div class="cites">{links}</div><small>{escape(", ".join(claim.support))}</small>{verdict}</div>'
    )


def _remarks(entry: Entry) -> str:
    assert entry.summary is not None
    told = [f"Model's confidence: {entry.summary.confidence}, {entry.summary.confidence_reason}"]
    if entry.data_confidence is not None:
        told.append(f"From the data: {entry.data_confidence.level.value}, {'; '.join(entry.data_confidence.reasons)}")
    if entry.summary.not_explained:
        told.append(f"Not explained: {', '.join(entry.summary.not_explained)}")
    if entry.mentions:
        told.append(f"Mentioned, but not in the evidence: {', '.join(entry.mentions)}")
    if entry.summary.tags:
        told.append(f"Tags: {', '.join(entry.summary.tags)}")
    return "".join(f'<div class="soft"><small>{escape(one)}</small></div>' for one in told)


def _evidence(key: str, evidence: Evidence) -> str:
    if evidence.kind is ClusterKind.FUNCTIONAL:
        head = "<tr><th>id<th>term<th>q<th>fold<th>genes</tr>"
        rows = "".join(
            f'<tr id="e{_id(key)}-{_id(term.id)}"><td>{escape(term.id)}<td>{escape(term.name)}'
            f'<td class="number">{number_text(term.q)}'
            f"<td>{'' if term.fold is None else number_text(term.fold)}"
            f"<td>{term.overlap}: {escape(', '.join(term.genes))}</tr>"
            for term in evidence.terms
        )
    else:
        head = "<tr><th>feature<th>direction<th>in the cluster<th>overall<th>v-test</tr>"
        rows = "".join(
            f'<tr id="e{_id(key)}-{_id(one.id)}"><td>{escape(one.id)}<td>{one.direction}<td>{number_text(one.in_cluster)}'
            f"<td>{number_text(one.overall)}<td>{number_text(one.v_test)}</tr>"
            for one in evidence.features
        )
    more = f" and {evidence.hidden_members} more" if evidence.hidden_members else ""
    return (
        f'<h3>Evidence</h3><div class="scroll"><table>{head}{rows}</table></div>'
        f"<details><summary>{counted(evidence.size, 'member')}</summary><p><small>{escape(', '.join(evidence.members))}{more}"
        f"</small></p></details>"
    )


def _tone(verdict: str | None) -> str:
    return {"supported": "good", "unsupported": "bad", "contradicted": "bad"}.get(verdict or "", "warn")


def _id(text: str) -> str:
    """Any text as a part of an anchor: letters and digits as they are, the rest by its number."""
    return "".join(character if character.isascii() and character.isalnum() else f"_{ord(character):x}" for character in text)
