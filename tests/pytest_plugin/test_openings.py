"""When the cassette of a marked test is open: in real runs of pytest, told by what fixtures see of it."""

from __future__ import annotations

import pytest

OPEN = "from respool.cassette.open_decks import current, outermost_first\n"


def outcomes(project: pytest.Pytester) -> dict[str, int]:
    return project.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()


def test_it_is_open_around_the_test_s_own_fixtures_and_not_around_wider_ones(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=OPEN + """
import pytest

told = []

@pytest.fixture(scope="module")
def wide():
    told.append(("wide", len(outermost_first())))
    yield
    told.append(("wide ends", len(outermost_first())))

@pytest.fixture
def own(wide):
    told.append(("own", len(outermost_first())))
    yield
    told.append(("own ends", len(outermost_first())))

@pytest.mark.cassette(mode="bypass")
def test_with_fixtures(own):
    assert current() is not None

def test_unmarked():
    assert current() is None
    assert told == [("wide", 0), ("own", 1), ("own ends", 1)]

@pytest.fixture(scope="session", autouse=True)
def last():
    yield
    assert told[3:] == [("wide ends", 0)]
""")
    assert outcomes(project) == {"passed": 2}


def test_a_test_without_fixtures_of_its_own_has_it_too(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=OPEN + """
import pytest, unittest

@pytest.fixture(scope="module", autouse=True)
def wide():
    assert not outermost_first()
    yield
    assert not outermost_first()

@pytest.mark.cassette(mode="bypass")
def test_plain():
    assert len(outermost_first()) == 1

@pytest.mark.cassette(mode="bypass")
class TestSetUp(unittest.TestCase):
    def setUp(self):
        assert current() is not None
    def test_one(self):
        assert current() is not None
    def tearDown(self):
        assert current() is not None

def test_unmarked():
    assert not outermost_first()
""")
    assert outcomes(project) == {"passed": 3}


def test_whoever_asks_for_the_fixture_later_gets_the_one_that_is_open(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=OPEN + """
import pytest

@pytest.fixture
def asking(request):
    return request.getfixturevalue("cassette")

@pytest.mark.cassette(mode="bypass")
def test_asking(asking, request):
    assert asking is current() is request.getfixturevalue("cassette")
    assert len(outermost_first()) == 1
""")
    assert outcomes(project) == {"passed": 1}


def test_a_fixture_in_the_place_of_ours_is_used_as_if_it_had_been_asked_for(project: pytest.Pytester) -> None:
    project.makeconftest(OPEN + """
import pytest

@pytest.fixture
def cassette(cassette):
    cassette.overridden = True
    return cassette
""")
    project.makepyfile(test_it=OPEN + """
import pytest

@pytest.mark.cassette(mode="bypass")
def test_one():
    assert current().overridden
""")
    assert outcomes(project) == {"passed": 1}


def test_one_that_cannot_be_opened_fails_the_setup_and_leaves_nothing_open(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=OPEN + """
import pytest
from pathlib import Path

@pytest.fixture
def own():
    raise AssertionError("behind the cassette")

@pytest.mark.cassette("broken.json")
@pytest.mark.parametrize("number", [1])
def test_broken(number, own):
    pass

def test_after():
    assert not outermost_first()
""")
    broken = project.path / "cassettes" / "broken.json"
    broken.parent.mkdir()
    broken.write_text("{")
    result = project.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*CassetteUnreadable*"])
    result.stdout.no_fnmatch_line("*behind the cassette*")


def test_a_plan_of_fixtures_opens_none(project: pytest.Pytester) -> None:
    project.makepyfile(test_it="""
import pytest

@pytest.mark.cassette("broken.json")
def test_broken():
    pass
""")
    broken = project.path / "cassettes" / "broken.json"
    broken.parent.mkdir()
    broken.write_text("{")
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "--setup-plan")
    result.stdout.no_fnmatch_line("*CassetteUnreadable*")
    assert result.ret == 0
