"""The map of tests and cassettes: what the scan says is what the plugin opens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.cassette.test_map import TestMap, scan

TAPE = Cassette((Interaction(Request("GET", "http://a.example/"), Response(200)),))

SUITE = {
    "conftest.py": """
        import pytest

        @pytest.fixture
        def plain(): return 1

        @pytest.fixture(params=["x", "y"])
        def either(request): return request.param

        @pytest.fixture
        def through(either): return either

        @pytest.fixture
        def recorded(open_cassette):
            with open_cassette("tests/cassettes/shared.json") as deck:
                yield deck
    """,
    "test_marks.py": """
        import pytest

        oslo = pytest.mark.cassette("weather/oslo")

        @pytest.mark.cassette
        def test_temp(): ...

        @pytest.mark.cassette
        def test_temp_more(plain): ...

        @pytest.mark.cassette
        def test_Temp(): ...

        @pytest.mark.cassette
        @pytest.mark.parametrize("city", ["oslo", "São Paulo", "", "a--b"])
        def test_city(city): ...

        @pytest.mark.cassette
        def test_through(through): ...

        @oslo
        def test_named(): ...

        @pytest.mark.cassette("one", "weather/oslo")
        def test_two(): ...

        @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.cassette("n-one")), 2])
        def test_some(n): ...

        def test_fixture(recorded): ...

        def test_none(): ...
    """,
    "test_classes.py": """
        import pytest
        from unittest import TestCase

        pytestmark = [pytest.mark.cassette]

        class TestBase:
            def test_inherited(self): ...

        class TestCity(TestBase):
            pytestmark = pytest.mark.cassette(scope="class")
            def test_one(self): ...

            class TestInner:
                @pytest.mark.cassette(scope="function")
                def test_two(self): ...

        @pytest.mark.cassette(scope="module")
        def test_module(): ...

        @pytest.mark.cassette(scope="session")
        def test_session(): ...
    """,
    "test_vcr_marks.py": """
        import pytest
        from pathlib import Path
        from respool import use_cassette

        HERE = Path(__file__).parent

        @pytest.mark.vcr
        def test_plain(): ...

        @pytest.mark.vcr
        def test_plain_more(): ...

        @pytest.mark.vcr()
        @pytest.mark.parametrize("each", ["a", "b/c", "[d"])
        def test_each(each): ...

        @pytest.mark.default_cassette("given")
        @pytest.mark.vcr
        def test_given(): ...

        class TestIt:
            @pytest.mark.vcr
            def test_in_class(self): ...

        def test_block():
            with use_cassette(HERE / "cassettes" / "block.json"): ...

        @use_cassette(f"{HERE}/cassettes/decorated.json")
        def test_decorated(): ...
    """,
    "test_unmarked.py": """
        def test_it(): ...
    """,
}


def written(root: Path, suite: dict[str, str]) -> Path:
    from textwrap import dedent

    (root / "tests").mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    for name, text in suite.items():
        (root / "tests" / name).write_text(dedent(text))
    return root


def opened_by_pytest(root: Path) -> dict[str, set[Path]]:
    """Test → the cassettes that the plugin opened for it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cassettes-json", "seen.json"],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((root / "seen.json").read_text())["tests"]
    return {test: {root / each["name"] for each in figures} for test, figures in told.items()}


def relative(map_: TestMap, file: str) -> set[str]:
    return {path.relative_to(map_.root).as_posix() for path in map_.files[map_.root / "tests" / file].cassettes}


def test_the_scan_names_what_the_plugin_opens_and_nothing_else(tmp_path: Path) -> None:
    root = written(tmp_path, SUITE)
    library = Library(root)
    library.save(root / "tests/cassettes/weather/oslo.json", TAPE)  # it is read behind another, and so must be there
    opened = opened_by_pytest(root)
    for path in {path for paths in opened.values() for path in paths}:
        if path.suffix == ".json":
            library.save(path, TAPE)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("interactions: []\nversion: 1\n")
    strangers = ["test_marks/test_temp_mo.json", "test_marks/test_cit.json", "test_marks/test_city_x-oslo.json", "n.json"]
    for name in (*strangers, "block.json", "decorated.json"):
        library.save(root / "tests/cassettes" / name, TAPE)
    found = scan(root)
    for test, paths in opened.items():
        for path in paths:
            owners = found.tests_of(path)
            assert not test or test.partition("[")[0] in owners, (test, path, owners)
    assert [path.relative_to(root / "tests/cassettes").as_posix() for path in found.orphans] == sorted(strangers)
    assert [gap.test for gap in found.missing] == []
    assert [path.name for path, entry in found.files.items() if not entry.marked] == []


