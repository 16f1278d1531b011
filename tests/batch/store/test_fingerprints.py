"""The items by fingerprint: entered at the seal, right after whatever happens to the items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respool.batch.spool import Spool
from respool.batch.store.pruning import prune_spool
from respool.batch.tasks import task
from respool.errors import UsageError

MANY = 12_000  # several blocks


@task(mode="thread")
def echo(payload: Any) -> Any:
    return payload


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool.db") as spool:
        yield spool


def entered(spool: Spool) -> list[tuple[str, int]]:
    return spool.database().connection.execute("SELECT * FROM fingerprints").fetchall()


def expected(spool: Spool) -> list[tuple[str, int]]:
    return spool.database().connection.execute("SELECT fingerprint, id FROM items ORDER BY 1, 2").fetchall()


def test_a_seal_enters_what_is_new_and_what_changed(spool: Spool) -> None:
    spool.submit(echo, {f"k{n}": n for n in range(100)}, name="one")
    spool.submit(echo, {f"k{n}": n for n in range(50, 150)}, name="two")
    assert len(entered(spool)) == 200
    assert entered(spool) == expected(spool)
    spool.submit(echo, {"new": 1, **{f"k{n}": n // 2 for n in range(100)}}, name="one")
    assert len(entered(spool)) == 201
    assert entered(spool) == expected(spool)


def test_a_submission_that_broke_off_is_entered_by_the_next(spool: Spool) -> None:
    rows = [(f"k{n}", n) for n in range(MANY)]
    with pytest.raises(UsageError):
        spool.submit(echo, [*rows, ("k0", 0)], name="one")
    assert 0 < len(expected(spool)) < MANY + 1
    assert entered(spool) == []
    spool.submit(echo, rows, name="one")
    assert len(entered(spool)) == MANY
    assert entered(spool) == expected(spool)


def test_nothing_is_left_of_items_that_are_deleted(spool: Spool) -> None:
    spool.submit(echo, {"a": 1}, name="one").run()
    spool.submit(echo, {"b": 2}, name="two")
    prune_spool(spool.database(), 1 << 60)
    assert entered(spool) == expected(spool)
    assert len(entered(spool)) == 1


def test_equal_work_is_found_by_it(spool: Spool) -> None:
    spool.submit(echo, {"a": 1}, name="one").run()
    spool.submit(echo, {"b": 1, "c": 2}, name="two").run()
    states = dict(spool.database().connection.execute("SELECT key, state FROM items").fetchall())
    assert states == {"a": "done", "b": "cached", "c": "done"}
