"""Over-representation of gene sets in clusters: one-sided hypergeometric test, Benjamini-Hochberg, the right background.

Only genes of the background count, in the sets and in the clusters: a background of genes that could never have been
in a cluster makes everything significant.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import hypergeom

from respool.clusters.gene_sets import GeneSet
from respool.clusters.model import Term
from respool.clusters.request import NetworkOptions
from respool.phrases import counted

Floats = NDArray[np.float64]
TEST = "one-sided hypergeometric (over-representation)"


class Enrichment:
    """The tests of one collection of sets against one background. What is tested and reported, `rules` say."""

    def __init__(self, sets: Sequence[GeneSet], background: Collection[str], rules: NetworkOptions) -> None:
        self.rules = rules
        self.background = sorted(background)
        self._at = {gene: position for position, gene in enumerate(self.background)}
        inside = [(each, sorted(each.genes & self._at.keys())) for each in sorted(sets, key=lambda one: one.id)]
        inside = [pair for pair in inside if rules.min_overlap <= len(pair[1]) <= rules.max_set_size]
        self._sets = [each for each, _ in inside]
        self._genes = [frozenset(genes) for _, genes in inside]
        self._sizes = np.array([len(genes) for _, genes in inside], dtype=np.int64)
        rows = np.repeat(np.arange(len(inside)), self._sizes)
        columns = np.array([self._at[gene] for _, genes in inside for gene in genes], dtype=np.int64)
        shape = (len(inside), len(self.background))
        self._matrix = csr_array((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)
        self._known: dict[int, float] = {}  # most of (overlap, set size, cluster size) come again and again

    @property
    def tested(self) -> int:
        """How many sets are tested against each cluster."""
        return len(self._sets)

    @property
    def covers(self) -> str:
        """What the adjusted values of one cluster cover, in words."""
        sets = counted(self.tested, "set")
        which = "with an overlap or without" if self.rules.correction == "tested" else "of them those that share a gene"
        return f"Benjamini-Hochberg per cluster over {sets}, {which}"

    def terms(self, groups: Sequence[Collection[str]]) -> list[tuple[Term, ...]]:
        """The over-represented terms of each group of genes, sorted by (q, p, id)."""
        positions = [[self._at[gene] for gene in sorted(set(group) & self._at.keys())] for group in groups]
        inside = np.zeros((len(self.background), len(groups)), dtype=np.int32)
        for number, where in enumerate(positions):
            inside[where, number] = 1
        overlaps = self._matrix @ inside
        found = []
        for number, group in enumerate(groups):
            shared, size = overlaps[:, number], len(positions[number])
            p = self._tails(shared, size)
            q = self._adjusted(p, shared)
            chosen = np.flatnonzero((q <= self.rules.alpha) & (shared >= self.rules.min_overlap))
            terms = [self._term(int(at), frozenset(group), size, float(p[at]), float(q[at])) for at in chosen]
            found.append(tuple(sorted(terms, key=lambda term: (term.q, term.p, term.id))))
        return found

    def _term(self, at: int, group: frozenset[str], size: int, p: float, q: float) -> Term:
        overlap, set_size, total = tuple(sorted(group & self._genes[at])), int(self._sizes[at]), len(self.background)
        fold = (len(overlap) / size) / (set_size / total)
        one = self._sets[at]
        return Term(one.id, one.name, one.source, p, q, overlap, set_size, size, total, fold)

    def _tails(self, shared: NDArray[Any], size: int) -> Floats:
        """P[X >= shared] for each set, X the overlap of as many genes drawn at random; 1 where nothing is shared."""
        p = np.ones(len(shared))
        some = np.flatnonzero(shared)
        most = len(self.background) + 1
        keys = (shared[some].astype(np.int64) * most + self._sizes[some]) * most + size
        unique, back = np.unique(keys, return_inverse=True)
        fresh = np.array([key for key in unique.tolist() if key not in self._known], dtype=np.int64)
        if len(fresh):
            overlap, set_size = fresh // (most * most), fresh // most % most
            tails = hypergeom.sf(overlap - 1, len(self.background), set_size, size)
            self._known |= dict(zip(fresh.tolist(), np.clip(tails, 0.0, 1.0).tolist(), strict=True))
        p[some] = np.array([self._known[key] for key in unique.tolist()])[back] if len(some) else p[some]
        return p

    def _adjusted(self, p: Floats, shared: NDArray[Any]) -> Floats:
        q = np.ones(len(p))
        some = np.flatnonzero(shared)  # the others have p = 1, and q = 1 whatever they are adjusted for
        q[some] = benjamini_hochberg(p[some], len(p) if self.rules.correction == "tested" else len(some))
        return q


def benjamini_hochberg(p: Floats, tests: int) -> Floats:
    """The adjusted values (false discovery rate), in the order of `p`; tests of the `tests` that `p` lacks had p = 1.

    >>> benjamini_hochberg(np.array([0.01, 0.5, 0.02]), 4).round(3).tolist()
    [0.04, 0.667, 0.04]
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * tests / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return adjusted
