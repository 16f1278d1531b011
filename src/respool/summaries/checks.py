"""Claims held against the evidence, in plain code: what a summary cites must be there, and must be said as it is.

Structured fields are checked exactly: terms, genes, features, directions. In prose, numbers and directions are checked
against what the same sentence's theme cites; names from outside the evidence are *mentions*, listed and no violation
unless that is asked for (real models add true biology).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from respool.clusters.record import Record
from respool.summaries.evidence import Evidence, ShownFeature, ShownTerm, number_text
from respool.summaries.numbers import Figures, false_numbers
from respool.summaries.schemas import FunctionalSummary, Pattern, PhenotypeSummary, Summary, Theme


@dataclass(frozen=True, slots=True)
class Violation(Record):
    """One claim that the evidence does not bear: `where` in the summary, what was `said`, and `why` it is false."""

    code: str
    where: str
    said: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.said!r}: {self.why}"


@dataclass(frozen=True, slots=True)
class Checked(Record):
    """What the checks found. A summary is good if there is no violation."""

    violations: tuple[Violation, ...]
    mentions: tuple[Violation, ...] = ()


def check(evidence: Evidence, summary: Summary, *, strict: bool = False) -> Checked:
    """Hold `summary` against `evidence`; with `strict`, mentions are violations."""
    found = [*_form(summary)]
    if isinstance(summary, FunctionalSummary):
        found += _functional(evidence, summary)
    else:
        found += _phenotype(evidence, summary)
    mentions = tuple(_mentions(evidence, summary))
    return Checked((*found, *mentions), ()) if strict else Checked(tuple(found), mentions)


def _form(summary: Summary) -> Iterator[Violation]:
    for name in ("title", "summary"):
        if not getattr(summary, name).strip():
            yield Violation("empty", f"$.{name}", "", "it must say something")
    if summary.coherence == "unrelated" and summary.themes:
        yield Violation("unrelated_with_themes", "$.themes", "unrelated", "an unrelated cluster has no themes")
    if summary.coherence == "coherent" and not summary.themes:
        yield Violation("no_themes", "$.themes", "coherent", "a coherent cluster has at least one theme")


def _functional(evidence: Evidence, summary: FunctionalSummary) -> Iterator[Violation]:
    terms = {term.id: term for term in evidence.terms}
    members = set(evidence.members) | {gene for term in evidence.terms for gene in term.genes}
    for number, theme in enumerate(summary.themes):
        cited = [terms[term] for term in theme.term_ids if term in terms]
        yield from _theme(evidence, theme, terms, cited, f"$.themes[{number}]")
    for at, gene in enumerate(summary.not_explained):
        if gene not in members:
            yield Violation("foreign_gene", f"$.not_explained[{at}]", gene, "it is no member of the cluster that is shown")
    yield from _whole(evidence, summary, _figures(evidence, evidence.terms, summary))


def _theme(
    evidence: Evidence, theme: Theme, terms: dict[str, ShownTerm], cited: list[ShownTerm], where: str
) -> Iterator[Violation]:
    if not theme.term_ids:
        yield Violation("cites_nothing", f"{where}.term_ids", theme.name, "a theme cites at least one term")
    for at, term in enumerate(theme.term_ids):
        if term not in terms:
            yield Violation("unknown_term", f"{where}.term_ids[{at}]", term, "no such term is in the evidence")
        elif not terms[term].significant:
            why = f"its q = {number_text(terms[term].q)} is above alpha = {number_text(evidence.alpha)}"
            yield Violation("insignificant_term", f"{where}.term_ids[{at}]", term, why)
    genes = {gene for term in cited for gene in term.genes}
    for at, gene in enumerate(theme.genes):
        if gene not in genes:
            member = gene in evidence.members
            why = "it is a member, but of none of the cited terms" if member else "it is no member that is shown"
            yield Violation("foreign_gene", f"{where}.genes[{at}]", gene, why)
    figures = _figures(evidence, cited, theme)
    yield from _numbers(f"{where}.statement", theme.statement, figures)
    yield from _numbers(f"{where}.name", theme.name, figures)
    yield from _directions(f"{where}.statement", theme.statement, {"over"})


def _phenotype(evidence: Evidence, summary: PhenotypeSummary) -> Iterator[Violation]:
    features = {feature.id: feature for feature in evidence.features}
    for number, theme in enumerate(summary.themes):
        where = f"$.themes[{number}]"
        cited = [features[one.id] for one in theme.features if one.id in features]
        if not theme.features:
            yield Violation("cites_nothing", f"{where}.features", theme.name, "a theme cites at least one feature")
        for at, one in enumerate(theme.features):
            known = features.get(one.id)
            if known is None:
                yield Violation("unknown_feature", f"{where}.features[{at}]", one.id, "no such feature is in the evidence")
            elif known.direction != one.direction:
                why = f"it is {known.direction}-represented"
                yield Violation("wrong_sign", f"{where}.features[{at}]", f"{one.id} {one.direction}", why)
        yield from _numbers(f"{where}.statement", theme.statement, _figures(evidence, cited, theme))
        yield from _numbers(f"{where}.name", theme.name, _figures(evidence, cited, theme))
        yield from _directions(f"{where}.statement", theme.statement, {feature.direction for feature in cited})
        yield from _levels(f"{where}.statement", theme.statement, features)
        for feature in cited:
            # "Seizure=1: 80% ...; " and "Seizure=1 (80% ...)" speak of this feature alone.
            for part in re.finditer(re.escape(feature.id) + r"\s?[:(]([^;)]*)", theme.statement):
                yield from _numbers(f"{where}.statement", part[1], _figures(evidence, [feature], theme))
    for at, name in enumerate(summary.not_explained):
        if name not in features and name not in evidence.members:
            yield Violation("unknown_feature", f"$.not_explained[{at}]", name, "it is neither a feature nor a member")
    yield from _whole(evidence, summary, _figures(evidence, evidence.features, summary))


_LEVEL = re.compile(r"[^\s;,(]+=\w+")


def _levels(where: str, text: str, features: Mapping[str, ShownFeature]) -> Iterator[Violation]:
    """Features that a sentence names with a level ("Seizure=1") that the evidence does not show."""
    shown = {found[0] for name in features for found in _LEVEL.finditer(name)}
    for found in _LEVEL.finditer(text):
        if found[0] not in shown:
            yield Violation("unknown_feature", where, found[0], "the evidence shows no such feature at this level")


def _whole(evidence: Evidence, summary: Summary, figures: Figures) -> Iterator[Violation]:
    for name in ("title", "summary", "confidence_reason"):
        yield from _numbers(f"$.{name}", getattr(summary, name), figures)


def _numbers(where: str, text: str, figures: Figures) -> Iterator[Violation]:
    for said, why in false_numbers(text, figures):
        yield Violation("false_number", where, said, why)


def _figures(evidence: Evidence, cited: Iterable[ShownTerm | ShownFeature], part: Theme | Pattern | Summary) -> Figures:
    """The numbers that a sentence may hold which cites these: their own, and the cluster's."""
    figures = Figures()
    figures.count(evidence.size, len(evidence.members), evidence.hidden_members)
    figures.pair(len(evidence.members), evidence.size, percent=False)
    figures.alpha = evidence.alpha
    if evidence.stability is not None:
        figures.other(evidence.stability)
    for one in cited:
        if isinstance(one, ShownTerm):
            figures.term(one.q, one.overlap, one.set_size, one.fold, evidence.size)
            figures.text(one.name)
        else:
            figures.feature(one.in_cluster, one.overall, one.v_test, share=one.measure == "share")
            figures.text(one.id)
    if isinstance(part, (FunctionalSummary, PhenotypeSummary)):
        figures.count(len(part.themes), len(part.not_explained), len(evidence.terms), len(evidence.features))
        figures.count(evidence.hidden_terms, evidence.hidden_features)
        figures.count(sum(term.significant for term in evidence.terms))
    elif isinstance(part, Theme):
        figures.count(len(part.genes), len(part.genes) - 1, len(part.term_ids))  # "A and 4 other genes"
        figures.pair(len(part.genes), evidence.size)
    else:
        figures.count(len(part.features))
    figures.text(evidence.label or "")
    return figures


