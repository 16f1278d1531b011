"""Whatever lies in a file of items: it gives items, or one error that says where."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from respool.batch.blocks import Span
from respool.batch.declaration import Command, Mode, Task
from respool.batch.model import Row
from respool.batch.sources import (
    Source,
    fingerprint,
    from_csv,
    from_file,
    from_glob,
    from_jsonl,
    from_pipe,
    from_values,
)  # fmt: skip
from respool.errors import UsageError

TASK = Task("m:f", Mode.PROCESS)
BOM = b"\xef\xbb\xbf"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)  # fmt: skip
keys = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9).filter(lambda key: key[0] != "@")


def spans(source: Source) -> list[Span]:
    return source.spans("basis")


def rows(source: Source, task: Task = TASK) -> list[Row]:
    try:
        return [row for span in spans(source) for row in source.rows(span, task)]
    finally:
        source.close()


def outcome_of(make: Callable[[], Source]) -> tuple[list[Row], UsageError | None]:
    try:
        return rows(make()), None
    except UsageError as error:
        return [], error


def pairs(source: Source) -> list[tuple[str, Any]]:
    return [(row.key, json.loads(row.payload)) for row in rows(source)]


def jsonl(data: bytes, key: str | None = None) -> Source:
    return from_jsonl(io.BytesIO(data), key, name="items.jsonl")


# ── JSON lines ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(keys, json_values), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"]), st.booleans())
def test_lines_give_their_items_however_they_end(items: list[tuple[str, Any]], end: bytes, bom: bool) -> None:
    lines = [json.dumps({"key": key, "value": value}).encode() for key, value in items]
    data = (BOM if bom and lines else b"") + end.join(lines)
    assert pairs(jsonl(data)) == [(key, {"key": key, "value": value}) for key, value in items]


SHAPES = [b"{}", b'{"key":"a"}', b'{"id":7}', b'"text"', b"[1]", b"null", b"", b"  ", b"{", b"\xff", b'{"a":NaN}', b"1e999",
          b'{"a":1,"a":2}', b'{"key":"\\u0000"}', b'{"key":""}', b'{"key":"@x"}', b'{"key":"\\ud800"}', b'{"a":\r1}', BOM,
          b"[" * 100_000, b'"' + b"x" * 300_000 + b'"', b"1" * 5000]  # fmt: skip


@given(st.lists(st.sampled_from(SHAPES) | st.binary(max_size=30), max_size=6), st.sampled_from([b"\n", b"\r\n"]))
@settings(max_examples=200)
def test_any_bytes_are_items_or_one_error_that_names_the_line(lines: list[bytes], end: bytes) -> None:
    data = end.join(lines)
    found, error = outcome_of(lambda: jsonl(data))
    given = data.split(b"\n")
    if error is None:
        assert len(found) == sum(bool(line.strip()) for line in given)
        return
    named = re.match(r"items\.jsonl:(\d+): ", error.where or "")
    assert named, str(error)
    assert len(str(error)) < 1000
    first_bad = int(named[1]) - 1
    assert outcome_of(lambda: jsonl(given[first_bad]))[1] is not None
    assert outcome_of(lambda: jsonl(b"\n".join(given[:first_bad])))[1] is None


def test_only_a_line_feed_ends_a_line() -> None:
    """As the blocks are cut: else the lines of a block would not be the ones that it was cut from."""
    data = b'{"key": "a",\r"v": 1}\n{"key": "b"}\r\n'
    assert pairs(jsonl(data)) == [("a", {"key": "a", "v": 1}), ("b", {"key": "b"})]
    with pytest.raises(UsageError, match=r"^item 3 "):
        rows(jsonl(data + b"{"))


@pytest.mark.parametrize(("line", "says"), [
    (b'{"a": NaN}', "NaN"), (b'{"a": 1, "a": 2}', "duplicate key 'a'"), (b"\xff", "utf-8"), (b"{", "Expecting"),
    (b'{"key": "a\\u0007"}', "control character"), (b'{"key": "@items"}', "respool's own"), (b'{"key": ""}', "empty"),
    (b'{"key": "' + b"k" * 600 + b'"}', "600 bytes; 512"),
])  # fmt: skip
def test_an_error_says_what_is_wrong_and_that_nothing_was_run(line: bytes, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        rows(jsonl(b'{"key": "good"}\n\n' + line + b"\n"))
    assert refused.value.what.startswith("item 3 ")
    assert says in refused.value.what
    assert (refused.value.where or "").startswith("items.jsonl:3: ")
    assert "nothing was run" in (refused.value.command or "")


@pytest.mark.parametrize(("payload", "field", "key"), [
    ({"key": "k", "id": "i"}, None, "k"), ({"id": 5}, None, "5"), ({"name": "n"}, "name", "n"), ("text", None, "text"),
    ({"key": True, "id": "i"}, None, "i"),
])  # fmt: skip
def test_where_a_key_comes_from(payload: Any, field: str | None, key: str) -> None:
    assert [row.key for row in rows(jsonl(json.dumps(payload).encode(), field))] == [key]


@given(json_values)
def test_what_names_no_key_is_known_by_its_content(value: Any) -> None:
    line = json.dumps([value]).encode()
    (one,), (other,) = rows(jsonl(line)), rows(jsonl(b"  " + line))
    assert (one.key, one.fingerprint) == (other.key, other.fingerprint)


@pytest.mark.parametrize("payload", [{"other": 1}, {"name": None}, {"name": 1.5}, {"name": True}, [1], "text"])
def test_a_key_field_that_was_asked_for_must_be_there(payload: Any) -> None:
    with pytest.raises(UsageError, match="key field 'name'"):
        rows(jsonl(json.dumps(payload).encode(), "name"))


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(keys, cells, cells), max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_a_table_gives_its_rows(table: list[tuple[str, str, str]], end: str, bom: bool) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "one", "two"), *table])
    data = (BOM if bom else b"") + text.getvalue().encode()
    found = pairs(from_csv(io.BytesIO(data), None, name="t.csv"))
    assert found == [(key, {"id": key, "one": one, "two": two}) for key, one, two in table]


CELLS = [b"id,v", b"a,1", b"b", b"c,1,2", b'"d,1', b'e,"x" y', b"\xff,1", b",1", b"@f,1", b"", b"g,\x00", b"id,id",
         b"h,\xc3\xa9", b"i," + b"x" * 200_000, b"\x07,1", b"a\rb"]  # fmt: skip


@given(st.lists(st.sampled_from(CELLS) | st.binary(max_size=12), max_size=6), st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(max_examples=200)
@example([b"id,v", *[b"a%d,1" % n for n in range(3)], b"\xff,1"], b"\n")
def test_any_bytes_are_rows_or_one_error_that_names_a_line_of_the_file(lines: list[bytes], end: bytes) -> None:
    data = end.join(lines)
    _, error = outcome_of(lambda: from_csv(io.BytesIO(data), None, name="t.csv"))
    if error is not None:
        named = re.match(r"t\.csv:(\d+)$", error.where or "")
        assert named, str(error)
        assert 1 <= int(named[1]) <= max(1, len(data.splitlines()))
        assert len(error.what) < 1000


@pytest.mark.parametrize(("bad", "says"), [
    (b"\xff,1", "utf-8"), (b"x", "more or fewer fields"), (b"x,1,2", "more or fewer"), (b",1", "a key that is empty"),
    (b"@x,1", "respool's own"), (b"x,\x00" + b"y" * 200_000, "field limit"), (b'"x"y,1', "expected after"),
])  # fmt: skip
@pytest.mark.parametrize("before", [0, 1, 3000])
def test_an_error_in_a_table_names_its_line(bad: bytes, says: str, before: int) -> None:
    data = b"id,v\r\n" + b"".join(b"k%d,1\r\n" % number for number in range(before)) + bad + b"\r\nlast,1\r\n"
    with pytest.raises(UsageError, match=says) as refused:
        from_csv(io.BytesIO(data), None, name="t.csv")
    assert refused.value.where == f"t.csv:{before + 2}"


def test_a_header_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="a column twice"):
        from_csv(io.BytesIO(b"a,a\n1,2\n"), None, name="t.csv")
    with pytest.raises(UsageError, match=r"no column 'x'; there are \['a', 'b'\]"):
        from_csv(io.BytesIO(b"a,b\n1,2\n"), "x", name="t.csv")
    assert rows(from_csv(io.BytesIO(b""), None, name="t.csv")) == []


def test_the_ending_of_a_file_says_what_it_is(tmp_path: Path) -> None:
    for name, text in (("i.csv", "id,v\na,1\n"), ("i.tsv", "id\tv\na\t1\n"), ("i.jsonl", '{"id":"a","v":"1"}'),
                       ("i.ndjson", '{"id":"a","v":"1"}\n')):  # fmt: skip
        (tmp_path / name).write_text(text)
        assert pairs(from_file(tmp_path / name)) == [("a", {"id": "a", "v": "1"})]
    (tmp_path / "i.xlsx").touch()
    with pytest.raises(UsageError, match=r"not '\.xlsx'"):
        from_file(tmp_path / "i.xlsx")
    with pytest.raises(UsageError, match="No such file"):
        from_file(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="Is a directory"):
        from_file(tmp_path)


def test_a_pipe_is_read_to_its_end() -> None:
    here, there = os.pipe()
    with os.fdopen(here, "rb") as reader:
        with os.fdopen(there, "wb") as writer:
            writer.write(b'{"key":"a"}\n{"key":"b"}')
        assert [row.key for row in rows(from_pipe(reader, None))] == ["a", "b"]


# ── values and files ─────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.dictionaries(keys, json_values, max_size=6))
def test_values_give_themselves_as_a_mapping_or_as_pairs(items: dict[str, Any]) -> None:
    assert pairs(from_values(items)) == list(items.items())
    assert pairs(from_values(iter(items.items()))) == list(items.items())


@pytest.mark.parametrize("items", [[1], ["ab"], [("a",)], [(1, 2)], [("a", float("nan"))], [("a", {1: 2})], [("a", b"x")]])
def test_what_is_no_item_is_refused_and_the_scratch_file_closed(items: list[Any]) -> None:
    with pytest.raises(UsageError, match=r"^item "):
        from_values(items)


def test_an_iterator_that_fails_leaves_nothing_open() -> None:
    def broken() -> Any:
        yield "a", 1
        raise KeyError("theirs")

    with pytest.raises(KeyError, match="theirs"):
        from_values(broken())


def test_files_are_known_by_their_path_and_content(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "skip.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    (tmp_path / "folder.txt").mkdir()
    before = rows(from_glob("**/*.txt", tmp_path))
    assert [(row.key, json.loads(row.payload)) for row in before] == [
        (name, {"path": name}) for name in ("a.txt", "b.txt", "sub/c.txt")
    ]
    (tmp_path / "b.txt").write_text("edited")
    after = rows(from_glob("**/*.txt", tmp_path))
    changed = [new.key for old, new in zip(before, after, strict=True) if old.fingerprint != new.fingerprint]
    assert changed == ["b.txt"]
    with pytest.raises(UsageError, match=r"no file matches '\*\.png'"):
        from_glob("*.png", tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()

    def gone(path: Path) -> str:
        path.unlink()
        return path.read_text()

    with pytest.raises(UsageError, match="a file cannot be read: No such file") as refused:
        from_glob("*.txt", tmp_path, gone)
    assert refused.value.where == str(tmp_path / "a.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow only text as names")
def test_a_name_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.txt")).touch()
    with pytest.raises(UsageError, match="item 1 is no item"):
        rows(from_glob("*.txt", tmp_path))


# ── what decides whether work is the same ────────────────────────────────────────────────────────────────────────────


def test_a_fingerprint_is_of_task_version_payload_and_for_commands_of_the_key() -> None:
    command = Task("cat {}", Mode.COMMAND, command=Command(("cat", "{}")))
    prints = [
        fingerprint(TASK, "a", "1"), fingerprint(TASK, "a", "2"), fingerprint(Task("m:g", Mode.PROCESS), "a", "1"),
        fingerprint(Task("m:f", Mode.PROCESS, version="2"), "a", "1"), fingerprint(TASK, "a", "1", ("digest",)),
        fingerprint(command, "a", "1"), fingerprint(command, "b", "1"),
    ]  # fmt: skip
    assert len(set(prints)) == len(prints)
    assert fingerprint(TASK, "b", "1") == prints[0], "a function does not see its key"
    assert fingerprint(Task("m:f", Mode.THREAD, timeout=None), "a", "1") == prints[0]


@given(st.lists(st.binary(max_size=5), max_size=9), st.binary(max_size=3))
def test_a_source_is_unchanged_when_its_bytes_are(lines: list[bytes], more: bytes) -> None:
    data = b"\n".join(lines)
    whole = jsonl(data).whole_digest("basis")
    assert jsonl(data).whole_digest("basis") == whole != jsonl(data).whole_digest("other")
    assert (jsonl(data + more).whole_digest("basis") == whole) == (not more)
