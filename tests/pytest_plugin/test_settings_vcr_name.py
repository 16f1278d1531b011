"""`import vcr` finds respool where the project asks for it, and nowhere else."""

from __future__ import annotations

import pytest

CONFTEST = """
import vcr
from vcr.request import Request

def pytest_report_header():
    return f"vcr is {vcr.VCR.__module__}"
"""
PROJECT = "[tool.respool.cassettes]\nanswer_to_vcr = {}\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite whose conftest.py imports vcr."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("RESPOOL_ANSWER_TO_VCR", raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it="def test_one(): pass")
    return pytester


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    return suite.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:timeout", *options)


def test_nobody_answers_unasked(suite: pytest.Pytester) -> None:
    result = run(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*No module named 'vcr'*"])


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_the_environment_asks(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]) -> None:
    monkeypatch.setenv("RESPOOL_ANSWER_TO_VCR", "1")
    result = run(suite, *options)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["vcr is respool.compat.vcr.config"])


def test_the_project_asks_and_the_environment_overrules_it(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.makepyprojecttoml(PROJECT.format("true"))
    run(suite).assert_outcomes(passed=1)
    monkeypatch.setenv("RESPOOL_ANSWER_TO_VCR", "0")
    assert run(suite).ret == pytest.ExitCode.USAGE_ERROR


def test_a_project_may_ask_and_use_our_marks(suite: pytest.Pytester) -> None:
    suite.makepyprojecttoml(PROJECT.format("true") + "mode = 'bypass'\n")
    suite.makepyfile(test_it="""
        import pytest

        @pytest.mark.cassette
        def test_one(cassette):
            assert cassette.mode.value == "bypass"
    """)
    run(suite).assert_outcomes(passed=1)


def test_where_vcrpy_is_installed_it_keeps_its_name(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    own = suite.mkpydir("vcr")
    (own / "__init__.py").write_text("class VCR: pass\n")
    (own / "request.py").write_text("Request = object\n")
    monkeypatch.setenv("PYTHONPATH", str(suite.path))
    monkeypatch.setenv("RESPOOL_ANSWER_TO_VCR", "1")
    result = run(suite)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines_random(["vcr is vcr", "respool: vcrpy is installed*"])


def test_a_value_that_is_neither_yes_nor_no_is_told(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.makepyprojecttoml(PROJECT.format("'ja'"))
    result = run(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *pyproject.toml*answer_to_vcr = 'ja' is no bool"])
    monkeypatch.setenv("RESPOOL_ANSWER_TO_VCR", "maybe")
    run(suite).stderr.fnmatch_lines(["ERROR: RESPOOL_ANSWER_TO_VCR='maybe' is neither 1 nor 0"])
