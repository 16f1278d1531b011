"""Hundreds of claims about real clusters: no true one raises an alarm, no false one passes."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from claims import (
    flipped,
    flipped_words,
    foreign_gene,
    functional_summary,
    gene_of_another_term,
    phenotype_summary,
    true_claims,
    wrong_term,
)
from real_clusters import evidences

from respool.clusters.model import ClusterKind
from respool.summaries.checks import Checked, check
from respool.summaries.evidence import Evidence, ShownFeature, ShownTerm
from respool.summaries.schemas import CitedFeature, Pattern, Theme

LEAST = 200


def held(evidence: Evidence, theme: Theme | Pattern, *, strict: bool = False) -> Checked:
    made = functional_summary(theme) if isinstance(theme, Theme) else phenotype_summary(theme)
    return check(evidence, made, strict=strict)


@pytest.mark.parametrize("kind", ["functional", "phenotype"])
def test_true_claims_raise_no_alarm(kind: str) -> None:
    claims = list(true_claims(evidences(kind)))
    alarms = [(str(found.violations[0]), theme) for evidence, theme in claims if (found := held(evidence, theme)).violations]
    assert not alarms, alarms[:5]
    assert len(claims) >= (LEAST if kind == "functional" else 100)


@pytest.mark.parametrize("kind", ["functional", "phenotype"])
def test_true_claims_mention_nothing_from_outside(kind: str) -> None:
    claims = true_claims(evidences(kind))
    assert not [one for evidence, theme in claims for one in held(evidence, theme, strict=True).violations]


def codes(evidence: Evidence, theme: Theme | Pattern) -> set[str]:
    return {one.code for one in held(evidence, theme).violations}


def test_wrong_terms_are_caught() -> None:
    claims = [one for one in true_claims(evidences("functional")) if isinstance(one[1], Theme)]
    others = sorted({term for _, theme in claims for term in theme.term_ids})
    caught = [codes(evidence, wrong_term(evidence, theme, others)) for evidence, theme in claims]
    assert len(caught) >= LEAST
    assert all("unknown_term" in one for one in caught)


def test_genes_that_are_no_members_are_caught() -> None:
    claims = [one for one in true_claims(evidences("functional")) if isinstance(one[1], Theme)]
    others = sorted({gene for evidence in evidences("functional") for gene in evidence.members})
    caught = [codes(evidence, foreign_gene(evidence, theme, others)) for evidence, theme in claims]
    assert len(caught) >= LEAST
    assert all("foreign_gene" in one for one in caught)


def test_members_that_do_not_belong_to_the_term_are_caught() -> None:
    made = [
        (evidence, false) for evidence, theme in true_claims(evidences("functional"))
        if isinstance(theme, Theme) and (false := gene_of_another_term(evidence, theme)) is not None
    ]  # fmt: skip
    assert len(made) >= LEAST
    assert all("foreign_gene" in codes(evidence, false) for evidence, false in made)


@pytest.mark.parametrize("flip", [flipped, flipped_words])
def test_flipped_signs_are_caught(flip: object) -> None:
    made = [(evidence, flip(theme)) for seed in (1, 2) for evidence, theme in true_claims(evidences("phenotype"), seed)]  # type: ignore[operator]
    assert len(made) >= LEAST
    assert all("wrong_sign" in codes(evidence, false) for evidence, false in made)


NUMBER = re.compile(r"(?<![\w.:-])\d+(?:\.\d+)?(?:e-?\d+)?(?!['\w:.-]*\w)")


def altered(text: str, chance: random.Random) -> tuple[str, str, str] | None:
    """The text with one digit of one of its numbers changed: (text, before, after)."""
    found = [one for one in NUMBER.finditer(text) if one[0] not in ("0.05",)]
    if not found:
        return None
    number = chance.choice(found)
    places = [at for at, character in enumerate(number[0].partition("e")[0]) if character.isdigit()]
    at = chance.choice(places)
    digit = chance.choice([one for one in "123456789" if one != number[0][at]])
    after = number[0][:at] + digit + number[0][at + 1 :]
    return text[: number.start()] + after + text[number.end() :], number[0], after


@pytest.mark.parametrize("kind", ["functional", "phenotype"])
def test_altered_numbers_are_caught(kind: str) -> None:
    """An alteration that gives a true sentence again (q < 1e-05 for q < 2e-05; another size that is shown) is none."""
    chance, made, missed = random.Random(3), 0, []
    for evidence, theme in (one for seed in range(1, 4) for one in true_claims(evidences(kind), seed)):
        changed = altered(theme.statement, chance)
        if changed is None or still_true(evidence, theme, changed):
            continue
        made += 1
        if not codes(evidence, replace(theme, statement=changed[0])) & {"false_number", "unknown_feature"}:
            missed.append((changed, theme.statement))
    assert made >= LEAST
    assert not missed, (len(missed), made, missed[:5])


def still_true(evidence: Evidence, theme: Theme | Pattern, changed: tuple[str, str, str]) -> bool:
    """Whether the altered number stands, as one of the same sort, in what the theme cites."""
    text, _, after = changed
    if re.search(rf"q (<|<=|≤) {re.escape(after)}", text):
        return True
    cited = [term for term in evidence.terms if isinstance(theme, Theme) and term.id in theme.term_ids]
    counts = {evidence.size, len(evidence.members), evidence.hidden_members, 1}
    counts |= {len(theme.genes), len(theme.genes) - 1} if isinstance(theme, Theme) else set()
    counts |= {number for term in cited for number in (term.overlap, term.set_size or 0)}
    return after.isdigit() and int(after) in counts


# ── the single rules ────────────────────────────────────────────────────────────────────────────────────────────────

TERM = ShownTerm("GO:1", "alpha process", 0.001, True, 3, 10, 4.5, ("A1", "B2", "C3"))
WEAK = ShownTerm("GO:2", "beta process", 0.3, False, 3, 10, 1.5, ("A1", "B2", "C3"))
EVIDENCE = Evidence(ClusterKind.FUNCTIONAL, 30, ("A1", "B2", "C3", "D4"), (TERM, WEAK), hidden_members=26)
THEME = Theme("alpha", "3 genes.", ("GO:1",), ("A1", "B2"))


def test_a_term_above_alpha_is_no_support() -> None:
    assert codes(EVIDENCE, replace(THEME, term_ids=("GO:2",))) == {"insignificant_term"}


def test_a_theme_cites_something() -> None:
    assert "cites_nothing" in codes(EVIDENCE, replace(THEME, term_ids=(), genes=()))
    assert codes(EVIDENCE, THEME) == set()


def test_unrelated_is_a_legal_answer_and_has_no_themes() -> None:
    empty = functional_summary()
    assert not check(EVIDENCE, empty).violations
    contradictory = replace(functional_summary(THEME), coherence="unrelated")
    assert [one.code for one in check(EVIDENCE, contradictory).violations] == ["unrelated_with_themes"]
    assert [one.code for one in check(EVIDENCE, replace(empty, coherence="coherent")).violations] == ["no_themes"]


def test_what_is_not_explained_must_be_there() -> None:
    found = check(EVIDENCE, replace(functional_summary(THEME), not_explained=("D4", "ZZ9"))).violations
    assert [(one.code, one.said) for one in found] == [("foreign_gene", "ZZ9")]


def test_mentions_from_outside_are_listed_and_are_errors_when_that_is_asked_for() -> None:
    made = functional_summary(THEME, text="Like BRCA3 and GO:0009999 these bind DNA; A1 does too.")
    found = check(EVIDENCE, made)
    assert not found.violations
    assert {one.said for one in found.mentions} == {"BRCA3", "GO:0009999"}
    strict = check(EVIDENCE, made, strict=True)
    assert {one.said for one in strict.violations} == {"BRCA3", "GO:0009999"}


def test_numbers_of_the_summary_may_be_of_any_evidence() -> None:
    assert not check(EVIDENCE, functional_summary(THEME, text="30 genes, of which 4 are shown; q = 0.3 for beta.")).violations
    (found,) = check(EVIDENCE, functional_summary(THEME, text="31 genes.")).violations
    assert (found.code, found.where, found.said) == ("false_number", "$.summary", "31")


def test_features_are_checked_by_id_and_direction() -> None:
    shown = ShownFeature("HP:1 Seizure=1", "over", "share", 80.0, 40.0, 7.5)
    evidence = Evidence(ClusterKind.PHENOTYPE, 12, ("x", "y"), features=(shown,))
    good = Pattern("seizures", "80% against 40%.", (CitedFeature("HP:1 Seizure=1", "over"),))
    assert codes(evidence, good) == set()
    assert codes(evidence, replace(good, features=(CitedFeature("HP:2", "over"),))) >= {"unknown_feature"}
    assert codes(evidence, replace(good, statement="81% against 40%.")) == {"false_number"}
    assert codes(evidence, replace(good, features=())) >= {"cites_nothing"}
