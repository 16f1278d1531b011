"""Which column is what is told by its cells, what is left out is counted, and what is wrong is one error."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.clusters.request import TableOptions
from respool.clusters.table import Table, read_table
from respool.errors import UsageError

DATA = Path(__file__).parents[2] / "examples" / "data"
CATEGORIES = "id,name,sex,fever,cough\n" + "".join(
    f"p{n},Person {n},{'f' if n % 2 else 'm'},{n % 3 // 2},{int(n > 4)}\n" for n in (3, 1, 2, 0, 5, 4, 7, 6)
)
NUMBERS = "id\theight\tweight\n" + "".join(f"p{n}\t{1.5 + n / 10:.1f}\t{50 + n}\n" for n in range(8))


def table(folder: Path, text: str, **options: object) -> Table:
    (folder / "t.csv").write_text(text)
    return read_table(folder / "t.csv", TableOptions(**options))  # type: ignore[arg-type]


def test_rows_are_sorted_and_kinds_told_apart(tmp_path: Path) -> None:
    found = table(tmp_path, CATEGORIES, names="name")
    assert found.ids == tuple(f"p{n}" for n in range(8))
    assert found.names["p3"] == "Person 3"
    assert [(one.name, one.binary) for one in found.active] == [("cough", True), ("fever", True), ("sex", False)]
    assert found.active[1].levels == tuple(str(n % 3 // 2) for n in range(8))
    assert not found.numeric
    numeric = table(tmp_path, NUMBERS)
    assert numeric.numeric
    assert [one.name for one in numeric.active] == ["height", "weight"]
    assert list(numeric.active[1].numbers) == [50.0 + n for n in range(8)]  # type: ignore[arg-type]


def test_the_real_table() -> None:
    found = read_table(DATA / "hpo_ndd_entities_matrix.csv.gz", TableOptions(names="disease_name"))
    assert (len(found.ids), len(found.active), found.names["OMIM:101200"]) == (2402, 60, "Apert syndrome")
    assert [(one.code, one.names) for one in found.notices] == [("feature_naming", ("genes",))]


def test_what_says_nothing_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [line.split(",") for line in CATEGORIES.splitlines()]
    rows = [[*row, "rare" if n == 0 else str(int(n == 1)), "same" if n == 0 else "x"] for n, row in enumerate(rows)]
    found = table(tmp_path, "\n".join(map(",".join, rows)))
    assert [one.name for one in found.active] == ["cough", "fever", "sex"]
    assert {one.code: one.names for one in found.notices} == {
        "feature_constant": ("rare", "same"), "feature_naming": ("name",),
    }  # fmt: skip


def test_missing_values_are_counted_and_filled(tmp_path: Path) -> None:
    found = table(tmp_path, CATEGORIES.replace("p1,Person 1,f,0", "p1,Person 1,NA,"), ignore=("name",))
    assert found.active[2].levels[1] == found.active[1].levels[1] == "missing"
    assert [(one.code, one.count, one.names) for one in found.notices] == [("missing_value", 2, ("fever: 1", "sex: 1"))]
    numeric = table(tmp_path, NUMBERS.replace("p0\t1.5", "p0\t"))
    assert numeric.active[0].numbers[0] == pytest.approx(sum(1.5 + n / 10 for n in range(1, 8)) / 7)  # type: ignore[index]


def test_numbers_may_mean_categories_and_columns_may_only_describe(tmp_path: Path) -> None:
    graded = "id,grade,stage,age\n" + "".join(f"p{n},{n % 3},{n % 4},{20 + n}\n" for n in range(9))
    found = table(tmp_path, graded, categorical=("grade", "stage"), supplementary=("age",))
    assert [(one.name, one.levels[:3]) for one in found.active] == [("grade", ("0", "1", "2")), ("stage", ("0", "1", "2"))]
    assert [one.name for one in found.supplementary] == ["age"]
    with pytest.raises(UsageError, match="mixes 1 numeric column with 2 categorical ones") as caught:
        table(tmp_path, graded, categorical=("grade", "stage"))
    assert caught.value.where == "numeric: age; categorical: grade, stage"
    assert "--supplementary" in (caught.value.command or "")


@pytest.mark.parametrize(
    ("text", "options", "message", "where"),
    [
        (NUMBERS.replace("1.7", "tall"), {}, "the column 'height' is numeric, but this row says 'tall'", "t.csv:4"),
        (NUMBERS.replace("\t52", ""), {}, "this row has 2 cells, the header 3 columns", "t.csv:4"),
        (NUMBERS.replace("p3", "p2"), {}, "the id 'p2' is there twice", "t.csv:4 and t.csv:5"),
        (NUMBERS.replace("p3", ""), {}, "a row has no id", "t.csv:5"),
        (NUMBERS, {"id": "name"}, "t.csv has no column 'name'", "t.csv:1"),
        (NUMBERS, {"supplementary": ("hight",)}, "t.csv has no column 'hight'", "t.csv:1"),
        (NUMBERS.replace("weight", "height"), {}, "t.csv has the column 'height' twice", "t.csv:1"),
        ("\n".join(NUMBERS.splitlines()[:4]), {}, "t.csv has 3 rows and 3 columns", "t.csv"),
        ("id\n" + "x\n" * 9, {}, "t.csv has 9 rows and 1 column", "t.csv"),
        (NUMBERS.replace("\t5", "\t5e20"), {}, "the numbers of the column 'weight' are too large or too near", "t.csv"),
        (NUMBERS.replace("\t5", "\t5e-20"), {}, "the numbers of the column 'weight' are too large or too near", "t.csv"),
        (NUMBERS, {"ignore": ("weight",)}, "t.csv has 1 usable feature; clusters need two", "t.csv"),
    ],
)
def test_what_is_wrong_is_one_error_with_its_place(
    tmp_path: Path, text: str, options: dict[str, object], message: str, where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        table(tmp_path, text, **options)
    assert message in caught.value.what
    assert caught.value.where == where


def test_text_in_a_numeric_column_says_how_often(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        table(tmp_path, NUMBERS.replace("1.7", "tall").replace("1.9", "taller"))
    assert caught.value.why == "2 rows of 8 have text there"
    assert "--categorical 'height'" in (caught.value.command or "")


def test_more_rows_than_memory_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"t\.csv has 10001 rows; up to 10000 can be clustered"):
        table(tmp_path, "id,a,b\n" + "".join(f"{n},{n},{n}\n" for n in range(10001)))
