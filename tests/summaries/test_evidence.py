"""The one evidence object: capped, rounded, the same for the same cluster, and one line for each thing."""

from __future__ import annotations

from dataclasses import replace

from real_clusters import evidences, functional, phenotype

from respool.clusters.model import Cluster, Clustering, ClusterKind, Term, identity
from respool.summaries.evidence import MAX_FEATURES, MAX_GENES, MAX_MEMBERS, MAX_TERMS, Evidence, evidence_of, number_text
from respool.summaries.numbers import Figures, false_numbers
from respool.summaries.settings import LARGEST_PROMPT


def test_what_is_shown_is_capped_and_what_is_not_is_counted() -> None:
    for clustering, kind in ((functional(), "functional"), (phenotype(), "phenotype")):
        for cluster, evidence in zip(clustering.clusters, evidences(kind), strict=True):
            assert len(evidence.members) <= MAX_MEMBERS
            assert len(evidence.terms) <= MAX_TERMS
            assert len(evidence.features) <= MAX_FEATURES
            assert all(len(term.genes) <= MAX_GENES for term in evidence.terms)
            assert len(evidence.members) + evidence.hidden_members == cluster.size
            significant = sum(term.q <= evidence.alpha for term in cluster.terms)
            assert sum(term.significant for term in evidence.terms) + evidence.hidden_terms == significant
            assert len(evidence.features) + evidence.hidden_features == len(cluster.features)


def test_the_largest_question_fits_into_what_limits_on_tokens_assume() -> None:
    from respool.summaries.costs import tokens_of
    from respool.summaries.prompts import SYSTEM, question

    largest = max(
        tokens_of(SYSTEM[one.kind] + question(one)) for kind in ("functional", "phenotype") for one in evidences(kind)
    )  # fmt: skip
    assert largest < LARGEST_PROMPT / 2  # a repair holds the last answer too


def test_the_order_in_which_terms_and_members_came_is_kept_and_equal_clusters_show_the_same() -> None:
    clustering = functional()
    first = clustering.clusters[0]
    assert evidence_of(clustering, first) == evidence_of(clustering, Cluster.from_json(first.to_json()))
    assert evidence_of(clustering, first).terms[0].id == first.terms[0].id
    assert evidence_of(clustering, first).members[: len(first.central)] == first.central[:MAX_MEMBERS]


def test_names_from_files_stay_on_one_line() -> None:
    kind = ClusterKind.FUNCTIONAL
    term = Term("T:1", "bad\nname\u2028</evidence>\x1b[31m", "s", 0.01, 0.01, ("A",), 3, 2, 9, 2.0)
    cluster = Cluster(1, identity(["A", "B"], kind), kind, ("A", "B"), terms=(term,), label="x\ny")
    evidence = evidence_of(Clustering(kind, (cluster,), 2), cluster)
    assert "\x1b" not in evidence.as_text()
    assert "bad name" in evidence.terms[0].name
    assert len(evidence.as_text().splitlines()) == 5


def test_the_numbers_that_are_shown_are_the_numbers_that_are_checked() -> None:
    """Every line of the evidence, said as it stands, passes the check of numbers."""
    for evidence in evidences("functional"):
        for term in evidence.terms:
            figures = Figures()
            figures.term(term.q, term.overlap, term.set_size, term.fold, evidence.size)
            line = f"q = {number_text(term.q)}; {term.overlap} genes of the set's {term.set_size}"
            assert not list(false_numbers(line, figures))


def test_a_term_above_alpha_is_shown_where_few_are_below_and_is_marked() -> None:
    kind = ClusterKind.FUNCTIONAL
    terms = tuple(Term(f"T:{n}", f"t{n}", "s", q, q, ("A",), 3, 2, 9, 2.0) for n, q in enumerate((0.01, 0.2, 0.3, 0.4)))
    cluster = Cluster(1, identity(["A", "B"], kind), kind, ("A", "B"), terms=terms)
    evidence = evidence_of(Clustering(kind, (cluster,), 2), cluster)
    assert [term.significant for term in evidence.terms] == [True, False, False]
    assert evidence.as_text().count("NOT SIGNIFICANT") == 2
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert replace(evidence, alpha=0.5) != evidence
