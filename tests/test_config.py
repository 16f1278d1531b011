"""Durations, sizes and settings: what people write is read exactly, or refused with the reason."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.config import load_project, load_table, parse_duration, parse_size
from respool.errors import UsageError

SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": Fraction(1, 1000)}
BYTES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "gb": 10**9, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@given(st.lists(st.tuples(st.integers(0, 9999), st.sampled_from(list(SECONDS))), min_size=1, unique_by=lambda p: p[1]))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = " ".join(f"{number}{unit}" for number, unit in parts)
    expected = float(sum(number * SECONDS[unit] for number, unit in parts))
    assert parse_duration(text) == pytest.approx(expected)
    assert parse_duration(text.replace(" ", "")) == pytest.approx(expected)


@given(st.one_of(st.integers(0, 10**9), st.floats(0, 1e9)))
def test_a_number_is_seconds(number: float) -> None:
    assert parse_duration(number) == number


@given(st.integers(0, 10**15), st.sampled_from(list(BYTES)), st.sampled_from(["", " "]))
def test_a_size_is_exact(number: int, unit: str, blank: str) -> None:
    assert parse_size(f"{number}{blank}{unit}") == number * BYTES[unit]


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_duration, parse_size):
        refusal = ""
        try:
            assert parse(text) >= 0
        except UsageError as error:
            refusal = str(error)
        assert not refusal or repr(text) in refusal


@pytest.mark.parametrize(
    "value",
    [
        "", "  ", "-1s", "5x", "1h1h", "h", "1.2.3s", "٣s", "1e3s", "nan", "inf", "1 0s", "5m!", "9" * 400,
        -1, float("nan"), float("inf"), True, None, 1e300, 10**400,
    ],
)  # fmt: skip
def test_bad_durations_say_why(value: object) -> None:
    with pytest.raises(UsageError, match="timeout"):
        parse_duration(value, what="timeout")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "-1", "1.5", "5X", "MB", "1e3", "٣MB", "1 M", -1, 1.5, True, None, float("nan")])
def test_bad_sizes_say_why(value: object) -> None:
    with pytest.raises(UsageError, match="memory cannot be read"):
        parse_size(value, what="memory")  # type: ignore[arg-type]


def test_the_forms_of_the_documentation() -> None:
    assert [parse_duration(text) for text in ("90", "90s", "5m", "1h", "1.5h", "500ms", "1h30m", " 2d ")] == [
        90, 90, 300, 3600, 5400, 0.5, 5400, 172800,
    ]  # fmt: skip
    assert [parse_size(text) for text in ("512", "200MB", "200 mb", "1.5GiB", "1 KiB")] == [
        512, 200_000_000, 200_000_000, 1_610_612_736, 1024,
    ]  # fmt: skip


def project(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_the_settings_of_the_nearest_project(tmp_path: Path) -> None:
    project(tmp_path, '[tool.respool]\nspool = "state/"\nworkers = 8\ngrace = "2m"\npatience = 5\ndurability = "full"\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    found = load_project(inner)
    assert (found.spool, found.workers, found.grace, found.patience, found.durability) == (
        f"{tmp_path}/state/", 8, 120.0, 5.0, "full",
    )  # fmt: skip
    assert found.where("grace") == f"{tmp_path}/pyproject.toml:4"
    project(tmp_path / "a", "[project]\nname = 'nearer'\n")
    assert load_project(inner).workers is None


@pytest.mark.parametrize(
    "text",
    ["", "[project]\nname = 'x'\n", "this is no TOML", "[tool.respool]\n", "[tool.respool.cassettes]\nfolder = 'x'\n",
     "# about respool\n[tool.other]\nworkers = 3\n"],
)  # fmt: skip
def test_nothing_is_said_of_runs(tmp_path: Path, text: str) -> None:
    assert load_project(project(tmp_path, text)).workers is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [("workrs = 3", 4, "did you mean workers"), ("colour = 3", 4, "there are spool, workers"), ("grace = 'soon'", 4, "grace"),
     ("workers = true", 4, "a number"), ("spool = 3", 4, "a path"), ("spool = ''", 4, "a path"),
     ("durability = 'fast'", 4, '"normal" or "full"'), ("\n'patience' = -1", 5, "patience")],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    project(tmp_path, f"[tool.other]\nworkers = 1\n[tool.respool]\n{text}\n")
    with pytest.raises(UsageError, match=words) as caught:
        load_project(tmp_path)
    assert f"{tmp_path}/pyproject.toml:{line}" in str(caught.value)


@pytest.mark.parametrize("text", ["[tool.respool\nspool", "tool = 3 # respool", "[tool]\nrespool = 3", "# respool \xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"pyproject\.toml"):
        load_project(tmp_path)


def test_a_table_of_a_part_is_given_as_it_stands(tmp_path: Path) -> None:
    assert load_table("rerecord", tmp_path) == (None, {})
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.respool.rerecord]\nvolatile = ["$.at"]\n')
    assert load_table("rerecord", tmp_path) == (file, {"volatile": ["$.at"]})
    assert load_table("cassettes", tmp_path) == (file, {})
    file.write_text("[tool.respool]\nrerecord = 3\n")
    with pytest.raises(UsageError, match="must be a table"):
        load_table("rerecord", tmp_path)
