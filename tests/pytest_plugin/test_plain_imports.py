"""Who loads our modules in a run of pytest, told by the modules themselves."""

from __future__ import annotations

import pytest


def test_pytest_rewrites_nothing_of_ours_and_what_others_have_as_ever(project: pytest.Pytester) -> None:
    project.makeconftest("import pytest\npytest.register_assert_rewrite('beside')\n")
    project.makepyfile(
        beside="def check():\n    assert [1] == [2]\n",
        test_it="""
import sys
import beside
import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

@pytest.mark.cassette(mode="bypass")
def test_ours():
    ours = [module for name, module in sys.modules.items() if name.startswith("respool.cassette.")]
    assert len(ours) > 20
    assert not [module for module in ours if isinstance(module.__loader__, AssertionRewritingHook)]

def test_beside():
    with pytest.raises(AssertionError, match=r"At index 0 diff: 1 != 2"):
        beside.check()
""",
    )
    project.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=2)
