"""Which tests are marked, and how a marked one comes by its fixture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeGuard

import pytest

SCOPES = {"function": "cassette", "class": "class_cassette", "module": "module_cassette", "session": "session_cassette"}
"""A mark's scope → the fixture that opens its cassette."""


_WIDER = frozenset(SCOPES.values()) - {SCOPES["function"]}


def marked(items: Iterable[pytest.Item], name: str) -> Iterator[pytest.Item]:
    """The tests with a mark of that name, of their own or of their class, module or package.

    What stands above the tests is asked once for all of them: this is done for every test of every run.
    """
    above: dict[pytest.Item | pytest.Collector | None, bool] = {}
    for item in items:
        inherited = above.get(item.parent)
        if inherited is None:
            inherited = item.parent is not None and item.parent.get_closest_marker(name) is not None
            above[item.parent] = inherited
        if inherited or name in [mark.name for mark in item.own_markers]:
            yield item


def use(item: pytest.Item, fixture: str) -> None:
    """Let a test use a fixture as if it had asked for it.

    Before its own function-scoped fixtures, behind those of wider scopes: these outlive one test's cassette.
    """
    if asks_for_none(item, fixture):
        place = 0 if fixture in _WIDER else _place(item)
        # A list of its own: pytest gives all parameters of a test the same one, and only some of them may be marked.
        item.fixturenames = [*item.fixturenames[:place], fixture, *item.fixturenames[place:]]


def asks_for_none(item: pytest.Item, fixture: str) -> TypeGuard[pytest.Function]:
    """Whether a test can use fixtures, and neither it nor one of its fixtures names this one."""
    return isinstance(item, pytest.Function) and fixture not in item.fixturenames


def is_overridden(item: pytest.Item, fixture: str) -> bool:
    """Whether more than one fixture of this name can be seen from the place of a test."""
    found = item.session._fixturemanager.getfixturedefs(fixture, item)
    return found is not None and len(found) > 1


def _place(item: pytest.Function) -> int:
    definitions = item._fixtureinfo.name2fixturedefs
    for place, fixture in enumerate(item.fixturenames):
        found = definitions.get(fixture)
        if found is None or found[-1].scope == "function":
            return place
    return len(item.fixturenames)
