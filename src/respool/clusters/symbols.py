"""Gene names brought to the present: an alias table maps previous symbols and aliases to approved ones, and says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from respool.clusters.model import Input, Notice, NoticeCode
from respool.clusters.reading import Rows, listed, read_text, rows_of
from respool.errors import UsageError
from respool.phrases import counted

_SPLIT = re.compile(r"[,|;]\s*")
# The column of present names, then those that lead to them: HGNC's custom and full downloads, STRING's protein.info.
_TABLES = (
    ("approved symbol", "previous symbols", "previous symbol", "alias symbols", "alias symbol"),
    ("symbol", "prev symbol", "alias symbol"),
    ("preferred name", "string protein id"),
)
ID_SYSTEMS = (
    ("STRING protein ids", re.compile(r"\d+\.ENS[A-Z]*P\d+")),
    ("Ensembl ids", re.compile(r"ENS[A-Z]*[GTP]\d{6,}(\.\d+)?")),
    ("Entrez gene ids", re.compile(r"\d+")),
    ("UniProt accessions", re.compile(r"[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d([A-Z][A-Z0-9]{2}\d){1,2}")),
)


@dataclass(frozen=True, slots=True)
class Aliases:
    """Where a name leads: `approved` names stay, `leads_to` gives the one name of the others, `ambiguous` lead to several."""

    approved: frozenset[str] = frozenset()
    leads_to: dict[str, str] = field(default_factory=dict)
    ambiguous: dict[str, tuple[str, ...]] = field(default_factory=dict)
    source: Input | None = None

    def resolve(self, names: Iterable[str], of: str) -> tuple[dict[str, str], tuple[Notice, ...]]:
        """The present name of each of `names`, and every change, every unknown and every ambiguous name as notices.

        Unknown and ambiguous names stay as they are. Without a table nothing is changed, and nothing told.
        """
        names = sorted(set(names))
        if self.source is None:
            return {name: name for name in names}, ()
        new = {name: name if name in self.approved else self.leads_to.get(name, name) for name in names}
        changed = [f"{old} → {now}" for old, now in new.items() if old != now]
        ambiguous = [f"{name}: {' or '.join(self.ambiguous[name])}" for name in names if name in self.ambiguous]
        known = self.approved | self.leads_to.keys() | self.ambiguous.keys()
        unmapped = [name for name in names if name not in known]
        merged = len(new) - len(set(new.values()))
        became_one = f"; {merged} of them gave a name that was there already" if merged else ""
        told: tuple[tuple[NoticeCode, list[str], str], ...] = (
            ("symbol_changed", changed, f"of {of} changed to the approved one{became_one}"),
            ("symbol_ambiguous", ambiguous, f"of {of} could mean several genes and stayed as written"),
            ("symbol_unmapped", unmapped, f"of {of} not in {self.source.name}; kept as written"),
        )
        return new, tuple(
            Notice(code, f"{counted(len(which), 'name')} {text}", len(which), tuple(which))
            for code, which, text in told if which
        )  # fmt: skip


def read_aliases(path: Path) -> Aliases:
    """An alias table: HGNC's (columns approved symbol, previous symbols, alias symbols) or STRING's protein.info.

    A previous symbol wins over an alias, both over the same letters in capitals (Enrichr writes C12ORF57 for C12orf57); what
    leads to several genes leads to none. Raises UsageError for other tables.
    """
    text = read_text(path)
    rows = rows_of(text)
    present, others = _columns(rows)
    body = [cells for cells in rows.cells[1:] if len(cells) > present and cells[present]]
    approved = frozenset(cells[present] for cells in body)
    leads_to: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}

    def lead(pairs: Iterable[tuple[str, str]]) -> None:
        targets: dict[str, set[str]] = {}
        for name, target in pairs:
            if name and name not in approved and name not in leads_to and name not in ambiguous:
                targets.setdefault(name, set()).add(target)
        leads_to.update({name: next(iter(found)) for name, found in targets.items() if len(found) == 1})
        ambiguous.update({name: tuple(sorted(found)) for name, found in targets.items() if len(found) > 1})

    for column in others:
        lead(_pairs(body, present, column))
    lead([(name.upper(), target) for name, target in ({name: name for name in approved} | leads_to).items()])
    return Aliases(approved, leads_to, ambiguous, text.as_input("aliases", len(body)))


def _pairs(body: list[list[str]], present: int, column: int) -> list[tuple[str, str]]:
    """(other name, present name) of each other name in a column."""
    return [(name, cells[present]) for cells in body if len(cells) > column for name in _SPLIT.split(cells[column])]


def _columns(rows: Rows) -> tuple[int, list[int]]:
    """The column of present names, and those of other names, the weightier first."""
    header = [cell.lower().replace("_", " ") for cell in rows.cells[0]]
    for present, *others in _TABLES:
        found = [header.index(name) for name in others if name in header]
        if present in header and found:
            return header.index(present), found
    raise UsageError(
        f"{rows.name} is no alias table", where=rows.where(0),
        why=f"it has the columns {listed(rows.cells[0])}; HGNC's has Approved symbol, Previous symbols, Alias symbols, "
        "STRING's protein.info has string_protein_id, preferred_name",
    )  # fmt: skip


def id_system(names: Iterable[str]) -> str | None:
    """What most of `names` are, if they are ids of a known system and no symbols.

    >>> id_system(["9606.ENSP00000000233", "9606.ENSP00000000412"]), id_system(["TP53", "BRCA1"])
    ('STRING protein ids', None)
    """
    names = list(names)
    for system, pattern in ID_SYSTEMS:
        if sum(pattern.fullmatch(name) is not None for name in names) * 2 > len(names):
            return system
    return None


def foreign_alphabet(names: Iterable[str]) -> Notice | None:
    """A notice of the names with letters that no gene symbol has: Cyrillic or Greek ones that look like Latin, say."""
    found = sorted(name for name in set(names) if not name.isascii())
    if not found:
        return None
    text = f"{counted(len(found), 'name')} with characters outside ASCII (some look like Latin letters and are none)"
    return Notice("other_alphabet", text, len(found), tuple(found))