def test_names_that_are_prefixes_of_one_another_belong_to_their_own_tests(tmp_path: Path) -> None:
    root = written(tmp_path, SUITE)
    for name in ("test_temp", "test_temp_more", "test_city-oslo", "test_city"):
        Library(root).save(root / f"tests/cassettes/test_marks/{name}.json", TAPE)
    found = scan(root)
    folder = root / "tests/cassettes/test_marks"
    assert found.tests_of(folder / "test_temp.json") == ("tests/test_marks.py::test_temp",)
    assert found.tests_of(folder / "test_temp_more.json") == ("tests/test_marks.py::test_temp_more",)
    assert found.tests_of(folder / "test_city-oslo.json") == ("tests/test_marks.py::test_city",)
    assert found.orphans == (folder / "test_city.json",)  # the test has parameters: no run opens that


def test_gaps_are_told_in_both_directions(tmp_path: Path) -> None:
    root = written(tmp_path, {"test_a.py": SUITE["test_marks.py"], "conftest.py": SUITE["conftest.py"]})
    Library(root).save(root / "tests/cassettes/forgotten.json", TAPE)
    found = scan(root)
    assert [path.name for path in found.orphans] == ["forgotten.json"]
    missing = {gap.test.partition("::")[2]: gap.cassette for gap in found.missing}
    assert missing["test_temp"] == "tests/cassettes/test_a/test_temp.json"
    assert missing["test_city"] == "tests/cassettes/test_a/test_city-*.json"
    assert missing["test_fixture"] == "tests/cassettes/shared.json"
    assert "test_none" not in missing


def test_only_the_files_asked_for_are_read(tmp_path: Path) -> None:
    root = written(tmp_path, SUITE)
    found = scan(root, [root / "tests/test_marks.py"])
    assert [path.name for path in found.files] == ["test_marks.py"]


def test_what_is_no_python_is_told_and_makes_orphans_doubtful(tmp_path: Path) -> None:
    root = written(tmp_path, {"test_a.py": "import pytest\n@pytest.mark.cassette\ndef test_a(:"})
    Library(root).save(root / "tests/cassettes/test_a/test_a.json", TAPE)
    found = scan(root)
    assert [each.file.name for each in found.unread] == ["test_a.py"]
    assert found.doubtful == set(found.orphans) != set()


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("use_cassette('tapes/a.json')", "tapes/a.json"),
        ("use_cassette(Path(__file__).parent / 'tapes' / 'a.json')", "tests/tapes/a.json"),
        ("use_cassette(os.path.join(os.path.dirname(__file__), 'tapes', 'a.json'))", "tests/tapes/a.json"),
        ("use_cassette(path='tapes/a.json', mode='fill')", "tapes/a.json"),
        ("Recording(str(HERE / 'a.json'))", "tests/a.json"),
        ("vcr.use_cassette('tapes/%s.yaml' % 'a')", None),
        ("mine.use_cassette('a')", "fixtures/vcr/a.yaml"),
        ("mine.use_cassette('a.yaml', record_mode='none')", "fixtures/vcr/a.yaml"),
    ],
)
def test_calls_are_read_without_running_them(tmp_path: Path, code: str, named: str | None) -> None:
    text = (
        "import os\nimport vcr\nfrom pathlib import Path\nfrom respool import Recording, use_cassette\n"
        "HERE = Path(__file__).parent\n"
        "mine = vcr.VCR(cassette_library_dir='fixtures/vcr', path_transformer=vcr.VCR.ensure_suffix('.yaml'))\n"
        f"def test_it():\n    with {code}: ...\n"
    )
    root = written(tmp_path, {"test_a.py": text})
    entry = scan(root).files[root / "tests/test_a.py"]
    assert entry.marked
    assert {path.relative_to(root).as_posix() for path in entry.cassettes} == ({named} if named else set())
    assert entry.dynamic is (named is None)
