"""Which test files are re-recorded, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from respool.errors import UsageError
from respool.rerecord.settings import TABLE

_OF_A_REGEX = re.compile(r"^\^|\$$|[()|\\+]|\.\*|\.\?")


def matches(pattern: str, file: str) -> bool:
    """Whether the base name of `file` fits `pattern`: a glob over the whole name (with or without its suffix), or, where
    it has no *, ? or [ of a glob or begins with ^, ends with $ or holds ( ) | + \\ or .*, a regular expression.

    >>> matches("^test-ct_chemical", "tests/test-ct_chemical-more.py"), matches("test_a*", "tests/test_ab.py")
    (True, True)
    >>> matches("test_a", "tests/test_ab.py"), matches("test_a.py", "tests/test_ab.py"), matches("test_?", "t/test_ab.py")
    (True, False, False)

    Raises UsageError for a pattern that is no regular expression.
    """
    name = PurePosixPath(file)
    if not _OF_A_REGEX.search(pattern) and re.search(r"[*?\[]", pattern):
        return fnmatchcase(name.name, pattern) or fnmatchcase(name.stem, pattern)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"the pattern {pattern!r} cannot be read: {error}", where=f"priority in {TABLE}") from None
    return any(expression.search(each) is not None for each in (name.name, name.stem))


def by_priority(files: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """`files` that fit a pattern, in the order of the patterns, then of their names; each once."""
    ordered = sorted(files)
    return list(dict.fromkeys(file for pattern in patterns for file in ordered if matches(pattern, file)))


def prioritised(files: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """All `files`: first those that fit a pattern, then the others by name."""
    every = sorted(files)
    return list(dict.fromkeys([*by_priority(every, patterns), *every]))


def below(files: Iterable[str], paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The `files` that `paths` (files or folders, relative to the root) name, in the order of the paths; and the paths that
    name none."""
    ordered, found, idle = sorted(files), dict[str, None](), []
    for path in paths:
        plain = path.rstrip("/") or path
        here = [file for file in ordered if plain in (".", file) or file.startswith(f"{plain}/")]
        found |= dict.fromkeys(here)
        if not here:
            idle.append(path)
    return list(found), idle


def no_patterns() -> UsageError:
    """The error of a selection by priority where nothing has any."""
    return UsageError(
        "no priority patterns are configured, so it is not said which test files to record", where=f"priority in {TABLE}",
        why="without a path or an option, the files that matter most are recorded",
        command='respool rerecord --all, or set priority = ["^test_search", "test_login*"]',
    )  # fmt: skip


