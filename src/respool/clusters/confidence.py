"""How far a cluster can be trusted, computed from its data alone: from its evidence and its stability.

Nobody is asked: a model's opinion of its own text stands beside this, and where the two differ a reader is told. The
limits are set where shuffled clusters end: of 2,500 with the members of real ones dealt anew, none had a term below
q = 0.001, and none was found again in resamples better than 0.1 (docs/clusters.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from respool.clusters.model import Cluster, ClusterKind
from respool.clusters.record import Record

Q_STRONG, Q_SOME = 1e-6, 1e-3  # the best term's adjusted value
V_STRONG, V_SOME = 10.0, 5.0  # the best feature's v-test (two-sided p of 2e-23 and 6e-7)
COVERED_STRONG, COVERED_SOME = 0.5, 0.2  # the share of members that share a term with others
STABLE, GONE = 0.6, 0.2  # mean best Jaccard index over resamples; a real cluster can be shaky, a shuffled one is gone


class Level(StrEnum):
    """High, medium, or low: a low one looks no better than members thrown together by chance."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Confidence(Record):
    """The level, and why: sentences that can be shown, the weightiest first."""

    level: Level
    reasons: tuple[str, ...]


_ORDER = (Level.LOW, Level.MEDIUM, Level.HIGH)


def confidence(cluster: Cluster) -> Confidence:
    """The confidence in one cluster: the lowest of what its evidence and its stability allow.

    >>> from respool.clusters.model import identity
    >>> kind = ClusterKind.FUNCTIONAL
    >>> confidence(Cluster(1, identity(["A", "B"], kind), kind, ("A", "B")))
    Confidence(level=<Level.LOW: 'low'>, reasons=('no term is over-represented',))
    """
    evidence = _of_terms if cluster.kind is ClusterKind.FUNCTIONAL else _of_features
    findings = [*evidence(cluster), *_of_stability(cluster)]
    findings.sort(key=lambda finding: _ORDER.index(finding[0]))
    return Confidence(findings[0][0], tuple(reason for _, reason in findings))


def _of_terms(cluster: Cluster) -> list[tuple[Level, str]]:
    if not cluster.terms:
        return [(Level.LOW, "no term is over-represented")]
    best = min(term.q for term in cluster.terms)
    found = [(_level(-best, -Q_STRONG, -Q_SOME), f"the best term has q = {best:.1e}")]
    covered = {gene for term in cluster.terms for gene in term.overlap}
    if covered:  # tables made elsewhere may not say which genes
        share = len(covered) / cluster.size
        found.append((_level(share, COVERED_STRONG, COVERED_SOME), f"{share:.0%} of the members are in a reported term"))
    return found


def _of_features(cluster: Cluster) -> list[tuple[Level, str]]:
    strength = max((abs(feature.v_test) for feature in cluster.features if not feature.supplementary), default=0.0)
    if not strength:
        return [(Level.LOW, "no feature is over- or under-represented")]
    return [(_level(strength, V_STRONG, V_SOME), f"the best feature has |v| = {strength:.1f}")]


def _of_stability(cluster: Cluster) -> list[tuple[Level, str]]:
    if cluster.stability is None:
        return []
    text = f"found again in resamples with a mean Jaccard index of {cluster.stability:.2f}"
    if cluster.stability < GONE:
        return [(Level.LOW, text)]
    return [(Level.HIGH if cluster.stability >= STABLE else Level.MEDIUM, text)]


def _level(value: float, strong: float, some: float) -> Level:
    return Level.HIGH if value >= strong else Level.MEDIUM if value >= some else Level.LOW
