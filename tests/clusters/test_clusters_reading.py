"""Files as people have them are read; what is no such file is one clear error."""

from __future__ import annotations

import gzip
from hashlib import blake2b
from pathlib import Path

import pytest

from respool.clusters.reading import number_of, read_text, rows_of
from respool.errors import UsageError


def test_plain_gzipped_with_mark_and_with_windows_line_ends_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"x\ty\n1\t2\n")
    (tmp_path / "b.tsv").write_bytes(b"\xef\xbb\xbfx\ty\r\n1\t2\r\n")
    (tmp_path / "c.tsv.gz").write_bytes(gzip.compress(b"x\ty\n1\t2\n"))
    read = [rows_of(read_text(tmp_path / name)) for name in ("a.tsv", "b.tsv", "c.tsv.gz")]
    assert [rows.cells for rows in read] == [[["x", "y"], ["1", "2"]]] * 3
    content = (tmp_path / "c.tsv.gz").read_bytes()
    assert read_text(tmp_path / "c.tsv.gz").digest == blake2b(content, digest_size=16).hexdigest()


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("a,b\n1,2", [["a", "b"], ["1", "2"]]),
        ('"a","b, c"\n1,"say ""x"""', [["a", "b, c"], ["1", 'say "x"']]),
        ("a;b\n1,5;2", [["a", "b"], ["1,5", "2"]]),
        ("a b\n9606.X   2", [["a", "b"], ["9606.X", "2"]]),
        ("#a\tb\n# remark\n\n1\t2\n", [["a", "b"], ["1", "2"]]),
        ("a\tb\n1\t", [["a", "b"], ["1", ""]]),
    ],
)
def test_the_delimiter_is_told_by_the_first_line(tmp_path: Path, text: str, cells: list[list[str]]) -> None:
    (tmp_path / "t").write_text(text)
    assert rows_of(read_text(tmp_path / "t")).cells == cells


def test_rows_know_their_lines(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a\tb\n\n# remark\n1\t2\n")
    rows = rows_of(read_text(tmp_path / "t"))
    assert rows.where(1) == "t:4"
    with pytest.raises(UsageError, match=r"t has no column 'beta'") as caught:
        rows.column("beta", ["alpha", "beat"])
    assert caught.value.why == "it has alpha, beat"
    assert caught.value.command == "did you mean 'beat'?"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t is empty"),
        (b"  \n\n", "t is empty"),
        (b"\x1f\x8bnonsense", "t is a damaged gzip file"),
        (gzip.compress(b"whole", mtime=0)[:-6], "t is a damaged gzip file"),
        (b"PK\x03\x04....", r"t is a zip file \(a spreadsheet is one\)"),
        ("a\tb".encode("utf-16"), "t is UTF-16 text"),
        (b"a\tb\nK\xf6ln\t1\n", "t is no UTF-8 text: byte 0xf6"),
        (b'a,b\n"open,1\n', "t has a line that cannot be split"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        rows_of(read_text(tmp_path / "t"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere cannot be read: No such file"):
        read_text(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_a_number_is_a_finite_one() -> None:
    assert [number_of(cell) for cell in ("1", "-2.5e3", "nan", "inf", "1_000", "")] == [1.0, -2500.0, None, None, None, None]


def test_the_line_ends_of_an_old_mac_end_lines(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"a\tb\r1\t2\r")
    assert rows_of(read_text(tmp_path / "t")).cells == [["a", "b"], ["1", "2"]]


@pytest.mark.parametrize("content", ["a\tb\n1\t2\n".encode("utf-16-le"), b"a\tb\n\0\1\2\3\n"])
def test_what_holds_zero_bytes_is_no_text(tmp_path: Path, content: bytes) -> None:
    """UTF-16 without its mark is valid UTF-8, with a zero byte at every second place."""
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(UsageError, match=r"t holds zero bytes: it is UTF-16, or no text") as caught:
        read_text(tmp_path / "t")
    assert caught.value.command == "export it as UTF-8 text, tab separated"
