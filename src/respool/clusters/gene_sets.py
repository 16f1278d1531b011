"""Gene sets in GMT files: a name, a description, and members, one set to a line, separated by tabs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from respool.clusters.model import Input, Notice
from respool.clusters.reading import number_of, read_text
from respool.errors import UsageError
from respool.phrases import counted

_TERM_ID = re.compile(r"^(?P<name>.*?)\s*\((?P<id>(?:GO|HP|MP|DOID|MONDO|KEGG|R-HSA|WP|hsa)[:\-]?\d+)\)$")
# as Enrichr writes the sets of Reactome, WikiPathways and KEGG
_ID_LAST = re.compile(r"^(?P<name>.*?)[\s_](?P<id>R-[A-Z]{3}-\d+|WP\d+|hsa\d+)$")


@dataclass(frozen=True, slots=True)
class GeneSet:
    """One set: its stable id, its name for people, where it is from, its members."""

    id: str
    name: str
    source: str
    genes: frozenset[str]


def read_gene_sets(path: Path) -> tuple[list[GeneSet], Input, tuple[Notice, ...]]:
    """The sets of a GMT file, sorted by id. Enrichr's empty second column and its `SYMBOL,1.0` are read as meant.

    Raises UsageError for a file without any set, a set that is there twice, or a line that is no set.
    """
    text = read_text(path)
    sets: dict[str, GeneSet] = {}
    empty: list[str] = []
    source = re.sub(r"(\.gmt)?(\.txt)?(\.gz)?$", "", text.name)
    for number, line in enumerate(text.lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        title, *rest = line.split("\t")
        if not title.strip() or not rest:
            raise UsageError(
                f"{text.name} has a line that is no gene set: {line[:40]!r}", where=f"{path}:{number}",
                why="a set is a name, a description and its genes, separated by tabs",
            )  # fmt: skip
        name, stable = named(title.strip())
        genes = frozenset(gene for cell in rest[1:] if (gene := _gene(cell)))
        if stable in sets:
            raise UsageError(f"{text.name} has the set {stable!r} twice", where=f"{path}:{number}")
        if genes:
            sets[stable] = GeneSet(stable, name, source, genes)
        else:
            empty.append(stable)
    if not sets:
        raise UsageError(
            f"{text.name} has no gene set with a gene in it", where=str(path),
            why="a set is a name, a description and its genes, separated by tabs",
        )  # fmt: skip
    told = Notice("term_unusable", f"{counted(len(empty), 'set')} without genes", len(empty), tuple(sorted(empty)))
    return [sets[stable] for stable in sorted(sets)], text.as_input("gene sets", len(sets)), (told,) if empty else ()


def named(title: str) -> tuple[str, str]:
    """A set's name and its stable id, out of one title; without an id in it, the title is both.

    >>> named("DNA repair (GO:0006281)"), named("HALLMARK_HYPOXIA")
    (('DNA repair', 'GO:0006281'), ('HALLMARK_HYPOXIA', 'HALLMARK_HYPOXIA'))
    """
    found = _TERM_ID.match(title) or _ID_LAST.match(title)
    return (found["name"], found["id"]) if found and found["name"] else (title, title)


def _gene(cell: str) -> str:
    name, comma, weight = cell.strip().partition(",")
    return name.strip() if not comma or number_of(weight) is not None else cell.strip()


def all_genes(sets: Iterable[GeneSet]) -> frozenset[str]:
    """Every gene that is in any of the sets."""
    return frozenset(gene for each in sets for gene in each.genes)
