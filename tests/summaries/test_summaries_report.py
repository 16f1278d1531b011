"""Reports: everything is in them, every claim leads to its evidence, and text stays text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from real_clusters import phenotype

from respool.clusters.model import Picture
from respool.summaries.provider import Usage
from respool.summaries.report import Report, as_json, as_tsv, report_of
from respool.summaries.report_html import as_html
from respool.summaries.report_picture import bars, colour, network
from respool.summaries.result import GENERATING, Spent, Tally, message, spent, tally
from respool.summaries.schemas import claims_of


class Page(HTMLParser):
    """What a browser would see of a page: ids, links, tags that are open, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.tags, self.words = set[str](), list[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if "id" in given:
            self.ids.add(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def reported(summaries: Any, provider: Any, small: Any) -> tuple[Report, Any, Any]:
    handle = summaries.run(small, summaries.settings(provider({1: "refused"}), judge="judge"))
    database = summaries.spool.database()
    return report_of(database, handle.read(), small.to_data(), title="a report"), database, handle


def test_the_report_holds_every_cluster_its_claims_and_their_verdicts(reported: Any) -> None:
    report, database, handle = reported
    assert [entry.state for entry in report.entries].count("failed") == 1
    assert report.judged
    for entry in report.entries:
        assert entry.evidence is not None
        if entry.summary is not None:
            assert [claim.verdict for claim in entry.claims] == ["supported"] * len(entry.summary.themes)
            assert len(claims_of(entry.summary)) == len(entry.claims) + 1
            assert entry.model is not None
            assert entry.model.startswith("extractive at")
    assert Report.from_json(as_json(report).strip()) == report
    assert report.tally == Tally(6, 5, 1, 0, 0, 0, 0) == tally(database, handle.read())
    assert report.spent.calls == 6
    assert report.spent.cost is None  # nobody knows what this provider would cost


def test_every_claim_links_to_its_rows_of_evidence(reported: Any) -> None:
    page = Page(as_html(reported[0]))
    cited = sum(len(claim.cites) for entry in reported[0].entries for claim in entry.claims)
    to_evidence = [link for link in page.links if link.startswith("#e")]
    assert len(to_evidence) == cited > 5
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("article") == 6


def test_what_a_model_or_a_file_says_stays_text(reported: Any) -> None:
    report = reported[0]
    evil = '<script>alert("x")</script>&amp;"\'><img src=x onerror=y>'
    first = next(entry for entry in report.entries if entry.functional is not None)
    assert first.functional is not None
    assert first.evidence is not None
    changed = replace(
        first, key=evil, message=evil, members=(evil,), mentions=(evil,), model=evil, state=evil,
        functional=replace(first.functional, title=evil, summary=evil, tags=(evil,), not_explained=(evil,)),
        claims=tuple(replace(claim, name=evil, statement=evil, cites=(evil,), support=(evil,), verdict=evil, reason=evil)
                     for claim in first.claims),
        evidence=replace(first.evidence, members=(evil,), terms=tuple(
            replace(term, id=evil, name=evil, genes=(evil,)) for term in first.evidence.terms)),
    )  # fmt: skip
    picture = Picture((evil,), (0.5,), (0.5,))
    page = Page(as_html(replace(report, title=evil, control=evil, entries=(changed,), picture=picture)))
    assert not {"script", "img"} & set(page.tags)
    assert "".join(page.words).count(evil) > 15
    assert not re.search(r"\s(on\w+)=", "".join(f" {tag}" for tag in page.tags))


def test_a_table_has_a_line_for_each_claim(reported: Any) -> None:
    report = reported[0]
    lines = [line.split("\t") for line in as_tsv(report).splitlines()]
    claims = sum(max(1, len(entry.claims)) for entry in report.entries)
    assert len(lines) == 1 + claims
    assert {len(line) for line in lines} == {len(lines[0])}
    assert lines[0][0] == "cluster"


def test_cells_begin_no_formula() -> None:
    entry = Report("t", (), Tally(0, 0, 0, 0, 0, 0, 0), Spent(0, Usage(), 0.0), False, Picture(), None)
    assert as_tsv(entry).count("\n") == 1


def test_phenotype_clusters_are_reported_too(summaries: Any, provider: Any) -> None:
    whole = phenotype()
    some = replace(whole, clusters=whole.clusters[:3])
    handle = summaries.run(some, summaries.settings(provider()))
    report = report_of(summaries.spool.database(), handle.read(), some.to_data(), title="t")
    assert report.tally.succeeded == 3
    assert all(entry.phenotype is not None and entry.claims for entry in report.entries)
    assert "under-represented" in as_html(report) or "over-represented" in as_html(report)
    assert json.loads(as_json(report))["entries"][0]["phenotype"]


def test_pictures_are_drawn_of_what_there_is(reported: Any) -> None:
    report = reported[0]
    drawn = network(report.picture, {report.picture.names[0]: 0}, ["1"])
    assert drawn.count("<circle") == len(report.picture.names)
    assert "cluster 1" in drawn
    assert network(Picture(), {}, []) == ""
    evidence = report.entries[0].evidence
    assert evidence is not None
    assert bars(evidence, 0).count("<rect") == min(8, len(evidence.terms))
    assert len({colour(place) for place in range(12)}) == 12


def test_the_message_of_a_job_while_it_runs() -> None:
    assert message({}, None) == GENERATING == "Generating LLM summaries for clusters..."
    from respool.batch.model import ItemState as State

    counts = {State.DONE: 2, State.FAILED: 1, State.CACHED: 1, State.RUNNING: 2, State.PENDING: 4}
    assert message(counts, "7") == "Cluster 7 (5/10)"
    assert message({State.DONE: 9, State.RUNNING: 1, State.CANCELLED: 5}, "12.3") == "Cluster 12.3 (10/10)"


def test_the_last_line_names_rejections_only_if_there_are_any() -> None:
    assert str(Tally(9, 5, 1, 3, 0, 0, 0)) == "Done: 5 succeeded, 1 failed, 3 cached"
    assert str(Tally(9, 3, 1, 3, 2, 0, 0)) == "Done: 3 succeeded, 1 failed, 3 cached, 2 rejected"


def test_a_cluster_without_a_summary_says_who_was_asked_and_why_there_is_none(
    summaries: Any, provider: Any, small: Any
) -> None:
    server = provider(dict.fromkeys((2, 3, 4), "ungrounded"))
    two = replace(small, clusters=small.clusters[:2])
    handle = summaries.run(two, summaries.settings(server))
    report = report_of(summaries.spool.database(), handle.read(), two.to_data(), title="r")
    failed = [entry for entry in report.entries if entry.summary is None]
    assert [(entry.model, entry.calls) for entry in failed] == [(f"extractive at {server.url}", 3)]
    page = as_html(report)
    assert "No summary: none of 3 answers can be used. The last: $.themes[0].genes[" in page
    assert f"asked: extractive at {server.url}" in page
    assert f"each held to its evidence: 1 by extractive at {server.url}." in page


def test_tokens_of_failed_calls_are_counted(summaries: Any, provider: Any, small: Any) -> None:
    server = provider({1: "ungrounded", 2: "truncated", 3: "malformed"})
    one = replace(small, clusters=small.clusters[:1])
    handle = summaries.run(one, summaries.settings(server))
    used = spent(summaries.spool.database(), handle.read())
    assert handle.read().counts == {"failed": 1}
    assert used.calls == 3
    assert used.usage.input > 1000
