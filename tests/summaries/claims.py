"""True claims about real clusters, and the false ones that are made of them by one change each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from respool.summaries.evidence import Evidence, ShownTerm, number_text
from respool.summaries.schemas import CitedFeature, FunctionalSummary, Pattern, PhenotypeSummary, Theme


def true_theme(evidence: Evidence, term: ShownTerm, chance: random.Random) -> Theme:
    """A theme that says nothing but what stands in the term's row, in one of several wordings."""
    genes = tuple(chance.sample(term.genes, min(len(term.genes), chance.randint(2, 8))))
    wordings = [
        f"{term.overlap} genes of the cluster belong to {term.name} (q = {number_text(term.q)}).",
        f"{term.overlap} of {evidence.size} genes ({100 * term.overlap / evidence.size:.0f}%) belong to {term.name}.",
        f"{genes[0]} and {len(genes) - 1} other genes share {term.name}; q < {10 * term.q:.1g}.",
        f"Enriched for {term.name}, q of {term.q:.1e}.",
        f"Among others {', '.join(genes)}, at q <= 0.05.",
    ]
    if term.set_size is not None and term.fold is not None:
        wordings.append(f"{term.overlap} of the {term.set_size} genes of the set, a fold of {number_text(term.fold)}.")
        wordings.append(f"{term.name}: {number_text(term.fold)}-fold enriched.")
    return Theme(term.name, chance.choice(wordings), (term.id,), genes)


def true_pattern(evidence: Evidence, chance: random.Random) -> Pattern:
    """A theme that cites features as they are."""
    direction = chance.choice(sorted({feature.direction for feature in evidence.features}))
    cited = [feature for feature in evidence.features if feature.direction == direction]
    cited = chance.sample(cited, min(len(cited), chance.randint(1, 4)))
    told = "; ".join(
        f"{one.id}: {number_text(one.in_cluster)}% of the cluster and {number_text(one.overall)}% overall "
        f"(v-test {number_text(one.v_test)})" for one in cited
    )  # fmt: skip
    word = "over-represented" if direction == "over" else "under-represented"
    features = tuple(CitedFeature(one.id, one.direction) for one in cited)
    return Pattern(f"What is {word}", f"These are {word}: {told}.", features)


def functional_summary(*themes: Theme, text: str = "A summary.") -> FunctionalSummary:
    return FunctionalSummary("A title", text, "coherent" if themes else "unrelated", themes, (), (), "medium", "as it looks")


def phenotype_summary(*themes: Pattern, text: str = "A summary.") -> PhenotypeSummary:
    return PhenotypeSummary("A title", text, "coherent" if themes else "unrelated", themes, (), (), "medium", "as it looks")


def true_claims(evidences: tuple[Evidence, ...], seed: int = 1) -> Iterator[tuple[Evidence, Theme | Pattern]]:
    """One for each significant term that is shown, and many for each cluster of a table."""
    chance = random.Random(seed)
    for evidence in evidences:
        for term in evidence.terms:
            if term.significant:
                yield evidence, true_theme(evidence, term, chance)
        for _ in range(40 if evidence.features else 0):
            yield evidence, true_pattern(evidence, chance)


def wrong_term(evidence: Evidence, theme: Theme, others: list[str]) -> Theme:
    return replace(theme, term_ids=(next(one for one in others if one not in {term.id for term in evidence.terms}),))


def foreign_gene(evidence: Evidence, theme: Theme, others: list[str]) -> Theme:
    shown = {gene for term in evidence.terms for gene in term.genes} | set(evidence.members)
    return replace(theme, genes=(*theme.genes, next(one for one in others if one not in shown)))


def gene_of_another_term(evidence: Evidence, theme: Theme) -> Theme | None:
    """A member, but not of the term that is cited."""
    cited = {gene for term in evidence.terms if term.id in theme.term_ids for gene in term.genes}
    gene = next((gene for gene in evidence.members if gene not in cited), None)
    return None if gene is None else replace(theme, genes=(*theme.genes, gene))


def flipped(pattern: Pattern) -> Pattern:
    first, *rest = pattern.features
    return replace(pattern, features=(replace(first, direction="under" if first.direction == "over" else "over"), *rest))


def flipped_words(pattern: Pattern) -> Pattern:
    swapped = {"over-represented": "under-represented", "under-represented": "over-represented"}
    word = next(one for one in swapped if one in pattern.statement)
    return replace(pattern, statement=pattern.statement.replace(word, swapped[word]))
