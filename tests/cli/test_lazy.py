"""Commands are imported when they are called, and a typing error gets a hint."""

from __future__ import annotations

import click
import pytest

from respool.cli.lazy import Lazy, LazyGroup

LOADED: list[str] = []


def load(name: str) -> click.Command:
    LOADED.append(name)
    return click.Command(name, callback=lambda: None)


GROUP = LazyGroup("g", lazy={name: Lazy(lambda name=name: load(name), f"Do {name}.") for name in ("alpha", "beta")})


@pytest.fixture(autouse=True)
def _nothing_loaded() -> None:
    LOADED.clear()


def test_help_imports_nothing() -> None:
    context = click.Context(GROUP)
    assert "Do alpha." in GROUP.get_help(context)
    assert GROUP.list_commands(context) == ["alpha", "beta"]
    assert LOADED == []


def test_only_the_called_one_is_loaded() -> None:
    GROUP.main(["beta"], standalone_mode=False)
    assert set(LOADED) == {"beta"}


def test_a_typing_error_names_the_closest() -> None:
    with pytest.raises(click.UsageError, match="did you mean 'alpha'"):
        GROUP.main(["alhpa"], standalone_mode=False)
    with pytest.raises(click.UsageError, match="there are alpha, beta"):
        GROUP.main(["zzz"], standalone_mode=False)
