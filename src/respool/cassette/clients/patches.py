"""Methods of clients' classes, replaced once and marked as ours, so that nothing is ever wrapped twice.

A class can come by again: its module is reloaded, or stands in sys.modules under a second name. What is found marked
is replaced from its original, not wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import ModuleType
from typing import Any

Method = Callable[..., Any]

_MARK = "respool_original"  # on the function that stands in the class: the client's own
_patched: dict[tuple[type | ModuleType, str], bool] = {}  # → whether the class had the method from a base


def replace(owner: type | ModuleType, name: str, make: Callable[[Method], Method]) -> None:
    """Put `make(original)` in the place of the method `name` of the class (the function of the module) `owner`.

    Raises AttributeError if there is no such method: the client is not shaped as we know it.
    """
    found: Method = getattr(owner, name)
    original: Method = getattr(found, _MARK, found)
    ours = make(original)
    if not isinstance(ours, type):
        update_wrapper(ours, original)
    setattr(ours, _MARK, original)
    _patched.setdefault((owner, name), name not in vars(owner))
    setattr(owner, name, ours)


def is_ours(owner: type | ModuleType, name: str) -> bool:
    """Whether what stands at `name` of `owner` itself was put there by `replace`."""
    return hasattr(vars(owner).get(name), _MARK)


def restore_all() -> None:
    """Put back every original that still stands under our mark."""
    while _patched:
        (owner, name), inherited = _patched.popitem()
        original = getattr(vars(owner).get(name), _MARK, None)
        if original is not None and inherited:
            delattr(owner, name)
        elif original is not None:
            setattr(owner, name, original)
