"""Files that share a cassette are recorded as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from respool.batch.model import bad_key
from respool.rerecord.units import Unit, units

names = st.sampled_from("abcdefgh")
maps = st.dictionaries(names, st.sets(st.sampled_from("rstuvwxyz"), max_size=3))


@given(maps, st.lists(names, unique=True))
def test_a_cassette_is_in_one_unit_and_all_who_use_it_are_with_it(known: dict[str, set[str]], files: list[str]) -> None:
    found = units(files, known)
    placed = [file for unit in found for file in unit.files]
    assert len(placed) == len(set(placed))
    assert set(placed) >= set(files)
    for unit in found:
        assert set(unit.files) & set(files), "nobody comes in who has nothing to do with what was asked for"
        assert set(unit.cassettes) == {cassette for file in unit.files for cassette in known.get(file, ())}
        for file, cassettes in known.items():
            assert file in unit.files or not cassettes & set(unit.cassettes)


@given(maps, st.lists(names, unique=True))
def test_units_stand_in_the_order_of_what_was_asked_for(known: dict[str, set[str]], files: list[str]) -> None:
    firsts = [min(files.index(file) for file in unit.files if file in files) for unit in units(files, known)]
    assert firsts == sorted(firsts)


def test_names_that_begin_alike_have_nothing_to_do_with_each_other() -> None:
    known = {"test_a.py": {"cassettes/test_a.json"}, "test_a_more.py": {"cassettes/test_a_more.json"}}
    assert [unit.files for unit in units(sorted(known), known)] == [("test_a.py",), ("test_a_more.py",)]


def test_a_key_says_which_files_and_fits() -> None:
    assert Unit(("tests/test_a.py", "tests/test_b.py")).key == "tests/test_a.py tests/test_b.py"
    many = Unit(tuple(f"tests/test_{number}.py" for number in range(99)))
    assert many.key.startswith("tests/test_0.py and 98 more (")
    assert many.key != Unit((*many.files, "tests/test_z.py")).key
    assert bad_key(many.key) is None
    assert many.payload == {"files": list(many.files)}
