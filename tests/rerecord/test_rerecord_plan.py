"""From what was asked for to units: what is chosen, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.errors import NothingMatches, UsageError
from respool.rerecord.history import Ended
from respool.rerecord.plan import Asked, Plan, make_plan, narrowed, survey
from respool.rerecord.settings import Settings, load_settings

DAY = 86_400_000_000
NOW = 20_000 * DAY
MARKED = "import pytest\n\n@pytest.mark.cassette\ndef test_it():\n    pass\n"
SHARED = "import pytest\n\n@pytest.mark.cassette('shared')\ndef test_it():\n    pass\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.respool.rerecord]\npriority = ["^test_b"]\n')
    (tmp_path / "tests").mkdir()
    for name in ("test_a", "test_b", "test-c"):
        (tmp_path / "tests" / f"{name}.py").write_text(MARKED)
    (tmp_path / "tests" / "test_none.py").write_text("def test_it():\n    pass\n")
    return tmp_path


def planned(root: Path, asked: Asked, failed: dict[str, Ended] | None = None) -> Plan:
    settings: Settings = load_settings(root)
    return make_plan(asked, settings, survey(settings), failed or {}, NOW)


def files(plan: Plan) -> list[str]:
    return [" ".join(each.unit.files) for each in plan.units]


def recorded(root: Path, name: str, days: int) -> None:
    call = Interaction(Request("GET", "http://a/"), Response(200), NOW - days * DAY)
    Library(root).save(root / "tests" / "cassettes" / name, Cassette((call,)))


def failure(*names: str) -> dict[str, Ended]:
    return {name: Ended((name,), 1, 1, "failed", "leak", "x", 0, 1) for name in names}


def test_priority_all_and_paths(root: Path) -> None:
    assert files(planned(root, Asked("priority"))) == ["tests/test_b.py"]
    every = planned(root, Asked("all"))
    assert files(every) == ["tests/test_b.py", "tests/test-c.py", "tests/test_a.py"]
    assert [each.reason for each in every.units] == ["priority ^test_b", "all", "all"]
    assert len(every.never_recorded) == 3
    assert files(planned(root, Asked("paths", ("tests/test_a.py", "tests")))) == [
        "tests/test_a.py", "tests/test-c.py", "tests/test_b.py"
    ]
    assert files(planned(root, Asked("paths", ("tests/test_none.py",)))) == ["tests/test_none.py"], "it was named itself"


def test_files_that_share_come_along(root: Path) -> None:
    for name in ("test_a", "test_x"):
        (root / "tests" / f"{name}.py").write_text(SHARED)
    plan = planned(root, Asked("paths", ("tests/test_x.py",)))
    assert files(plan) == ["tests/test_a.py tests/test_x.py"]
    assert plan.files == 2
    assert plan.units[0].unit.cassettes == ("tests/cassettes/shared.json",)


def test_failures_are_those_that_are_still_there(root: Path) -> None:
    failed = failure("tests/test_a.py", "tests/test_b.py", "tests/gone.py")
    plan = planned(root, Asked("failures"), failed)
    assert files(plan) == ["tests/test_b.py", "tests/test_a.py"]
    assert plan.units[0].reason == "failed: leak"
    assert files(planned(root, Asked("failures", ("tests/test_a.py",)), failed)) == ["tests/test_a.py"]
    assert not planned(root, Asked("failures")).units


def test_stale_is_what_is_old_what_changed_and_what_was_never_recorded(root: Path) -> None:
    with pytest.raises(UsageError, match="when a cassette is stale") as found:
        planned(root, Asked("stale"))
    assert "refresh" in (found.value.where or "")
    (root / "pyproject.toml").write_text('[tool.respool.rerecord]\nrefresh = "30d"\n')
    recorded(root, "test_a/test_it.json", 31)
    recorded(root, "test_b/test_it.json", 29)
    plan = planned(root, Asked("stale"))
    assert {name: each.reason for name, each in zip(files(plan), plan.units, strict=True)} == {
        "tests/test-c.py": plan.units[0].reason,
        "tests/test_a.py": "tests/cassettes/test_a/test_it.json: its oldest answer is 31 days old, and it is to be "
        "refreshed every 30 days",
    }
    assert plan.units[0].reason.startswith("never recorded: tests/cassettes/")
    (root / "tests" / "test_b.py").write_text(MARKED + MARKED.replace("test_it", "test_more").replace("import pytest", ""))
    for name, days in (("it", 40), ("more", 50)):
        recorded(root, f"test_b/test_{name}.json", days)
    told = dict(zip(files(planned(root, Asked("stale"))), planned(root, Asked("stale")).units, strict=True))
    assert "test_more.json: its oldest answer is 50 days old" in told["tests/test_b.py"].reason, "the oldest first"
    assert told["tests/test_b.py"].reason.endswith(" (and 1 more)")


def test_what_fits_nothing(root: Path) -> None:
    with pytest.raises(NothingMatches, match="there is no 'tests/test_gone"):
        planned(root, Asked("paths", ("tests/test_gone.py",)))
    (root / "docs").mkdir()
    with pytest.raises(NothingMatches, match="no test file in 'docs' names a cassette"):
        planned(root, Asked("paths", ("docs",)))
    (root / "pyproject.toml").write_text("")
    with pytest.raises(UsageError, match="no priority patterns are configured"):
        planned(root, Asked("priority"))
    for file in (root / "tests").glob("*.py"):
        file.write_text("")
    with pytest.raises(NothingMatches, match="no test file here names a cassette"):
        planned(root, Asked("all"))


def test_the_job_is_named_by_what_was_selected(root: Path) -> None:
    assert Asked("all").job == "rerecord --all"
    assert Asked("priority").job == "rerecord"
    assert Asked("paths", ("b", "a")).job == Asked("paths", ("a", "b")).job == "rerecord a b"
    assert Asked("failures", ("a",)).job == "rerecord --failures a"
    assert narrowed(Asked("paths", ("test_a.py", "../docs")), root / "tests", root).paths == ("tests/test_a.py", "docs")
