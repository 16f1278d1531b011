"""The library: what is there is told from what is missing, nothing good is lost, two writers lose nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_tapes import LARGE, bodies, program, project, said

from respool.cassette.library import Library, Shelf
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.errors import CassetteBusy, CassetteMissing, CassetteRefused, CassetteUnreadable, UsageError


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return project(tmp_path)


def test_what_was_saved_is_loaded(library: Library) -> None:
    path = library.save("weather/oslo", said("one", LARGE))
    assert path == library.folder / "weather" / "oslo.json"
    loaded = library.load("weather/oslo")
    assert loaded.interactions == said("one", LARGE).interactions
    assert loaded.writer.startswith("respool ")
    assert library.load(path) == loaded == Library(path.parent).load(path)
    assert [len(file.name) for file in (library.folder / "weather" / "oslo.bodies").iterdir()] == [32]


def test_what_is_not_there_is_missing(library: Library) -> None:
    for name in ("nothing", "no/folder/there"):
        with pytest.raises(CassetteMissing, match=Path(name).name):
            library.load(name)
    library.save("file", said())
    with pytest.raises(CassetteMissing):
        library.load("file.json/below.json")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b'{"format": 1}', b'{"format": 9, "interactions": []}', b"%%%"]
)
def test_what_cannot_be_read_is_no_missing_cassette_and_is_never_overwritten(library: Library, content: bytes) -> None:
    path = library.save("a", said("good"))
    path.write_bytes(content)
    for write in (
        lambda: library.load("a"),
        lambda: library.save("a", said("new")),
        lambda: library.keep("a", Cassette(), said("new").interactions),
        lambda: library.keep("a", Cassette(), said("new").interactions, afresh=True),
    ):
        with pytest.raises(CassetteUnreadable) as caught:
            write()
        assert str(path) in str(caught.value.where)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_unreadable(library: Library) -> None:
    (library.folder / "a.json").mkdir(parents=True)
    with pytest.raises(CassetteUnreadable):
        library.load("a")


def test_names_stay_in_the_folder(library: Library) -> None:
    for name in ("../a", "/etc/passwd", "a/../../b"):
        with pytest.raises(UsageError, match="leads out"):
            library.load(name)
    assert library.path("v1.2") == library.folder / "v1.2.json"
    assert library.path("a.yaml") == library.folder / "a.yaml"


def test_a_list_holds_cassettes_and_nothing_else(library: Library) -> None:
    library.save("b", said(LARGE))
    library.save("a/c", said("x"))
    (library.folder / "old.yaml").write_text("interactions: []\nversion: 1\n")
    (library.folder / ".b.json.tmp").write_text("")
    (library.folder / "readme.md").write_text("")
    assert library.list() == ["a/c.json", "b.json", "old.yaml"]
    assert Library(library.folder / "none").list() == []


def test_the_previous_one_is_kept_and_can_be_put_back(library: Library) -> None:
    with pytest.raises(CassetteMissing, match="no previous"):
        library.restore("a")
    library.save("a", said("one", LARGE))
    library.save("a", said("two"))
    kept = library.folder.parents[1] / ".respool" / "previous" / "tests" / "cassettes" / "a.json"
    assert bodies(Library(kept.parent).load(kept)) == [b"one", LARGE]
    library.restore("a")
    assert bodies(library.load("a")) == [b"one", LARGE]
    library.restore("a")
    assert bodies(library.load("a")) == [b"two"]
    assert (kept.parents[3] / ".gitignore").read_text() == "*\n"


def test_what_is_kept_is_added_to_what_is_there_by_then(library: Library) -> None:
    header = Cassette(at=5, test="first", matching={"query": []})
    library.keep("a", header, said("one").interactions)
    library.keep("a", Cassette(at=9, test="second"), said("two", "three").interactions)
    found = library.load("a")
    assert bodies(found) == [b"one", b"two", b"three"]
    assert (found.at, found.test, found.matching) == (5, "first", {})
    library.keep("a", Cassette(at=9, test="second"), said("four").interactions, afresh=True)
    assert (bodies(library.load("a")), library.load("a").test) == ([b"four"], "second")


FILL = """
import sys
from respool.cassette.library import Library, Shelf
from respool.cassette.model import Cassette, Interaction, Request, Response
library = Library(sys.argv[1])
for place in range(int(sys.argv[3])):
    body = b"x" * (70_000 if place == 1 else 1)
    made = Interaction(Request("GET", f"http://{sys.argv[2]}/{place}"), Response(200, body=body))
    library.keep("shared", Cassette(), [made])
