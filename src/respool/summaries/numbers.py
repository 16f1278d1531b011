"""Numbers in prose, held against the numbers that the evidence gives for what the prose is about.

What stands around a number says what it is a number of: "12 of 30", "q = 0.01", "40 %", "12 genes". It must then be one of
that sort; any other number must be one of any sort. A number is right if the evidence's own, rounded to as many digits as
are written, is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+|\s?[x×]\s?10\^?[-+]?\d+)?"
# Digits inside a name (BRCA1, GO:0006, 14-3-3, G1/S, 5') are no number.
_STANDING = re.compile(rf"(?<![\w.:/^-])({_NUMBER})(?![\w:/'’^]|[-.](?!fold\b)\w)")
_OF = re.compile(r"\s+(?:of|out of)\s+(?:the\s+|its\s+|all\s+|the set's\s+|the cluster's\s+)?$")
_Q = re.compile(r"\b(?:q|q-value|FDR|adjusted p)\s*(=|<=|≤|<|of|is)\s*$", re.IGNORECASE)
_FOLD = re.compile(r"\b(?:fold(?: enrichment)?)\s*(?:=|of|is)?\s*$|^(?:-|\s)fold\b", re.IGNORECASE)
_V = re.compile(r"\bv-?test\s*(?:=|of|is)?\s*$|\bv\s*=\s*$", re.IGNORECASE)
_COUNTED = re.compile(r"^\s+(?:\w+\s+)?(?:genes|members|entities|patients|proteins|terms|themes|features)\b")
_IN_BRACKETS = re.compile(r"^[^.;()]{0,30}\(\s*$")
_INSIDE = re.compile(r"^\s?(?:%|per cent|percent)?\s+(?:of|in|within)\s+(?:the|this)\s+cluster\b")
_OVERALL = re.compile(r"^\s?(?:%|per cent|percent)?\s+(?:overall|of all|in all|in the whole)\b")
_PERCENT = re.compile(r"^\s?(?:%|per cent\b|percent\b)")


class Figures:
    """The numbers that a sentence may hold, by what they are."""

    def __init__(self) -> None:
        self.alpha = 0.05
        self.counts: set[float] = set()
        self.pairs: set[tuple[float, float]] = set()
        self.qs: set[float] = set()
        self.folds: set[float] = set()
        self.tests: set[float] = set()
        self.percents: set[float] = set()
        self.inside: set[float] = set()  # shares and means in the cluster
        self.overall: set[float] = set()
        self.others: set[float] = set()

    def count(self, *numbers: int) -> None:
        """Numbers of things."""
        self.counts.update(numbers)

    def pair(self, part: int, whole: int, *, percent: bool = True) -> None:
        """So many of so many, which is also a percentage."""
        self.pairs.add((part, whole))
        if whole and percent:
            self.percents.add(100.0 * part / whole)

    def other(self, number: float) -> None:
        """A number without a sort of its own."""
        self.others.add(number)

    def text(self, name: str) -> None:
        """Numbers that are part of a name."""
        self.others.update(_value(found[1]) for found in _STANDING.finditer(name))

    def term(self, q: float, overlap: int, set_size: int | None, fold: float | None, size: int) -> None:
        """What is shown of a gene set."""
        self.qs.add(q)
        self.count(overlap)
        self.pair(overlap, size)
        if set_size is not None:
            self.count(set_size)
            self.pair(overlap, set_size)
        if fold is not None:
            self.folds.add(fold)

    def feature(self, in_cluster: float, overall: float, v_test: float, *, share: bool) -> None:
        """What is shown of a feature of a table."""
        (self.percents if share else self.others).update((in_cluster, overall))
        self.inside.add(in_cluster)
        self.overall.add(overall)
        self.tests.add(v_test)

    def all(self) -> set[float]:
        """Every number, whatever it is of."""
        loose = self.counts | self.qs | self.folds | self.tests | self.percents | self.others
        return loose | {self.alpha} | {number for pair in self.pairs for number in pair}


class _Said(NamedTuple):
    """A number in a text: as it is written, its value, and what stands before and behind it."""

    written: str
    value: float
    before: str
    behind: str


def false_numbers(text: str, figures: Figures) -> Iterator[tuple[str, str]]:
    """(what is written, why it is false) of each number in `text` that is none of `figures`.

    >>> figures = Figures(); figures.pair(12, 30)
    >>> list(false_numbers("12 of 30 genes (40 %), 13 of 30", figures))
    [('13 of 30', 'the evidence has no such pair; it has 12 of 30')]
    """
    text = text.replace("−", "-").replace("\u2013", "-")
    said = [
        _Said(found[1], _value(found[1]), text[: found.start()], text[found.end() :]) for found in _STANDING.finditer(text)
    ]
    at = 0
    while at < len(said):
        one, at = said[at], at + 1
        if at < len(said) and _OF.match(_between(text, one, said[at])):
            whole, at = said[at], at + 1
            if (one.value, whole.value) not in figures.pairs:
                known = ", ".join(f"{part:g} of {total:g}" for part, total in sorted(figures.pairs)[:5])
                yield f"{one.written} of {whole.written}", f"the evidence has no such pair; it has {known}"
            elif at < len(said) and _IN_BRACKETS.search(_between(text, whole, said[at])) and _PERCENT.match(said[at].behind):
                share, at = said[at], at + 1
                if not _among(share, [100 * one.value / whole.value]):
                    yield share.written, f"{one.written} of {whole.written} is another percentage"
            continue
        what, allowed, bound = _sort(one, figures)
        if bound and any(number <= one.value for number in allowed):
            continue
        if not _among(one, allowed):
            yield one.written, f"the evidence has no such {what} here"


def _between(text: str, one: _Said, other: _Said) -> str:
    return text[len(one.before) + len(one.written) : len(other.before)]


def _sort(one: _Said, figures: Figures) -> tuple[str, set[float], bool]:
    """What this is a number of, the right ones, and whether it is a bound ("q < 0.01")."""
    if comparison := _Q.search(one.before):
        bound = "<" in comparison[1] or "≤" in comparison[1]
        return "q", figures.qs | ({figures.alpha} if bound else set()), bound
    if _FOLD.search(one.before) or _FOLD.search(one.behind):
        return "fold", figures.folds, False
    if _V.search(one.before):
        return "v-test", figures.tests, False
    for words, allowed in ((_INSIDE, figures.inside), (_OVERALL, figures.overall)):
        if allowed and words.search(one.behind):
            return "share of it", allowed, False
    if _PERCENT.search(one.behind):
        return "percentage", figures.percents | figures.others, False
    if _COUNTED.search(one.behind):
        return "count", figures.counts | {part for pair in figures.pairs for part in pair} | figures.others, False
    return "number", figures.all(), False


def _among(one: _Said, allowed: Iterable[float]) -> bool:
    """Whether one of the right numbers reads like this when it is rounded to the digits that are written."""
    mantissa, _, exponent = one.written.replace(",", "").lower().partition("e")
    if "10" in mantissa and re.search("[x×]", mantissa):
        mantissa, exponent = re.split("[x×]", mantissa)[0].strip(), "sci"
    decimals = len(mantissa.partition(".")[2])
    for number in allowed:
        if number == one.value:
            return True
        if exponent:
            digits = f"{number:.{decimals}e}"
            if float(digits) == one.value:
                return True
        elif float(f"{number:.{decimals}f}") == one.value and (one.value != 0 or number == 0):
            return True
    return False


def _value(written: str) -> float:
    text = written.replace(",", "")
    if power := re.fullmatch(r"(.*?)\s?[x×]\s?10\^?([-+]?\d+)", text):
        return float(f"{power[1]}e{power[2]}")
    return float(text)
