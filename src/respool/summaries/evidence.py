"""What is known of one cluster, as one value: the generator, the checks and the judge all see this and nothing else.

Everything is capped by counts, in the order of the clustering, so that equal clusters show equal evidence; numbers are
rounded once, here, so that what is shown is what is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from respool.clusters.model import Cluster, Clustering, ClusterKind, Feature, Term
from respool.clusters.record import Record

ALPHA = 0.05
MAX_MEMBERS = 60
MAX_TERMS = 20
MAX_GENES = 20  # of one term
MAX_FEATURES = 30
NEAR_MISSES = 3  # terms above alpha that are shown where few are below
MAX_NAME = 120  # characters of a name


@dataclass(frozen=True, slots=True)
class ShownTerm(Record):
    """One gene set: `genes` of its `overlap` members in the cluster are named, of `set_size` in the background."""

    id: str
    name: str
    q: float
    significant: bool
    overlap: int
    set_size: int | None
    fold: float | None
    genes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownFeature(Record):
    """One feature under the id that a summary cites. `in_cluster` and `overall` are per cent of a share, else means."""

    id: str
    direction: Literal["over", "under"]
    measure: Literal["share", "mean"]
    in_cluster: float
    overall: float
    v_test: float


@dataclass(frozen=True, slots=True)
class Evidence(Record):
    """All that may be said of a cluster. `hidden_members` and so on count what the caps leave out."""

    kind: ClusterKind
    size: int
    members: tuple[str, ...]
    terms: tuple[ShownTerm, ...] = ()
    features: tuple[ShownFeature, ...] = ()
    label: str | None = None
    stability: float | None = None
    alpha: float = ALPHA
    hidden_members: int = 0
    hidden_terms: int = 0
    hidden_features: int = 0

    def as_text(self) -> str:
        """The evidence as the lines that go into a prompt, and beside a claim in a report."""
        lines = [f"Cluster of {self.size} {'genes' if self.kind is ClusterKind.FUNCTIONAL else 'entities'}."]
        if self.label:
            lines.append(f"Its author calls it: {self.label}")
        if self.stability is not None:
            lines.append(f"Stability over resamples: {number_text(self.stability)} (0 to 1).")
        more = f" (and {self.hidden_members} more)" if self.hidden_members else ""
        lines.append(f"Members: {', '.join(self.members)}{more}")
        if self.kind is ClusterKind.FUNCTIONAL:
            lines.append(f"Over-represented terms (significant: q <= {number_text(self.alpha)}):")
            lines += [term_line(term) for term in self.terms] or ["none"]
        else:
            lines.append("Features that differ from the whole table:")
            lines += [feature_line(feature) for feature in self.features] or ["none"]
        for count, what in ((self.hidden_terms, "terms"), (self.hidden_features, "features")):
            if count:
                lines.append(f"({count} more {what} are not shown)")
        return "\n".join(lines)


def evidence_of(clustering: Clustering, cluster: Cluster, *, alpha: float = ALPHA) -> Evidence:
    """What is shown of `cluster`, deterministically: the most central members first, then by name."""
    names = clustering.names
    central = [*cluster.central, *(member for member in cluster.members if member not in set(cluster.central))]
    shown = tuple(_readable(names.get(member, member)) for member in central[:MAX_MEMBERS])
    significant = [term for term in cluster.terms if term.q <= alpha]
    near = [term for term in cluster.terms if term.q > alpha][: max(0, NEAR_MISSES - len(significant))]
    terms = (significant + near)[:MAX_TERMS]
    features = sorted(cluster.features, key=lambda one: -abs(one.v_test))[:MAX_FEATURES]
    return Evidence(
        cluster.kind, cluster.size, shown,
        tuple(_shown_term(term, names, alpha) for term in terms),
        tuple(_shown_feature(feature) for feature in features),
        label=None if cluster.label is None else _readable(cluster.label),
        stability=None if cluster.stability is None else round(cluster.stability, 2), alpha=alpha,
        hidden_members=cluster.size - len(shown), hidden_terms=len(significant) - min(len(significant), MAX_TERMS),
        hidden_features=len(cluster.features) - len(features),
    )  # fmt: skip


def term_line(term: ShownTerm) -> str:
    """One term as it is shown."""
    size = f" of the set's {term.set_size}" if term.set_size is not None else ""
    fold = f", fold {number_text(term.fold)}" if term.fold is not None else ""
    mark = "" if term.significant else " NOT SIGNIFICANT;"
    left = term.overlap - len(term.genes)
    more = f" (and {left} more)" if left > 0 else ""
    return (
        f"[{term.id}] {term.name};{mark} q = {number_text(term.q)}{fold}; "
        f"{term.overlap} genes{size}: {', '.join(term.genes)}{more}"
    )


def feature_line(feature: ShownFeature) -> str:
    """One feature as it is shown."""
    word = "over-represented" if feature.direction == "over" else "under-represented"
    unit = "%" if feature.measure == "share" else ""
    what = "" if feature.measure == "share" else "mean "
    return (
        f"[{feature.id}] {word}: {what}{number_text(feature.in_cluster)}{unit} in the cluster, "
        f"{number_text(feature.overall)}{unit} overall; v-test {number_text(feature.v_test)}"
    )


def number_text(value: float) -> str:
    """A number as it is shown everywhere.

    >>> number_text(0.00000123456), number_text(12.0), number_text(0.05)
    ('1.23e-06', '12', '0.05')
    """
    return f"{value:.3g}" if value != int(value) or abs(value) >= 1e6 else str(int(value))


def _shown_term(term: Term, names: dict[str, str], alpha: float) -> ShownTerm:
    return ShownTerm(
        term.id, _readable(term.name), float(f"{term.q:.3g}"), term.q <= alpha, len(term.overlap), term.set_size,
        None if term.fold is None else float(f"{term.fold:.3g}"),
        tuple(_readable(names.get(gene, gene)) for gene in term.overlap[:MAX_GENES]),
    )  # fmt: skip


def _shown_feature(feature: Feature) -> ShownFeature:
    scale = 100.0 if feature.measure == "share" else 1.0
    name = feature.name if feature.level is None else f"{feature.name}={feature.level}"
    return ShownFeature(
        _readable(name), feature.direction, feature.measure, float(f"{scale * feature.in_cluster:.3g}"),
        float(f"{scale * feature.overall:.3g}"), float(f"{feature.v_test:.3g}"),
    )  # fmt: skip


def _readable(text: str) -> str:
    """One line without what could be taken for the end of it: names come from other people's files."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1] + "…"
