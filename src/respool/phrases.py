"""The words that every part says to people in the same way: counted nouns, and what somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun; a `plural` that is more than the noun with an s is given in full.

    >>> counted(1, "item"), counted(3, "item"), counted(2, "process", "processes"), counted(1, "item is", "items are")
    ('1 item', '3 items', '2 processes', '1 item is')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    r"""`text` with each character that would steer a terminal, or hide in a page, shown as U+FFFD.

    >>> printable("one\x1b[31m") == "one\ufffd[31m"
    True
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def meant(word: str, known: Iterable[str]) -> list[str]:
    """Those of `known` that `word` is so close to that it is a slip of the keyboard; most often none or one.

    >>> meant("wrokers", ["workers", "spool"]), meant("rnu", ["run", "next"]), meant("status", ["list", "cancel"])
    (['workers'], ['run'], [])
    """
    from difflib import SequenceMatcher  # only needed when something has gone wrong

    given = word.casefold()
    shares = {
        each: 1.0 if sorted(given) == sorted(each.casefold()) else SequenceMatcher(None, given, each.casefold()).ratio()
        for each in known
    }
    best = max(shares.values(), default=0.0)
    return [each for each, share in shares.items() if share == best and share >= 0.75]
