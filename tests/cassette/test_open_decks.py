"""The deck of a context: tasks and threads never mix, and where nobody can know, nobody guesses."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from respool.cassette.deck import Deck
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Mode
from respool.cassette.open_decks import Opened, current, outermost_first
from respool.cassette.redaction import Redaction
from respool.errors import CassetteError

T = TypeVar("T")


@contextmanager
def opened(name: str, **given: Any) -> Iterator[Deck]:
    made = Opened(Deck(Cassette(), Matching(), Redaction(), Mode.REPLAY, name=name), **given)
    made.enter()
    try:
        yield made.deck
    finally:
        made.end()
        made.deck.close()


def in_thread(function: Callable[[], T]) -> T:
    """What `function` returns in a thread that inherits no context; its exception comes back too."""
    told: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            told.append(function())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    if failed:
        raise failed[0]
    return told[0]


def test_no_deck() -> None:
    assert current() is None
    assert outermost_first() == ()


def test_the_innermost_of_nested_decks() -> None:
    with opened("outer") as outer:
        with opened("inner") as inner:
            assert current() is inner
            assert outermost_first() == (outer, inner)
        assert current() is outer
    assert current() is None


def test_a_thread_without_context_finds_the_innermost_of_a_chain() -> None:
    with opened("outer") as outer:
        assert in_thread(current) is outer
        with opened("inner") as inner:
            assert in_thread(current) is inner


def test_two_side_by_side_are_refused_to_a_thread_that_belongs_to_neither() -> None:
    ready, done = threading.Barrier(3), threading.Event()
    found: dict[str, Deck | None] = {}

    def play(name: str) -> None:
        with opened(name):
            ready.wait(10)
            found[name] = current()
            done.wait(10)

    threads = [threading.Thread(target=play, args=(name,)) for name in ("one.json", "two.json")]
    for thread in threads:
        thread.start()
    ready.wait(10)
    try:
        with pytest.raises(CassetteError, match=r"'one.json'|'two.json'") as caught:
            in_thread(current)
        assert {"one.json", "two.json"} <= set(str(caught.value).replace("'", " ").split())
        # A context of its own may be given to the thread.
        with opened("three.json") as mine:
            context = contextvars.copy_context()
            assert in_thread(lambda: context.run(current)) is mine
    finally:
        done.set()
        for thread in threads:
            thread.join(10)
    assert {name: deck and deck.name for name, deck in found.items()} == {"one.json": "one.json", "two.json": "two.json"}


def test_two_tasks_have_a_deck_each() -> None:
    async def play(name: str, gate: asyncio.Barrier) -> tuple[str, str]:
        with opened(name):
            await gate.wait()
            here = current()
            child = await asyncio.create_task(asked())
            return here.name if here else "", child

    async def asked() -> str:
        await asyncio.sleep(0)
        deck = current()
        return deck.name if deck else ""

    async def both() -> list[tuple[str, str]]:
        gate = asyncio.Barrier(2)
        return await asyncio.gather(play("one", gate), play("two", gate))

    assert asyncio.run(both()) == [("one", "one"), ("two", "two")]
    assert current() is None


def test_a_deck_opened_everywhere_is_around_those_of_other_contexts() -> None:
    """A test runner's deck, and one that the test opens in a thread: nested, though no context says so."""
    with opened("test", everywhere=True) as outer:
        ready, done = threading.Event(), threading.Event()

        def play() -> None:
            with opened("block"):
                ready.set()
                done.wait(10)

        thread = threading.Thread(target=play)
        thread.start()
        ready.wait(10)
        try:
            assert in_thread(lambda: (current() or outer).name) == "block"
            assert current() is outer
        finally:
            done.set()
            thread.join(10)


def test_a_context_that_outlives_its_deck_keeps_it() -> None:
    """What a test left behind is refused by its own closed deck, and does not play another's."""
    with opened("first") as first:
        left_behind = contextvars.copy_context()
    with opened("second"):
        assert left_behind.run(current) is first
    assert first.closed


def test_a_block_that_ends_in_another_context_leaves_both_in_order() -> None:
    """An asynchronous fixture is set up and torn down in two tasks."""
    with opened("outer") as outer:
        made = Opened(Deck(Cassette(), Matching(), Redaction(), Mode.REPLAY, name="inner"))
        elsewhere = contextvars.copy_context()
        elsewhere.run(made.enter)
        assert elsewhere.run(current) is made.deck
        copied = elsewhere.run(contextvars.copy_context)
        copied.run(made.end)
        assert copied.run(current) is outer
        assert outermost_first() == (outer,)
    made.end()
    assert outermost_first() == ()