_UNDER = re.compile(r"\b(?:under-?represented|depleted|rarer|less (?:frequent|common))\b", re.IGNORECASE)
_OVER = re.compile(r"\b(?:over-?represented|enriched|commoner|more (?:frequent|common))\b", re.IGNORECASE)


def _directions(where: str, text: str, shown: set[str]) -> Iterator[Violation]:
    """A sentence that only speaks of one direction, where all that it cites goes in the other."""
    under, over = _UNDER.search(text), _OVER.search(text)
    if shown == {"over"} and under and not over:
        yield Violation("wrong_sign", where, under[0], "all that it cites is over-represented")
    if shown == {"under"} and over and not under:
        yield Violation("wrong_sign", where, over[0], "all that it cites is under-represented")


# What looks like a gene's symbol, or a term's id, in English prose.
_SYMBOL = re.compile(r"(?<![\w:-])(?:[A-Z][A-Z0-9]*[0-9][A-Z0-9]*|[A-Z]{3,}|C\d+orf\d+)(?![\w:-])")
_TERM = re.compile(r"(?<!\w)(?:GO|HP|KEGG|REACTOME|MP|DOID|MONDO|WP|R-HSA)[:_-]\d+")
_PLAIN_WORDS = """
    DNA RNA ATP ADP GTP GDP NAD NADH NADPH AMP CAMP CGMP MRNA TRNA RRNA SNRNA MIRNA TCA ROS CNS PNS ECM NMDA GABA MHC HLA
    CO2 H2O O2 H2A H2B H3 H4 G0 G1 G2 USA UTR ORF PCR GPCR MAPK CDK UPR TOR NLS ABC ATPASE GTPASE FDR HPO OMIM COPI COPII
    ID ASD NDD ADHD EEG MRI FOLD AND NOT
"""
_ABBREVIATIONS = frozenset(_PLAIN_WORDS.split())


def _mentions(evidence: Evidence, summary: Summary) -> Iterator[Violation]:
    """Names in the prose that the evidence does not hold, each once."""
    known = set(re.findall(r"[\w:-]+", evidence.as_text()))
    known |= {part for name in known for part in re.split(r"[-:_]", name)}
    prose = [("$.title", summary.title), ("$.summary", summary.summary)]
    themes: tuple[Theme | Pattern, ...] = summary.themes
    for at, theme in enumerate(themes):
        prose += [(f"$.themes[{at}].name", theme.name), (f"$.themes[{at}].statement", theme.statement)]
    seen: set[str] = set()
    for where, text in prose:
        for found in (*_TERM.finditer(text), *_SYMBOL.finditer(text)):
            name = found[0]
            if name not in known | seen and name.upper() not in _ABBREVIATIONS:
                seen.add(name)
                yield Violation("outside_mention", where, name, "the evidence does not hold it")
