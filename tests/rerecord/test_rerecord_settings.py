"""`[tool.respool.rerecord]`, read and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.errors import UsageError
from respool.rerecord.settings import Settings, load_settings

WHOLE = """
[tool.pytest.ini_options]
testpaths = "tests more/tests"
[tool.respool.cassettes]
folder = "tapes"
[tool.respool.rerecord]
priority = ["^test-ct_chemical", "test_login*"]
require_env = ["API_KEY"]
allow_status = [404]
transient = [429, 503, 529]
max_pause = "2h"
timeout = "5m"
refresh = "30d"
volatile = ["$.date"]
probe = "python probe.py --quick"
[tool.respool.rerecord.limits]
"api.example.com" = "30/min"
"""


def test_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(WHOLE)
    (tmp_path / "deep").mkdir()
    assert load_settings(tmp_path / "deep") == Settings(
        tmp_path, tests=("tests", "more/tests"), folder="tapes", priority=("^test-ct_chemical", "test_login*"),
        require_env=("API_KEY",), allow_status=(404,), transient=(429, 503, 529), max_pause=7200.0, timeout=300.0,
        volatile=("$.date",), probe=("python", "probe.py", "--quick"), limits={"api.example.com": "30/min"},
    )  # fmt: skip


def test_where_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert load_settings(tmp_path) == Settings(tmp_path, tests=(".",))
    (tmp_path / "tests").mkdir()
    found = load_settings(tmp_path)
    assert (found.tests, found.max_pause, found.timeout, found.transient) == (("tests",), 3600.0, 600.0, (429, 503))


@pytest.mark.parametrize(("line", "told"), [
    ("prioritty = []", "did you mean priority?"), ('priority = "^a"', "a list of texts"), ("allow_status = [99]", "statuses"),
    ("transient = [true]", "statuses"), ('timeout = "soon"', "timeout in"), ('limits = "30/min"', "a table like"),
    ('limits = { "a" = "often" }', "is no rate"), ("probe = 3", "a command"), ("require_env = [1]", "a list of texts"),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_the_key(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.respool.rerecord]\n{line}\n")
    with pytest.raises(UsageError) as found:
        load_settings(tmp_path)
    assert told in str(found.value)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.respool.rerecord\n")
    with pytest.raises(UsageError, match=r"pyproject.toml cannot be read"):
        load_settings(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.respool]\nrerecord = 3\n")
    with pytest.raises(UsageError, match="must be a table"):
        load_settings(tmp_path)


@pytest.mark.parametrize(("line", "told"), [
    ('volatile = ["$..["]', "no JSON path"),
    ("timeout = 0", r"timeout in \[tool.respool.rerecord\] must be more than 0 seconds"),
])  # fmt: skip
def test_what_would_be_found_after_the_calls_is_found_before(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.respool.rerecord]\n{line}\n")
    with pytest.raises(UsageError, match=told):
        load_settings(tmp_path)
