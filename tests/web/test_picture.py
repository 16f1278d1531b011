"""Attempts as lanes, counts as bars."""

from __future__ import annotations

from respool.web.looking import Tried
from respool.web.picture import MOST_LANES, WIDTH, bar, lanes


def tried(start: int, end: int | None, key: str = "a", outcome: str = "done", number: int = 1) -> Tried:
    return Tried(key, number, start, end, outcome, None, None, None)


def test_nothing_is_no_picture() -> None:
    assert lanes([], 5) is None


def test_side_by_side_and_one_after_the_other() -> None:
    picture = lanes([tried(0, 10), tried(0, 5), tried(5, 10)], 10)
    assert picture is not None
    assert [(block.x, block.y, block.width) for block in picture.blocks] == [(0, 0, 1000), (0, 18, 500), (500, 18, 500)]
    assert (picture.lanes, picture.height) == (2, 32)


def test_what_runs_reaches_to_now() -> None:
    picture = lanes([tried(0, None, outcome="running"), tried(0, 4)], 8)
    assert picture is not None
    assert [block.width for block in picture.blocks] == [1000, 500]
    assert picture.end == 8


def test_what_was_handed_out_ahead_begins_when_a_worker_is_free() -> None:
    ahead = [tried(0, 10 * (n + 1), key=f"k{n}") for n in range(4)]
    picture = lanes(ahead, 40, workers=1)
    assert picture is not None
    assert picture.lanes == 1
    assert [(block.x, block.width) for block in picture.blocks] == [(250 * n, 250) for n in range(4)]


def test_the_picture_has_an_edge() -> None:
    many = lanes([tried(0, 100_000) for _ in range(MOST_LANES + 3)] + [tried(99_999, 100_000)], 100_000)
    assert many is not None
    assert (many.lanes, many.hidden) == (MOST_LANES, 4)
    short = lanes([tried(0, 100_000), tried(99_999, 100_000)], 100_000)
    assert short is not None
    assert all(block.x + block.width <= WIDTH for block in short.blocks)  # also what is too short to be seen


def test_a_bar_is_whole() -> None:
    parts = bar({"done": 1, "failed": 1, "interrupted": 1, "running": 0, "pending": 0})
    assert [part.state for part in parts] == ["done", "failed", "running"]
    assert abs(sum(part.width for part in parts) - 100) < 0.01
    assert bar({}) == []
