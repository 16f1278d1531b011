"""Cassettes inside tests that are written with a mocking library: what its mocks do not match, the open cassette answers.

A library that refuses a request while a cassette is open, and was not told to let it through, is named by a warning.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from respool.cassette.open_decks import outermost_first
from respool.errors import UsageError

HOSTS = ("aioresponses", "requests_mock", "responses", "respx")
"""The libraries, by the name of their package; each has a file here with a function `let_through(host)`."""


def play_inside(host: Any) -> AbstractContextManager[None]:
    """Let the open cassette answer what no mock of `host` matches, for the time of a `with` block; explicit mocks win.

    `host` is an active mock of responses (the module, or a RequestsMock), requests_mock (a Mocker, or its fixture),
    respx (the module, or a router) or aioresponses. When the cassette is recorded, unmatched requests go to the network.
    Raises UsageError for anything else.

    >>> import responses
    >>> with responses.RequestsMock() as mock, play_inside(mock):
    ...     pass
    """
    name = getattr(host, "__name__", None) if isinstance(host, type(warnings)) else type(host).__module__
    package = str(name).partition(".")[0]
    if package not in HOSTS:
        raise UsageError(
            f"a cassette cannot be played inside {host!r}", why=f"these libraries are known: {', '.join(HOSTS)}",
            command="give an active mock of one of them, as in: with play_inside(responses): ...",
        )  # fmt: skip
    entered: AbstractContextManager[None] = import_module(f"{__name__}.{package}").let_through(host)
    return entered


def refused(package: str, what: str, given: str) -> None:
    """Warn that `package` did not let a request (`what`) through to the cassette that is open, if one is."""
    open_here = [deck for deck in outermost_first() if not deck.closed]
    if open_here:
        warnings.warn(
            f"{package} answers before the cassette {open_here[-1].name or open_here[-1].test!r}, and refused {what}; to let "
            f"the cassette answer what no mock matches: with respool.cassette.hosts.play_inside({given}): ...",
            RuntimeWarning,
            stacklevel=3,
        )
