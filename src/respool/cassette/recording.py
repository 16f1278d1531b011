"""The façade of the cassette half: a cassette file in use, as a context manager, an async one, or a decorator."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from respool.cassette import clients, guard
from respool.cassette.deck import Closed, Deck, Throttle
from respool.cassette.library import Library, load_cassette
from respool.cassette.mapping.option_values import complaint
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Interaction, Mode, Request
from respool.cassette.open_decks import Opened
from respool.cassette.redaction import DEFAULT, Redaction, Rule
from respool.errors import CassetteError, CassetteMissing, CassetteRefused, RequestNotRecorded, UsageError

__tracebackhide__ = True  # an error is shown where a cassette was asked for

P = ParamSpec("P")
R = TypeVar("R")

STAGED = "RESPOOL_STAGING" in os.environ
"""Whether somebody re-records in this process (see staging.py)."""

VCR_MODES = {
    "none": Mode.REPLAY, "once": Mode.FILL, "new_episodes": Mode.FILL, "all": Mode.RERECORD, "rewrite": Mode.RERECORD,
}  # fmt: skip
"""vcrpy's words, as far as a word alone decides ("once" also asks whether the file is there)."""


class Figures(NamedTuple):
    """What one use of a cassette came to; `written` says whether its file changed."""

    name: str
    mode: str
    played: int
    recorded: int
    live: int
    misses: tuple[str, ...]
    unplayed: tuple[str, ...]
    cut: int
    unfinished: int
    written: bool


def figures_of(deck: Deck, closed: Closed, written: bool) -> Figures:
    """The figures of a deck, of what it left behind when it was closed."""
    return Figures(
        deck.name, deck.mode.value, closed.played, len(closed.fresh), closed.live,
        tuple(miss.message for miss in closed.misses),
        tuple([" ".join(deck.cassette.request(place)[:2]) for place in closed.unplayed]),
        closed.cut, closed.unfinished, written,
    )  # fmt: skip


