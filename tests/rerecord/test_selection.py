"""Which test files are recorded, and in which order."""

from __future__ import annotations

import pytest

from respool.errors import UsageError
from respool.rerecord.selection import below, by_priority, matches, no_patterns, prioritised

FILES = [
    "tests/test-ct_chemical.py", "tests/test-ct_chemical-more.py", "tests/test-chemi_search.py",
    "tests/deep/test-chemi_search.py", "tests/test-chemi_resolver.py",
    "tests/test_weather.py", "tests/my_test-ct_chemical.py",
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "fits"), [
    ("^test-ct_chemical", True), ("^test-ct_chemical$", True), ("ct_chem", True), ("test-ct_*", True), ("*chemical", True),
    ("test-ct_chemical.py", True), ("test-(ct|chemi)_.*", True), ("chemical$", True),
    (r"\bct_", True), (r"\bchem_", False), ("^ct_", False),
    ("test_*", False), ("chem?", False), ("[a-s]*", False), ("^tests/", False), ("^test-ct_chemical-", False),
])  # fmt: skip
def test_a_pattern_is_a_glob_or_a_regular_expression_over_the_base_name(pattern: str, fits: bool) -> None:
    assert matches(pattern, "tests/test-ct_chemical.py") is fits


def test_the_patterns_give_the_order_and_each_file_comes_once() -> None:
    patterns = ["^test-ct_chemical", "^test-chemi_search", "^test-chemi_resolver", "chem"]
    assert by_priority(FILES, patterns) == [
        "tests/test-ct_chemical-more.py", "tests/test-ct_chemical.py", "tests/deep/test-chemi_search.py",
        "tests/test-chemi_search.py", "tests/test-chemi_resolver.py", "tests/my_test-ct_chemical.py",
    ]
    assert by_priority(FILES, []) == []
    assert prioritised(FILES, ["weather"]) == ["tests/test_weather.py", *sorted(set(FILES) - {"tests/test_weather.py"})]


def test_a_pattern_that_cannot_be_read_is_named() -> None:
    with pytest.raises(UsageError, match=r"the pattern '\^\(' cannot be read") as found:
        matches("^(", "test_a.py")
    assert "priority" in (found.value.where or "")


def test_paths_name_files_and_folders_and_no_prefixes() -> None:
    assert below(FILES, ["tests/deep"]) == (["tests/deep/test-chemi_search.py"], [])
    assert below(FILES, ["tests/test-ct_chemical.py", "tests/deep/"]) == (
        ["tests/test-ct_chemical.py", "tests/deep/test-chemi_search.py"], []
    )
    assert below(FILES, ["tests/test-ct_chemical"]) == ([], ["tests/test-ct_chemical"]), "a prefix is no path"
    assert below(FILES, ["test"]) == ([], ["test"])
    assert below(FILES, ["."])[0] == sorted(FILES)


def test_without_patterns_it_is_said_what_to_do() -> None:
    told = str(no_patterns())
    assert "priority in [tool.respool.rerecord]" in told
    assert "--all" in told
