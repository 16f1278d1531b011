"""Methods of clients' classes, replaced once and marked as ours, so that nothing is ever wrapped twice.

A class can come by again: its module is reloaded, or stands in sys.modules under a second name. What is found marked
is replaced from its original, not wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

Method = Callable[..., Any]

_MARK = "respool_original"  # on the function that stands in the class: the client's own
_patched: list[tuple[type, str]] = []


def replace(owner: type, name: str, make: Callable[[Method], Method]) -> None:
    """Put `make(original)` in the place of the method `name` of the class `owner`.

    Raises KeyError if the class itself defines no such method: the client is not shaped as we know it.
    """
    found: Method = vars(owner)[name]
    original: Method = getattr(found, _MARK, found)
    ours = make(original)
    update_wrapper(ours, original)
    setattr(ours, _MARK, original)
    setattr(owner, name, ours)
    if (owner, name) not in _patched:
        _patched.append((owner, name))


def restore_all() -> None:
    """Put back every original that still stands under our mark."""
    while _patched:
        owner, name = _patched.pop()
        found = vars(owner).get(name)
        if (original := getattr(found, _MARK, None)) is not None:
            setattr(owner, name, original)
