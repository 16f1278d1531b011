"""Names come to the present, and every change, every unknown and every ambiguous name is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.clusters.symbols import Aliases, foreign_alphabet, id_system, read_aliases
from respool.errors import UsageError

DATA = Path(__file__).parents[2] / "examples" / "data"
HGNC = (
    "Approved symbol\tPrevious symbols\tAlias symbols\n"
    "AAA\tOLD1, OLD2\tNICK\nBBB\t\tNICK, SHARED\nCCC\tSHARED\tAAA\nC1orf1\tC9orf9\t\n"
)


def test_previous_before_alias_before_capitals_and_ambiguous_to_none(tmp_path: Path) -> None:
    (tmp_path / "hgnc.tsv").write_text(HGNC)
    names = ["AAA", "OLD2", "NICK", "SHARED", "C1ORF1", "C9ORF9", "NOBODY"]
    new, notices = read_aliases(tmp_path / "hgnc.tsv").resolve(names, "the network")
    assert new == {
        "AAA": "AAA", "OLD2": "AAA", "NICK": "NICK", "SHARED": "CCC", "C1ORF1": "C1orf1", "C9ORF9": "C1orf1",
        "NOBODY": "NOBODY",
    }  # fmt: skip
    assert {one.code: one.names for one in notices} == {
        "symbol_changed": ("C1ORF1 → C1orf1", "C9ORF9 → C1orf1", "OLD2 → AAA", "SHARED → CCC"),
        "symbol_ambiguous": ("NICK: AAA or BBB",),
        "symbol_unmapped": ("NOBODY",),
    }
    assert notices[0].text == (
        "4 names of the network changed to the approved one; 2 of them gave a name that was there already"
    )


def test_the_real_table() -> None:
    aliases = read_aliases(DATA / "hgnc_symbols_aliases.tsv.gz")
    new, notices = aliases.resolve(["SPATA5", "TP53", "C9ORF72"], "x")
    assert new == {"SPATA5": "AFG2A", "TP53": "TP53", "C9ORF72": "C9orf72"}
    assert [one.count for one in notices] == [2]
    assert len(aliases.approved) == 43681


def test_strings_protein_info_leads_from_ids_to_symbols(tmp_path: Path) -> None:
    (tmp_path / "info.txt").write_text("#string_protein_id\tpreferred_name\tprotein_size\n9606.ENSP00000000233\tARF5\t180\n")
    assert read_aliases(tmp_path / "info.txt").resolve(["9606.ENSP00000000233"], "x")[0] == {"9606.ENSP00000000233": "ARF5"}


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("gene\tlength\nA\t1\n")
    with pytest.raises(UsageError, match=r"t\.tsv is no alias table") as caught:
        read_aliases(tmp_path / "t.tsv")
    assert "gene, length" in (caught.value.why or "")


def test_without_a_table_nothing_changes() -> None:
    assert Aliases().resolve(["x"], "y") == ({"x": "x"}, ())


@pytest.mark.parametrize(
    ("names", "system"),
    [
        (["9606.ENSP00000000233", "9606.ENSP00000000412"], "STRING protein ids"),
        (["ENSG00000141510", "ENSG00000012048.23"], "Ensembl ids"),
        (["7157", "672"], "Entrez gene ids"),
        (["P04637", "P38398", "A0A024R1R8"], "UniProt accessions"),
        (["TP53", "BRCA1", "7157"], None),
    ],
)
def test_ids_are_told_from_symbols(names: list[str], system: str | None) -> None:
    assert id_system(names) == system


def test_letters_of_another_alphabet_are_listed() -> None:
    cyrillic = "ТР53"  # looks like TP53
    found = foreign_alphabet(["TP53", cyrillic])
    assert found is not None
    assert (found.code, found.count, found.names) == ("other_alphabet", 1, (cyrillic,))
    assert foreign_alphabet(["TP53"]) is None
