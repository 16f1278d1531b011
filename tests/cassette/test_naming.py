"""Names of cassettes: no two tests share a file, whatever their ids and whatever the file system."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from respool.cassette.naming import cassette_path

FOLDER = Path("cassettes")
ODD = st.text(st.sampled_from("aAzZ09_-.[]~/ \\:å") | st.characters(), min_size=1, max_size=8)
NEAR = ["test_a", "Test_A", "test_a--0", "con", "Con", "class", "session", "TestApi", "TestAPI", "test_api"]
PARTS = ODD | st.sampled_from(NEAR)
IDS = st.tuples(PARTS, st.none() | PARTS, st.none() | PARTS, st.none() | PARTS | st.just("")).map(
    lambda found: found if found[2] is not None else (*found[:3], None)
)


@settings(max_examples=500)
@given(IDS, IDS)
def test_no_two_ids_share_a_file(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assume(one != other)
    assert str(cassette_path(FOLDER, *one)).casefold() != str(cassette_path(FOLDER, *other)).casefold()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("m", None, "test_a", None), ("m", None, "Test_a", None)),
        (("m", "TestApi", "test_a", None), ("m", "TestAPI", "test_a", None)),
        (("m", "TestApi", "test_a", None), ("m", "test_api", "test_a", None)),
        (("m", "TestApi", None, None), ("m", None, "test_api", None)),
        (("m", "TestApi", None, None), ("m", "TestApi", "class", None)),
        (("m", "A.B", "t", None), ("m", "A", "t", None)),
        (("m", "A.B", None, None), ("m", "A", "b", None)),
        (("m", None, "test_a", "b"), ("m", None, "test_a-b", None)),
        (("m", None, "test_a", "b-c"), ("m", None, "test_a-b", "c")),
        (("m", None, "test_a", "x/y"), ("m", None, "test_a", "x:y")),
        (("m", None, "test_a", "x" * 300), ("m", None, "test_a", "x" * 299)),
        (("m", None, "test_a", "1.0"), ("m", None, "test_a", "1_0")),
        (("m", None, "test_a", "True"), ("m", None, "test_a", "true")),
        (("m", None, "test_a", ""), ("m", None, "test_a", None)),
        (("m", None, None, None), ("M", None, None, None)),
    ],
)
def test_near_ids_do_not_meet(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert str(cassette_path(FOLDER, *one)).casefold() != str(cassette_path(FOLDER, *other)).casefold()


def test_no_parameter_passes_for_the_digest_of_another_test() -> None:
    odd = cassette_path(FOLDER, "m", None, "Test_A")
    plain, _, rest = odd.stem.partition("-")
    assert cassette_path(FOLDER, "m", None, plain, rest) != odd
    parametrised = cassette_path(FOLDER, "m", None, "test_a", "B")
    assert cassette_path(FOLDER, "m", None, "test_a", parametrised.stem.removeprefix("test_a-")) != parametrised


@given(IDS)
def test_every_name_is_one_on_every_file_system(parts: tuple[str, ...]) -> None:
    path = cassette_path(FOLDER, *parts)
    assert path == cassette_path(FOLDER, *parts)
    for name in path.parts:
        assert name.isascii()
        assert len(name) <= 200
        assert not set(name) & set('<>:"/\\|?*[] ')
        assert name == name.lower()
        assert name[-1] not in ". "
        assert name.split(".")[0] not in ("con", "prn", "aux", "nul", "com1", "lpt9", "")


def test_what_a_parameter_cannot_say_in_a_name_is_still_to_be_recognised() -> None:
    name = cassette_path(FOLDER, "test_weather", None, "test_city", "São Paulo/" + "x" * 300).name
    assert name.startswith("test_city-s_o_paulo_xxx")
    assert len(name) < 100
