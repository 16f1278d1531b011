"""What must be right before anything is recorded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respool.errors import UsageError
from respool.rerecord.preflight import check, is_placeholder, key_prints, run_probe
from respool.rerecord.settings import Settings


def settings(root: Path, **given: object) -> Settings:
    return Settings(root, **{"tests": (".",), **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [
    "", " ", "xxx", "XXXX", "changeme", "change-me", "your-api-key", "YOUR_KEY", "<key>", "${API_KEY}", "{{ key }}", "todo",
    "TBD", "placeholder", "redacted", "none", "secret", "sk-xxxx", "sk-...", "***", "insert-key-here", "my_key", "dummy",
])  # fmt: skip
def test_a_placeholder_is_no_key(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["k9f3c71e55d0a2b8", "sk-9fA2b7c1dxxx", "AIzaSyTestxxx1", "9", "tester1", "todo-77f"])
def test_a_key_is_none(value: str) -> None:
    assert not is_placeholder(value)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    wanted = settings(tmp_path, require_env=("KEY", "OTHER", "GOOD"), tests=("nowhere",))
    environ = {"OTHER": "your-key", "GOOD": "k9f3c71e55d0a2b8"}
    with pytest.raises(UsageError) as found:
        check(wanted, tmp_path / ".respool" / "spool.db", environ)
    told = str(found.value)
    assert "the environment variable KEY is not set" in told
    assert "also:  the environment variable OTHER holds a placeholder" in told
    assert "also:  the test folder 'nowhere' is not there" in told
    assert "GOOD" not in told
    assert "export KEY=..." in told
    check(settings(tmp_path), tmp_path / ".respool" / "spool.db", {})
    assert not (tmp_path / ".respool").exists(), "nothing is written"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_spool_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    place = tmp_path / "closed"
    place.mkdir(mode=0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        check(settings(tmp_path), place / "deep" / "spool.db", {})


def test_a_key_is_known_by_a_fingerprint_that_only_this_spool_can_compare(tmp_path: Path) -> None:
    wanted = settings(tmp_path, require_env=("KEY",))
    one, again = (key_prints(wanted, "spool-1", {"KEY": "abc"}) for _ in range(2))
    assert one == again
    assert one != key_prints(wanted, "spool-2", {"KEY": "abc"})
    assert one != key_prints(wanted, "spool-1", {"KEY": "abd"})
    assert "abc" not in str(one)


def test_the_probe_decides(tmp_path: Path) -> None:
    run_probe(settings(tmp_path))
    run_probe(settings(tmp_path, probe=("true",)))
    with pytest.raises(UsageError, match="the probe ended with exit code 3: no money") as found:
        run_probe(settings(tmp_path, probe=("sh", "-c", "echo one; echo no money; exit 3")))
    assert "one" in (found.value.why or "")
    with pytest.raises(UsageError, match="the probe failed: it cannot be started"):
        run_probe(settings(tmp_path, probe=("no-such-program-at-all",)))
