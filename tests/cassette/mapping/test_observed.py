"""What runs of pytest observe of their cassettes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respool.cassette.library import Library
from respool.cassette.mapping.observed import FOLDER, KEPT, Note, Observed, Session, read, write
from respool.cassette.model import Cassette, Interaction, Request, Response

SUITE = """
    import urllib.request
    import pytest
    from respool import use_cassette

    def ask(path):
        with urllib.request.urlopen(f"http://a.example/{path}") as answer:
            return answer.read()

    @pytest.mark.cassette("tape")
    def test_marked():
        ask(1)

    def test_block():
        with use_cassette("tests/cassettes/block.json"):
            ask(2)

    @pytest.mark.cassette("shared")
    @pytest.mark.parametrize("n", [1, 2])
    def test_each(n):
        ask(n)

    @pytest.mark.cassette("failing")
    def test_fails():
        ask(1)
        assert not "this"

    @pytest.mark.cassette(scope="module")
    def test_module():
        ask(3)

    @pytest.mark.cassette("none")
    def test_asks_nothing(): ...
"""


def tape(*paths: int) -> Cassette:
    return Cassette(tuple(Interaction(Request("GET", f"http://a.example/{path}"), Response(200)) for path in paths))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(dedent(SUITE))
    library = Library(tmp_path / "tests/cassettes")
    for name in ("tape", "block", "shared", "failing", "test_it"):
        library.save(name, tape(1, 2, 3))
    return tmp_path


def ran(root: Path, *arguments: str) -> Observed:
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=root, timeout=120,
                   capture_output=True, check=False)  # fmt: skip
    return read(root / ".respool", root)


def told(observed: Observed) -> dict[str, list[tuple[str, list[int] | None]]]:
    """Test → (cassette, what of it was not played)."""
    return {
        test.partition("::")[2]: [
            (each.cassette.name, None if each.unplayed is None else sorted(each.unplayed)) for each in opened
        ] for test, opened in observed.tests.items()
    }  # fmt: skip


@pytest.mark.parametrize("processes", [[], ["-n", "2"]])
def test_a_run_tells_what_was_opened_and_not_played(root: Path, processes: list[str]) -> None:
    found = told(ran(root, "--deselect", "tests/test_it.py::test_fails", *processes))
    found |= told(ran(root, *processes))
    assert found["test_marked"] == [("tape.json", [1, 2])]
    assert found["test_block"] == [("block.json", [0, 2])]
    assert found["test_fails"] == [("failing.json", None)]
    assert found["test_asks_nothing"] == [("none.json", [])]


def test_what_several_share_is_shown_by_whole_runs_only(root: Path) -> None:
    root.joinpath("tests/test_it.py").write_text(dedent(SUITE).replace('assert not "this"', "pass"))
    partly = told(ran(root, "-k", "module or each"))
    assert partly["test_each[1]"] == [("shared.json", None)]
    assert partly[""] == [("test_it.json", None)]
    whole = told(ran(root))
    assert whole["test_each[1]"] == [("shared.json", [1, 2])]
    assert whole["test_each[2]"] == [("shared.json", [0, 2])]
    assert whole[""] == [("test_it.json", [0, 1])]


def test_processes_of_one_run_tell_one_story(root: Path) -> None:
    root.joinpath("tests/test_it.py").write_text(dedent(SUITE).replace('assert not "this"', "pass"))
    found = told(ran(root, "-n", "2"))
    assert found["test_marked"] == [("tape.json", [1, 2])]
    assert (found["test_each[1]"], found["test_each[2]"]) == ([("shared.json", [1, 2])], [("shared.json", [0, 2])])
    left = [set(unplayed or ()) for _, unplayed in found[""]]
    assert set.intersection(*left) == {0, 1}, "whichever of them opened it"
    assert len(list((root / ".respool" / "observed").glob("*.json"))) == 1
    partly = told(ran(root, "-n", "1", "-k", "module or each"))
    assert (partly["test_each[1]"], {unplayed is None for _, unplayed in partly[""]}) == ([("shared.json", None)], {True})


def test_a_worker_that_died_leaves_the_story_open(root: Path) -> None:
    dies = "def test_dies():\n    import os\n    os._exit(3)\n"
    root.joinpath("tests/test_it.py").write_text(dedent(SUITE).replace('assert not "this"', "pass"))
    root.joinpath("tests/test_zz.py").write_text(dies)
    found = told(ran(root, "-n", "2", "--max-worker-restart=0"))
    shown = [unplayed for name, uses in found.items() if name.startswith("test_each") for _, unplayed in uses]
    assert set(shown) <= {None}


def test_nothing_is_written_where_no_cassette_is_opened(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): ...")
    ran(tmp_path)
    assert not (tmp_path / ".respool").exists()


def test_cassettes_outside_of_the_project_are_none_of_its_business(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "test_it.py").write_text(
        "from respool import use_cassette\ndef test_it(tmp_path):\n    with use_cassette(tmp_path / 'a.json'): ...\n"
    )
    assert ran(tmp_path, "--basetemp", str(tmp_path.parent / "elsewhere")).tests == {}
    assert not (tmp_path / ".respool").exists()


def test_a_folder_that_takes_no_notes_fails_no_run(root: Path) -> None:
    (root / ".respool/observed").write_text("a file is in the way")
    done = subprocess.run([sys.executable, "-m", "pytest", "-k", "marked", "-p", "no:cacheprovider"], cwd=root, timeout=120,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "could not be kept" in done.stdout


def test_many_runs_become_one_file_and_the_latest_of_a_test_counts(tmp_path: Path) -> None:
    def run(number: int) -> None:
        by = f"tests/test_a.py::test_{number % 3}"
        session = Session(tmp_path, f"run-{number}", frozenset({by}), True, True)
        note = Note(str(tmp_path / "a.json"), by, f"{by} (setup)", 9, (number % 9,))
        write(lambda: tmp_path, session, [note], 1000 + number)

    for number in range(KEPT + 10):
        run(number)
    assert len(list((tmp_path / FOLDER).glob("*.json"))) <= KEPT
    found = read(tmp_path, tmp_path)
    last = {number % 3: number % 9 for number in range(KEPT + 10)}
    assert {test[-1]: set(opened[0].unplayed or ()) for test, opened in found.tests.items()} == {
        str(test): {number} for test, number in last.items()
    }
    assert [len(opened) for opened in found.tests.values()] == [1, 1, 1]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_damaged_is_passed_over(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    state = tmp_path_factory.mktemp("state")
    by = "tests/test_a.py::test_it"
    session = Session(state, "run", frozenset({by}), True, True)
    write(lambda: state, session, [Note(str(state / "a.json"), by, f"{by} (setup)", 3, (1,))], 1000)
    (file,) = (state / FOLDER).glob("*.json")
    document = json.loads(file.read_bytes())
    value = data.draw(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers()), st.floats(), st.booleans()))
    path = data.draw(st.sampled_from([
        (), ("v",), ("runs",), ("runs", 0), *[("runs", 0, key) for key in ("at", "run", "root", "opened")],
        *[("runs", 0, "opened", 0, place) for place in range(5)], ("runs", 0, "opened", 0),
    ]))  # fmt: skip
    if path:
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    else:
        document = value
    file.write_text(json.dumps(document))
    read(state, state)
    file.write_bytes(data.draw(st.binary(max_size=40)))
    assert read(state, state).tests == {}
