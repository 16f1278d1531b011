"""The map of tests and cassettes: what the scan says is what the plugin opens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respool.cassette.library import Library
from respool.cassette.mapping.observed import read as read_observed
from respool.cassette.mapping.reading import read as read_source
from respool.cassette.mapping.scan import TestMap, scan
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.cassette.naming import cassette_path, of_parameters

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
    for name in ("test_temp", "test_temp_more", "test_city-oslo", "test_city", "test_city_x-oslo"):
        Library(root).save(root / f"tests/cassettes/test_marks/{name}.json", TAPE)
    found = scan(root)
    folder = root / "tests/cassettes/test_marks"
    assert found.tests_of(folder / "test_temp.json") == ("tests/test_marks.py::test_temp",)
    assert found.tests_of(folder / "test_temp_more.json") == ("tests/test_marks.py::test_temp_more",)
    assert found.tests_of(folder / "test_city-oslo.json") == ("tests/test_marks.py::test_city",)
    # The test has parameters, so no run opens the first; the second would be that of a test_city_x.
    assert found.orphans == (folder / "test_city.json", folder / "test_city_x-oslo.json")


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


def test_what_runs_opened_fills_in_what_the_scan_cannot_tell(tmp_path: Path) -> None:
    code = (
        "from respool import use_cassette\nNAMES = ['a', 'b']\n"
        "def test_it():\n    for name in NAMES:\n        with use_cassette(place(name)): ...\n"
        "def place(name): return f'tests/cassettes/{name}.json'\n"
    )
    root = written(tmp_path, {"test_a.py": code})
    for name in ("a", "b", "c"):
        Library(root).save(root / f"tests/cassettes/{name}.json", TAPE)
    before = scan(root)
    assert before.files[root / "tests/test_a.py"].dynamic
    assert len(before.orphans) == 3
    assert before.doubtful == set(before.orphans)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=root, check=True, timeout=120,
                   capture_output=True)  # fmt: skip
    after = scan(root, observed=read_observed(root / ".respool", root))
    assert [path.name for path in after.orphans] == ["c.json"]
    assert not after.doubtful
    assert after.tests_of(root / "tests/cassettes/a.json") == ("tests/test_a.py::test_it",)
    assert {path.name for path in after.files[root / "tests/test_a.py"].cassettes} == {"a.json", "b.json"}


def test_a_test_that_passed_without_a_cassette_misses_none(tmp_path: Path) -> None:
    root = written(tmp_path, {"test_a.py": "import pytest\n@pytest.mark.cassette\ndef test_quiet(): ...\n"})
    assert len(scan(root).missing) == 1
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=root, check=True, timeout=120,
                   capture_output=True)  # fmt: skip
    assert scan(root, observed=read_observed(root / ".respool", root)).missing == ()


VCR_SUITES = {
    "flat": ({"test_a.py": "@pytest.mark.vcr\ndef test_one(): ...\n"}, ["cassettes/test_one.yaml"]),
    "deep": ({"test_a.py": "@pytest.mark.vcr\ndef test_one(): ...\n"}, ["cassettes/test_a/test_one.yaml"]),
    "class": ({"test_a.py": "class TestIt:\n    @pytest.mark.vcr\n    def test_one(self): ...\n"},
              ["cassettes/test_a/TestIt.test_one.yaml"]),
    "folder": ({"conftest.py": "@pytest.fixture(scope='module')\ndef vcr_cassette_dir(request):\n    return 'tests/tapes'\n",
                "test_a.py": "@pytest.mark.vcr\ndef test_one(): ...\n"}, ["tapes/test_one.yaml"]),
    "json": ({"conftest.py": "@pytest.fixture\ndef vcr_config():\n    return {'serializer': 'json'}\n",
              "test_a.py": "@pytest.mark.vcr\ndef test_one(): ...\n"}, ["cassettes/test_a/test_one.json"]),
    "extra": ({"test_a.py": "@pytest.mark.vcr('more.yaml')\ndef test_one(): ...\n"},
              ["cassettes/test_a/test_one.yaml", "cassettes/test_a/more.yaml"]),
    "unittest": ({"test_a.py": "from vcr.unittest import VCRTestCase\n"
                  "class TestIt(VCRTestCase):\n    def test_one(self): ...\n"}, ["cassettes/TestIt.test_one.yaml"]),
    "put together": ({"test_a.py": "import vcr\nimport pytest\n@pytest.mark.parametrize('n', ['one', 'two'])\n"
                      "def test_one(n):\n    with vcr.use_cassette(f'tests/tapes/it_{n}.yaml'): ...\n"},
                     ["tapes/it_one.yaml", "tapes/it_two.yaml"]),
    "decorator": ({"test_a.py": "import vcr\nmine = vcr.VCR(cassette_library_dir='tests/tapes')\n"
                   "@mine.use_cassette\ndef test_one(): ...\n"}, ["tapes/test_one"]),
    "elsewhere": ({"test_a.py": "from helping import mine\n@mine.use_cassette('one.yaml')\ndef test_one(): ...\n"},
                  ["cassettes/somewhere/one.yaml"]),
}  # fmt: skip


@pytest.mark.parametrize("name", VCR_SUITES)
def test_suites_of_vcrpy_find_their_cassettes_where_they_are(tmp_path: Path, name: str) -> None:
    files, cassettes = VCR_SUITES[name]
    root = written(tmp_path, {file: f"import pytest\n{text}" for file, text in files.items()})
    for each in (*cassettes, "cassettes/test_one_more.yaml" if name == "flat" else "cassettes/test_a/test_one_more.yaml"):
        path = root / "tests" / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("interactions: []\nversion: 1\n")
    found = scan(root)
    assert {path.relative_to(root / "tests").as_posix() for path in found.owners} == set(cassettes)
    assert [path.stem for path in found.orphans] == ["test_one_more"]
    assert found.missing == ()


PIECES = st.sampled_from([
    "import pytest", "@pytest.mark.cassette", "@pytest.mark.cassette('a', *b, **c)", "@pytest.mark.vcr(1, x=None)",
    "pytestmark = pytest.mark.cassette", "pytestmark = [a, pytest.mark.vcr]", "pytestmark: int",
    "def test_a(x, /, *, y): ...", "async def test_b(self): ...", "class TestA(B, C.D, metaclass=M): pass",
    "class TestA(TestA):\n    def test_x(self): ...",
    "    def test_c(self): ...", "with use_cassette(a / b % c): pass", "x = x", "x = y\ny = x", "vcr.use_cassette(x)",
    "@pytest.fixture(params=[1])\ndef f(f): yield 1", "@pytest.fixture(autouse=True)\ndef g(): return {'a': 1, **b}",
    "@my.use_cassette\ndef test_d(): ...", "use_cassette(f'{x}/{y!r:>{w}}.json', allow_status=[404])", "open_cassette()",
    "@pytest.mark.parametrize('a', [pytest.param(1, marks=pytest.mark.cassette())])", "VCR(path_transformer=f(x)[0])",
    "use_cassette(__file__)", "use_cassette('../' * 3)", "use_cassette('\\0')", "use_cassette('/' + '')",
    "(", "\x00", "\ufeff",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12), st.text(max_size=8))
def test_no_program_text_ends_the_scan(tmp_path_factory: pytest.TempPathFactory, pieces: list[str], end: str) -> None:
    root = tmp_path_factory.mktemp("fuzz", numbered=True)
    (root / "test_a.py").write_text("\n".join([*pieces, end]), "utf-8", "replace")
    found = scan(root)
    assert found.unread or isinstance(found.files, dict)


@settings(max_examples=300, deadline=None)
@given(st.text("aB_1", max_size=9) | st.text(max_size=30), st.text("oslo-_.1", max_size=30) | st.text(max_size=30),
       st.text("aB_1", max_size=4) | st.text(max_size=30), st.booleans())  # fmt: skip
def test_no_parameters_of_one_test_look_like_those_of_another(test: str, parameters: str, end: str, prefix: bool) -> None:
    folder, other = Path("c"), test + end if prefix else end
    one, two = cassette_path(folder, "test_a", None, f"test_{test}"), cassette_path(folder, "test_a", None, f"test_{other}")
    params = cassette_path(folder, "test_a", None, f"test_{test}", parameters)
    assert of_parameters(one).fullmatch(params.as_posix())
    if test != other:
        assert not of_parameters(two).fullmatch(params.as_posix())
    assert not of_parameters(one).fullmatch(two.as_posix())


def test_a_name_that_a_fixture_gives_is_that_of_every_test_it_reaches(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(scope='module')\ndef vcr_cassette_dir():\n    return 'tapes'\n"
        "@pytest.fixture\ndef vcr_cassette_name():\n    return 'sha/red'\n"
    )
    marked = "import pytest\n@pytest.mark.vcr\ndef test_{0}(): ...\n"
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text(marked.format(name))
    named = "@pytest.mark.vcr\n@pytest.mark.default_cassette('marked')\ndef test_d(): ...\n"
    (tmp_path / "test_c.py").write_text(marked.format("c") + named + (
        "class TestIn:\n    @pytest.fixture\n    def default_cassette_name(self):\n        return 'inner'\n"
    ))  # fmt: skip
    (tmp_path / "test_d.py").write_text(
        "import pytest\n@pytest.mark.cassette\n@pytest.mark.parametrize('n', [1, 2])\ndef test_d(n): ...\n"
    )
    for number in (1, 2):
        Library(tmp_path / "cassettes").save(f"test_d/test_d-{number}", TAPE)
    found = scan(tmp_path)
    shared = tmp_path / "tapes" / "sha-red.yaml"
    assert found.files_of(shared) == (tmp_path / "test_a.py", tmp_path / "test_b.py"), "before it is recorded"
    assert [missing.cassette for missing in found.missing] == ["tapes/sha-red.yaml"] * 2
    # A fixture in a class says nothing about the tests outside of it, and which is which only a run can tell.
    assert found.files[tmp_path / "test_c.py"].cassettes == frozenset()
    shared.parent.mkdir()
    shared.write_text("interactions: []\n")
    own = "test_d.py::test_d plays a cassette for each of its parameters: none of them has a claim to another's"
    assert found.claims == {shared: frozenset({"test_a.py::test_a", "test_b.py::test_b"})}, own
    assert {test.partition("::")[0] for test in scan(tmp_path).tests_of(shared)} == {"test_a.py", "test_b.py", "test_c.py"}


@pytest.mark.parametrize(("source", "test", "there"), [
    ("def test_a(): ...", "test_a[x::y]", True), ("def test_b(): ...", "test_a", False),
    ("class TestA:\n    def test_a(self): ...", "TestA::test_a", True),
    ("class TestA:\n    def test_b(self): ...", "TestA::test_a", False),
    ("class TestB:\n    def test_a(self): ...", "TestA::test_a", False),
    ("from base import Base\nclass TestA(Base): ...", "TestA::test_inherited", True),
    ("@parameterized.expand([1])\ndef test_a(n): ...", "test_a_0_x", True), ("from others import test_a", "test_a", True),
    ("from others import *", "test_a", True), ("globals()['test_' + 'a'] = print", "test_a", True),
    ("test_a = made()", "test_a", True), ("def f(): ...", "module.f", True),
])  # fmt: skip
def test_whether_a_test_may_be_in_a_file(source: str, test: str, there: bool) -> None:
    assert read_source(source, "/t/test_it.py").may_hold(test) is there
