"""What a summary is: the two schemas (functional, phenotype), and a judge's verdicts, each a type and a JSON schema.

The types are the schema: what a provider is told and what an answer is read with come from the same annotations. The JSON
schemas stay small and plain (no enumerations of ids, no limits on lengths), which all providers take.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from respool.clusters.model import ClusterKind
from respool.clusters.record import Record

Level = Literal["high", "medium", "low", "none"]
Coherence = Literal["coherent", "mixed", "unrelated"]


@dataclass(frozen=True, slots=True)
class _Summary(Record):
    """What every summary says. "unrelated" without themes is a legal answer."""

    title: str
    summary: str
    coherence: Coherence
    themes: tuple[Record, ...]
    not_explained: tuple[str, ...]
    tags: tuple[str, ...]
    confidence: Level
    confidence_reason: str


@dataclass(frozen=True, slots=True)
class Theme(Record):
    """One thing that genes of the cluster have in common: `genes` are members that belong to the cited terms."""

    name: str
    statement: str
    term_ids: tuple[str, ...]
    genes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionalSummary(_Summary):
    """The summary of a gene cluster."""

    themes: tuple[Theme, ...]


@dataclass(frozen=True, slots=True)
class CitedFeature(Record):
    """A feature and the direction that is claimed for it."""

    id: str
    direction: Literal["over", "under"]


@dataclass(frozen=True, slots=True)
class Pattern(Record):
    """One thing that the cluster's entities have in common, with the features that show it."""

    name: str
    statement: str
    features: tuple[CitedFeature, ...]


@dataclass(frozen=True, slots=True)
class PhenotypeSummary(_Summary):
    """The summary of a cluster of entities."""

    themes: tuple[Pattern, ...]


Summary = FunctionalSummary | PhenotypeSummary
SUMMARIES: dict[ClusterKind, type[FunctionalSummary] | type[PhenotypeSummary]] = {
    ClusterKind.FUNCTIONAL: FunctionalSummary, ClusterKind.PHENOTYPE: PhenotypeSummary,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict(Record):
    """What a judge says of one claim, by the claim's number."""

    claim: int
    verdict: Literal["supported", "unsupported", "contradicted", "cannot_tell"]
    reason: str


@dataclass(frozen=True, slots=True)
class Judgement(Record):
    """One verdict for each claim."""

    verdicts: tuple[Verdict, ...]


def json_schema(kind: type[Record]) -> dict[str, Any]:
    """The JSON schema of a Record, all fields required and no others allowed.

    >>> json_schema(CitedFeature)["properties"]["direction"]
    {'type': 'string', 'enum': ['over', 'under']}
    """
    hints = typing.get_type_hints(kind)
    return {
        "type": "object", "properties": {name: _schema(hint) for name, hint in hints.items()},
        "required": list(hints), "additionalProperties": False,
    }  # fmt: skip


def _schema(hint: Any) -> dict[str, Any]:
    origin = typing.get_origin(hint)
    if origin is tuple:
        return {"type": "array", "items": _schema(typing.get_args(hint)[0])}
    if origin is Literal:
        return {"type": "string", "enum": list(typing.get_args(hint))}
    if isinstance(hint, type) and issubclass(hint, Record):
        return json_schema(hint)
    assert not isinstance(hint, types.UnionType), "a field that may be absent is refused by some providers"
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean"}[hint]}


def claims_of(summary: Summary) -> list[str]:
    """The claims that a judge is asked about, in order: the title, then the statement of each theme."""
    return [summary.title, *(f"{theme.name}: {theme.statement}" for theme in summary.themes)]
