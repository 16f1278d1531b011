"""Which deck is open here: through the context first, so that two tasks or threads never mix.

A thread that inherited no context finds the innermost open deck, but only if all open decks form one nested chain:
where two stand side by side nobody can know which one is meant.
"""

from __future__ import annotations

import os
from contextvars import ContextVar, Token

from respool.cassette.deck import Deck
from respool.cassette.mapping import observed
from respool.errors import CassetteError

_here: ContextVar[Deck | None] = ContextVar("respool_deck", default=None)
_open: list[Opened] = []  # in the order of opening


class Opened:
    """A deck's time of being open, from the making of this object to `end`.

    `everywhere` is for whoever runs one thing at a time in the whole process (a test runner): a deck opened elsewhere
    stands inside it, not beside it. `enter` makes the deck that of the current context, `leave` undoes that; threads
    and event loops of another context find it without.
    """

    __slots__ = ("_by", "_token", "deck", "everywhere", "outer")

    def __init__(self, deck: Deck, *, everywhere: bool = False) -> None:
        self.deck = deck
        self.everywhere = everywhere
        self._token: Token[Deck | None] | None = None
        here = _here.get()
        if here is None or here.closed:
            here = next((opened.deck for opened in reversed(_open) if opened.everywhere), None)
        self.outer = here
        self._by = os.environ.get("PYTEST_CURRENT_TEST", "")
        _open.append(self)

    def enter(self) -> None:
        """Make this the deck of the current context, and of tasks and contexts that will be copied from it."""
        self._token = _here.set(self.deck)

    def leave(self) -> None:
        """Undo `enter`, also where the block ended in another context than it began in (an async fixture does)."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _here.reset(token)
        except ValueError:
            if _here.get() is self.deck:
                _here.set(self.outer)

    def end(self) -> None:
        """The deck is no longer open."""
        self.leave()
        if self in _open:
            _open.remove(self)
            observed.note(self.deck, self._by)


def current() -> Deck | None:
    """The deck that a request made here belongs to, or None. Raises CassetteError where nobody can know."""
    deck = _here.get()
    if deck is not None:
        return deck
    if not _open:
        return None
    if len(_open) == 1 or _nested():
        return _open[-1].deck
    names = " and ".join(repr(opened.deck.name or opened.deck.test or "unnamed") for opened in _open)
    raise CassetteError(
        f"a request was made in a thread that belongs to none of the open cassettes {names}",
        why="a thread sees the cassette of the context that it was started with; this one was started with none",
        command="start the thread with contextvars.copy_context().run(...), or open one cassette at a time",
    )


def outermost_first() -> tuple[Deck, ...]:
    """Every open deck, in the order of opening."""
    return tuple(opened.deck for opened in _open)


def _nested() -> bool:
    return all(opened.outer is _open[place].deck for place, opened in enumerate(_open[1:]))
