"""Counted nouns, and guesses at what was meant."""

from __future__ import annotations

import pytest

from respool.phrases import counted, meant

COMMANDS = ["list", "show", "items", "events", "retry", "cancel", "watch", "prune"]


@pytest.mark.parametrize(
    ("number", "noun", "plural", "said"),
    [(0, "item", None, "0 items"), (1, "item", None, "1 item"), (2, "item", None, "2 items"),
     (1, "process", "processes", "1 process"), (3, "process", "processes", "3 processes")],
)  # fmt: skip
def test_nouns(number: int, noun: str, plural: str | None, said: str) -> None:
    assert counted(number, noun, plural) == said


@pytest.mark.parametrize(
    ("word", "guess"),
    [("lst", ["list"]), ("shw", ["show"]), ("item", ["items"]), ("ITEMS", ["items"]), ("evnets", ["events"]),
     ("cancle", ["cancel"]), ("wtach", ["watch"]), ("ls", []), ("status", []), ("log", []), ("delete", []),
     ("start", []), ("", [])],
)  # fmt: skip
def test_guesses_are_made_only_of_what_is_close(word: str, guess: list[str]) -> None:
    assert meant(word, COMMANDS) == guess


def test_two_that_are_equally_close_are_both_named() -> None:
    assert meant("workerz", ["workers", "workera", "spool"]) == ["workers", "workera"]
    assert meant("any", []) == []
