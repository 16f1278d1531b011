"""How a marked test comes by its fixture."""

from __future__ import annotations

import pytest

SCOPES = {"function": "cassette", "class": "class_cassette", "module": "module_cassette", "session": "session_cassette"}
"""A mark's scope → the fixture that opens its cassette."""


def use(item: pytest.Item, fixture: str) -> None:
    """Let a test use a fixture as if it had asked for it.

    Before its own function-scoped fixtures, behind those of wider scopes: these outlive one test's cassette.
    """
    if isinstance(item, pytest.Function) and fixture not in item.fixturenames:
        place = 0 if fixture in tuple(SCOPES.values())[1:] else _place(item)
        # A list of its own: pytest gives all parameters of a test the same one, and only some of them may be marked.
        item.fixturenames = [*item.fixturenames[:place], fixture, *item.fixturenames[place:]]


def _place(item: pytest.Function) -> int:
    definitions = item._fixtureinfo.name2fixturedefs
    for place, fixture in enumerate(item.fixturenames):
        found = definitions.get(fixture)
        if found is None or found[-1].scope == "function":
            return place
    return len(item.fixturenames)