DEFAULT_MATCHING = Matching()


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a cassette is played and what may be kept of it.

    `allow_status`: statuses ≥ 400 that may be on a tape, None for all of them. `unplayed` is "report" or "fail".
    `without` names default redaction rules that are switched off. `also` are cassettes that are only read, behind the
    first. `throttle` decides on waits around live requests.
    """

    mode: Mode = Mode.REPLAY
    matching: Matching = DEFAULT_MATCHING
    redact: tuple[Rule, ...] = ()
    without: tuple[str, ...] = ()
    allow_status: frozenset[int] | None = frozenset()
    keep_failures: bool = False
    repeats: bool = False
    unplayed: str = "report"
    also: tuple[Path, ...] = ()
    throttle: Throttle | None = None


class Recording:
    """One cassette file in use. `open` and `close` are for those who cannot use a `with` block.

    `load` reads files: that of a Shelf, for whoever uses the same ones again and again.

    >>> with Recording("tests/cassettes/oslo.json", Conditions(mode=Mode.BYPASS)) as deck:
    ...     deck.played
    0
    """

    def __init__(
        self, path: str | os.PathLike[str], conditions: Conditions | None = None, *, test: str = "", command: str = "",
        load: Callable[[Path], Cassette] = load_cassette,
    ) -> None:  # fmt: skip
        self.path = path if isinstance(path, Path) else Path(path)
        self.conditions = conditions or Conditions()
        if STAGED:
            self.path, self.conditions = _staged(self.path, self.conditions)
        self.test = test
        self.command = command
        self._load = load
        self._opened: Opened | None = None
        self._own: Cassette = Cassette()

    def open(self, *, everywhere: bool = False) -> Deck:
        """Load the file and open its deck; `everywhere` for a test runner (see open_decks.Opened).

        Raises CassetteUnreadable. A file that is not there is an empty tape: the first request then says so.
        """
        if self._opened is not None:
            raise UsageError(f"the cassette {str(self.path)!r} is open already", why="one recording is one use of its file")
        clients.install()
        guard.watch()
        given = self.conditions
        self._own = self._loaded(self.path) if given.mode is not Mode.RERECORD else Cassette()
        tape = self._own
        if given.also:
            behind = [interaction for path in given.also for interaction in self._load(path).interactions]
            tape = replace(tape, interactions=(*tape.interactions, *behind))
        self._redaction = redaction_here(given.redact, given.without)
        deck = Deck(
            tape, given.matching, self._redaction, given.mode, name=_shown(self.path), test=self.test,
            command=self.command, repeats=given.repeats, keep_failures=given.keep_failures, throttle=given.throttle,
        )  # fmt: skip
        self._opened = Opened(deck, everywhere=everywhere)
        return deck

    def end(self) -> Deck:
        """The deck is no longer open, and refuses what comes late. Nothing is written before `finish`."""
        if self._opened is None:
            raise UsageError(f"the cassette {str(self.path)!r} is not open")
        self._opened.end()
        self._opened.deck.closed = True
        return self._opened.deck

    def finish(self, *, failed: bool = False) -> Figures:
        """Write what was recorded, unless the test `failed`, after `end`.

        Raises CassetteRefused (a status that is not allowed), SecretFound, CassetteBusy: the file is then as before.
        """
        opened, self._opened = self._opened, None
        if opened is None:
            raise UsageError(f"the cassette {str(self.path)!r} is not open")
        deck = opened.deck
        closed = deck.close()
        written = bool(closed.fresh) and not failed
        if written:
            self._keep(deck, closed)
        return figures_of(deck, closed, written)

    def close(self, *, failed: bool = False) -> Figures:
        """`end` and `finish` in one."""
        self.end()
        return self.finish(failed=failed)

    def enter(self) -> None:
        """Make the open deck that of the current context; `leave` undoes it."""
        if self._opened is not None:
            self._opened.enter()

    def leave(self) -> None:
        """Undo `enter`."""
        if self._opened is not None:
            self._opened.leave()

    def _loaded(self, path: Path) -> Cassette:
        try:
            return self._load(path)
        except CassetteMissing:
            return Cassette()

    def _keep(self, deck: Deck, closed: Closed) -> None:
        from respool.cassette.cleaning import cleaned  # a replay never pays for these
        from respool.cassette.upkeep.recorded_from import dependencies

        _statuses_allowed(closed.fresh, self.conditions.allow_status, str(self.path))
        fresh = cleaned(closed.fresh, self._redaction, str(self.path))
        header = replace(
            self._own, at=self._own.at or fresh[0].at, test=self.test or self._own.test,
            matching=self.conditions.matching.described(), extra={**self._own.extra, **dependencies(self.path)},
        )  # fmt: skip
        # Custom matchers compare two requests; what they take for the same has no key of its own.
        key = None if self.conditions.matching.custom else self._key
        Library(self.path.parent).keep(self.path, header, fresh, afresh=deck.mode is Mode.RERECORD, key=key)

    def _key(self, request: Request) -> Hashable:
        return self.conditions.matching.key(self._redaction.request(request) or request)

    def __enter__(self) -> Deck:
        deck = self.open()
        self.enter()
        return deck

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        figures = self.close(failed=kind is not None)
        if kind is None:
            complain(figures, self.conditions.unplayed)

    async def __aenter__(self) -> Deck:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def again(self) -> Recording:
        """The same recording, not open: each call of a decorated function is a use of its own."""
        return type(self)(self.path, self.conditions, test=self.test, command=self.command, load=self._load)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, a coroutine function or a generator function."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self.again():
                    return await function(*args, **kwargs)

        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def recorded(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self.again():
                    return (yield from function(*args, **kwargs))

        else:

            @functools.wraps(function)
            def recorded(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self.again():
                    return function(*args, **kwargs)

        return cast("Callable[P, R]", recorded)


def use_cassette(
    path: str | os.PathLike[str], mode: str | Mode = Mode.REPLAY, *, match: Matching | None = None,
    redact: Iterable[Rule] = (), without: Iterable[str] = (), allow_status: Collection[int] | None = (),
    keep_failures: bool = False, repeats: bool = False, unplayed: str = "report",
    also: Sequence[str | os.PathLike[str]] = (), test: str = "", **matching: Any,
) -> Recording:  # fmt: skip
    """A cassette for a `with` block, an `async with` block, or as a decorator; the block gets the open Deck.

    `mode` is a Mode or its word ("replay", "fill", "rerecord", "bypass", or one of vcrpy's). Further keywords are
    fields of Matching (`ignore_query=["ts"]`, `ignore_json=["$.nonce"]`, …), or `match` is a whole one. What was
    recorded is written at the end, all of it or nothing: not after an exception, not with a status ≥ 400 outside
    `allow_status`, not with a secret in it. Raises UsageError, CassetteUnreadable, and at the end RequestNotRecorded if
    a request was missed and the error swallowed.

    >>> with use_cassette("cassettes/session.json", mode="bypass", ignore_query=["ts"]) as deck:
    ...     deck.live
    0
    """
    if match is not None and matching:
        raise UsageError(f"match= and {next(iter(matching))}= were both given", why="a Matching says all of it by itself")
    given = {"redact": redact, "without": without, "allow_status": allow_status, "keep_failures": keep_failures,
             "repeats": repeats, "unplayed": unplayed, **matching}  # fmt: skip
    for name, value in given.items():
        if (wrong := complaint(name, value)) is not None:
            raise UsageError(wrong)
    path = Path(path)
    conditions = Conditions(
        mode_named(mode, path), match or (Matching.of(matching) if matching else DEFAULT_MATCHING),
        tuple(redact), tuple(without),
        None if allow_status is None else frozenset(allow_status), keep_failures, repeats, unplayed,
        tuple(Path(one) for one in also),
    )  # fmt: skip
    return Recording(path, conditions, test=test)


def mode_named(word: str | Mode, path: Path) -> Mode:
    """The mode that a word means for the cassette at `path`. Raises UsageError.

    >>> mode_named("new_episodes", Path("a.json"))
    <Mode.FILL: 'fill'>
    """
    if isinstance(word, Mode):
        return word
    if word == "once":  # vcrpy: record while there is no file, then never again
        return Mode.REPLAY if path.exists() else Mode.FILL
    try:
        return VCR_MODES.get(word) or Mode(word)
    except ValueError:
        words = ", ".join(mode.value for mode in Mode)
        known = f"vcrpy's words are known too: {', '.join(VCR_MODES)}"
        raise UsageError(f"mode {word!r} is none of {words}", why=known) from None


def _staged(path: Path, given: Conditions) -> tuple[Path, Conditions]:
    from respool.cassette.staging import here

    used = here().instead(path, given.mode, given.allow_status)
    also = tuple(here().played_from(each) for each in given.also)
    return used.path, replace(given, mode=used.mode, allow_status=used.declared, also=also, throttle=used.throttle)


def complain(figures: Figures, unplayed: str) -> None:
    """Raise what a use of a cassette that ended well may not hide: a swallowed miss, unplayed interactions on request."""
    if figures.misses:
        why = f"the code under test swallowed this error ({len(figures.misses)} in all)"
        raise RequestNotRecorded(figures.misses[0], why=why)
    if unplayed == "fail" and figures.unplayed:
        raise CassetteError(
            f"{len(figures.unplayed)} recorded interaction(s) were not played: {'; '.join(figures.unplayed[:3])}",
            where=figures.name, why="unplayed='fail' was asked for",
            command="record the cassette again, or remove what is no longer asked for",
        )  # fmt: skip


def _shown(path: Path) -> str:
    """Relative where it is below the working folder, as people type it."""
    return str(path).removeprefix(os.path.join(os.getcwd(), ""))


def _statuses_allowed(fresh: Sequence[Interaction], allowed: frozenset[int] | None, where: str) -> None:
    if allowed is None:
        return
    for interaction in fresh:
        answer = interaction.response
        if not isinstance(answer, Failure) and answer.status >= 400 and answer.status not in allowed:
            raise CassetteRefused(
                f"{interaction.request.method} {interaction.request.url.partition('?')[0]} was answered with "
                f"{answer.status}: nothing of this recording is kept",
                where=where, why="an error page on a tape would be replayed for ever",
                command=f"record again, or say allow_status=[{answer.status}] if the test wants this answer",
            )  # fmt: skip


_IN_EVERY_TEST = "PYTEST_CURRENT_TEST"  # another one in every test, and no secret in any
_last: tuple[object, Redaction] | None = None  # what was given, and what was made of it


@functools.lru_cache(maxsize=64)
def _rules(rules: tuple[Rule, ...], without: tuple[str, ...], environ: tuple[tuple[str, str], ...]) -> Redaction:
    return Redaction((*DEFAULT, *rules), without=without, environ=dict(environ))


def redaction_here(rules: tuple[Rule, ...] = (), without: tuple[str, ...] = ()) -> Redaction:
    """Made anew only when the rules or the environment changed: its patterns are compiled once."""
    global _last
    # Walking through os.environ decodes every value; what it stands on can be compared as it is.
    environ: dict[Any, Any] = dict(getattr(os.environ, "_data", None) or os.environ)
    environ.pop(_IN_EVERY_TEST, None)
    environ.pop(_IN_EVERY_TEST.encode(), None)
    if _last is None or _last[0] != (rules, without, environ):
        told = tuple(pair for pair in os.environ.items() if pair[0] != _IN_EVERY_TEST)
        _last = (rules, without, environ), _rules(rules, without, told)
    return _last[1].fresh()
