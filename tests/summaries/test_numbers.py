"""Numbers in prose: what is one, what it is a number of, and when it is right."""

from __future__ import annotations

import pytest

from respool.summaries.numbers import Figures, false_numbers


@pytest.fixture
def figures() -> Figures:
    made = Figures()
    made.term(q=2.42e-05, overlap=12, set_size=44, fold=17.25, size=30)
    made.count(30)
    return made


@pytest.mark.parametrize("text", [
    "12 of 30 genes", "12 of the 44 genes", "12 out of 30 (40%)", "40 per cent", "27% of the set", "q = 2.42e-05",
    "q = 2.4e-5", "q = 2 × 10^-5", "q < 0.001", "q ≤ 2.42e-05", "a fold of 17.2", "17.25-fold", "17-fold enriched",
    "twelve genes", "30 members", "BRCA1, GO:0006355, 14-3-3, IL-6, G1/S, 3'-end and p53", "FDR = 2.42e-05", "",
])  # fmt: skip
def test_true(figures: Figures, text: str) -> None:
    assert not list(false_numbers(text, figures))


@pytest.mark.parametrize(("text", "said"), [
    ("13 of 30 genes", "13 of 30"), ("12 of 31 genes", "12 of 31"), ("44 of 30", "44 of 30"), ("12 out of 30 (41%)", "41"),
    ("41 %", "41"), ("q = 2.43e-05", "2.43e-05"), ("q = 0.05", "0.05"), ("q < 1e-06", "1e-06"),
    ("q = 2 × 10^-6", "2 × 10^-6"), ("a fold of 12", "12"), ("18-fold", "18"),
    ("11 genes", "11"), ("1,200 members", "1,200"), ("-12 genes", "-12"),
])  # fmt: skip
def test_false(figures: Figures, text: str, said: str) -> None:
    assert [one for one, _ in false_numbers(text, figures)] == [said]