"""


def test_processes_that_fill_one_cassette_lose_nothing_and_keep_their_order(library: Library) -> None:
    fillers = [program(FILL, library.folder, name, "12") for name in "abc"]
    try:
        while any(filler.poll() is None for filler in fillers):
            if (library.folder / "shared.json").exists():
                library.load("shared")  # whoever reads meanwhile sees a whole cassette
            time.sleep(0.01)
        assert [filler.wait() for filler in fillers] == [0, 0, 0]
    finally:
        for filler in fillers:
            filler.communicate()
    found = [each.request.url for each in library.load("shared").interactions]
    assert len(found) == 36
    for name in "abc":
        assert [url for url in found if url.startswith(f"http://{name}/")] == [f"http://{name}/{n}" for n in range(12)]


def test_threads_that_fill_one_cassette_lose_nothing(library: Library) -> None:
    def fill(name: str) -> None:
        for place in range(5):
            made = Interaction(Request("GET", f"http://{name}/{place}"), Response(200))
            library.keep("shared", Cassette(), [made])

    threads = [threading.Thread(target=fill, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(library.load("shared").interactions) == 10


HOLD = """
import sys
from respool.cassette.library import Library, Shelf
with Library(sys.argv[1]).lock("a"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_has_a_cassette_is_named_and_a_death_frees_it(library: Library) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(library.folder)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTEST_CURRENT_TEST": "test_x.py::test_y (call)"},
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CassetteBusy) as caught, library.lock("a"):
            pass
        assert str(holder.pid) in str(caught.value)
        assert "test_x.py::test_y" in str(caught.value)
        with library.lock("b"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with library.lock("a"), library.lock("a"):
        library.save("a", said("mine"))


def test_an_older_layout_is_read_too(library: Library) -> None:
    """A formatter that sorts keys moves "format" away from the start."""
    path = library.save("a", said("one"))
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert bodies(library.load("a")) == [b"one"]


def test_loading_imports_nothing_that_only_writing_needs(library: Library) -> None:
    library.save("a", said("one"))
    code = """
import sys
from respool.cassette.library import Library, Shelf
Library(sys.argv[1]).load("a").interactions[0]
print(*({"tempfile", "secrets", "fcntl", "asyncio", "shutil", "yaml", "tomllib", "email", "http.client"} & set(sys.modules)))
"""
    assert program(code, library.folder).communicate()[0].split() == []


OSLO = "interactions:\n- request: {method: GET, uri: 'http://a/0'}\n  response: {status: 200, body: one}\n"


def test_a_foreign_cassette_is_played_and_filled_as_it_is(library: Library) -> None:
    library.folder.mkdir(parents=True)
    path = library.folder / "old.yaml"
    path.write_text(OSLO)
    assert (bodies(library.load("old.yaml")), library.load(path).origin) == ([b"one"], "vcrpy-yaml")
    assert path.read_text() == OSLO
    library.keep(path, Cassette(), said("two").interactions)
    assert bodies(library.load(path)) == [b"one", b"two"]
    assert path.read_text().startswith("interactions:")
    library.restore(path)
    assert path.read_text() == OSLO


def test_a_new_cassette_has_the_format_of_its_suffix(library: Library) -> None:
    for name, origin in {"a.json": "respool", "a.yml": "vcrpy-yaml", "a.har": "har", "b": "respool"}.items():
        library.save(name, said("one"))
        assert (library.load(name).origin, bodies(library.load(name))) == (origin, [b"one"])


def test_cassettes_that_differ_in_their_suffix_have_nothing_in_common(library: Library) -> None:
    for name in ("a.json", "a.yaml", "a.har"):
        library.save(name, said(LARGE))
    library.save("a.yaml", said("small"))
    assert [bodies(library.load(name)) for name in ("a.json", "a.yaml", "a.har")] == [[LARGE], [b"small"], [LARGE]]


def test_a_format_that_is_only_read_is_not_written(library: Library) -> None:
    library.folder.mkdir(parents=True)
    path = library.folder / "betamax.json"
    path.write_text('{"http_interactions": [], "recorded_with": "betamax/0.8.1"}')
    before = path.read_bytes()
    with pytest.raises(CassetteRefused, match="convert"):
        library.keep(path, Cassette(), said("new").interactions)
    assert path.read_bytes() == before


def test_a_place_that_takes_no_cassette_is_told(library: Library) -> None:
    (library.folder.parent).mkdir()
    library.folder.write_text("in the way")
    for write in (
        lambda: library.save("a", said("new")),
        lambda: library.keep("b/c", Cassette(), said("new").interactions),
        lambda: library.swap(library.staging("run"), []) or library.save("a", said("new")),
    ):
        with pytest.raises(CassetteRefused, match="could not be written") as caught:
            write()
        assert str(library.folder) in str(caught.value.where)


def test_yaml_that_is_no_cassette_is_neither_missing_nor_overwritten(library: Library) -> None:
    library.folder.mkdir(parents=True)
    path = library.folder / "a.yaml"
    path.write_text("interactions: [")
    with pytest.raises(CassetteUnreadable, match="line 2"):
        library.keep(path, Cassette(), said("new").interactions)
    assert path.read_text() == "interactions: ["


def test_without_a_project_the_state_is_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite's cassettes lie in many folders; one `.respool/` serves them all."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert Library("tests/cassettes/test_a").state() == tmp_path / "here" / ".respool"
    assert Library(tmp_path / "elsewhere").state() == tmp_path / "elsewhere" / ".respool"


def test_a_shelf_takes_a_cassette_apart_again_only_when_its_file_says_something_else(library: Library) -> None:
    path, shelf = library.save("a", said("one")), Shelf()
    first = shelf.load(path)
    assert first == library.load(path)
    assert shelf.load(path) is first
    stamp = path.stat()
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as long as before, and changed as long ago
    assert shelf.load(path).interactions == said("two").interactions
    path.write_text("{")
    with pytest.raises(CassetteUnreadable):
        shelf.load(path)
    path.unlink()
    with pytest.raises(CassetteMissing):
        shelf.load(path)


def test_a_shelf_keeps_a_few_and_none_whose_content_lies_elsewhere_too(library: Library) -> None:
    shelf = Shelf()
    paths = [library.save(f"{number}", said("one")) for number in range(6)]
    loaded = [shelf.load(path) for path in paths]
    assert shelf.load(paths[-1]) is loaded[-1]
    assert shelf.load(paths[0]) is not loaded[0]
    large = library.save("large", said(LARGE))
    shelf.load(large)
    (side,) = (library.folder / "large.bodies").iterdir()
    side.unlink()
    with pytest.raises(CassetteUnreadable):
        shelf.load(large)
