"""Who else needs what is on a cassette: a new recording that lacks it does not take the place of the old one.

Its unit holds all tests that are known to play it. But some of them may have been skipped this time, and tests of other
files may have been seen to play it; what these need, nobody has asked the service for.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respool.cassette.drift import rule_of
from respool.cassette.library import Library
from respool.cassette.mapping import observed
from respool.cassette.mapping.scan import scan
from respool.cassette.model import Cassette
from respool.clock import SYSTEM
from respool.rerecord.changes import present
from respool.rerecord.settings import Settings


def standing(
    settings: Settings, files: Sequence[str], facts: Mapping[str, Any], found: Mapping[str, Cassette]
) -> dict[str, str]:
    """The cassettes of those `found` on the new tapes that must stay as they are → why, in words.

    `files` are those of the unit, `facts` what its recording run told: "idle" the cassettes of tests that did not pass, as
    far as their marks say, "idle_tests" all tests that were collected and did not pass.
    """
    library = Library(settings.root)
    shared = {name: f"shared with tests that did not run: {', '.join(tests[:3])}" for name, tests in facts["idle"].items()}
    stay = {name: shared[name] for name in found if name in shared}
    losing = {}
    for name, tape in found.items():
        if name in stay:
            continue
        old = present(library, library.path(name))
        if old is not None and (lost := lost_places(old, tape)):
            losing[name] = {place: _asked(old, place) for place in lost}
    if not losing:
        return stay  # the rule: then nobody needs to know who plays what
    claims = _Claims(settings, files, facts["idle_tests"])
    told = ((name, claims.reason(settings.root / name, lost)) for name, lost in losing.items())
    return stay | {name: reason for name, reason in told if reason is not None}


def lost_places(old: Cassette, new: Cassette) -> list[int]:
    """The interactions of `old` whose requests `new` has no answer for, by the rule of the new one.

    >>> from respool.cassette.model import Interaction, Request, Response
    >>> one, two = (Interaction(Request("GET", f"http://a/{name}"), Response(200)) for name in "xy")
    >>> lost_places(Cassette((one, two, two)), Cassette((two, one)))
    [2]
    """
    rule = rule_of(new)
    left = Counter(rule.key(each.request) for each in new.interactions)
    lost = []
    for place, each in enumerate(old.interactions):
        key = rule.key(each.request)
        if left[key]:
            left[key] -= 1
        else:
            lost.append(place)
    return lost


def remember(settings: Settings, uses: Mapping[str, Iterable[str]]) -> None:
    """Write down which test recorded which cassette (path below the root → tests), as any other run of theirs would.

    Raises OSError. What of a cassette was played is not told: a recording run plays what it has just asked for.
    """
    notes = [
        observed.Note(os.path.join(settings.root, path), test, f"{test} (call)", 0, ())
        for path, tests in uses.items() for test in tests if test
    ]  # fmt: skip
    now = SYSTEM.now()
    run = observed.Session(settings.root, f"{os.getpid()}-{now}", frozenset(), whole=False, full=False)
    observed.write(Library(settings.root).state, run, notes, now)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A test that needs the cassette: `missed` are the lost interactions that it may play, `seen` says if it was seen to."""

    test: str
    where: str
    missed: frozenset[int]
    seen: bool


class _Claims:
    """What is known of the tests that did not run, and of those in other files."""

    def __init__(self, settings: Settings, files: Sequence[str], idle: Collection[str]) -> None:
        self._root, self._files, self._idle = settings.root, frozenset(files), idle
        self._map = scan(
            settings.root, [Path(file) for file in files], folder=settings.folder, test_files=settings.test_files,
            observed=observed.read(settings.root / ".respool", settings.root),
        )  # fmt: skip
        self._seen = self._map.seen

    def reason(self, path: Path, lost: Mapping[int, str]) -> str | None:
        """Why the cassette at `path` stays, None if nobody needs what is `lost` (place → request)."""
        claims = [claim for claim in (*self._inside(path, lost), *self._outside(path, lost)) if claim.missed]
        if not claims:
            return None
        first = min(claims, key=lambda claim: (not claim.seen, claim.test))
        request = lost[min(first.missed)]
        plays = "plays" if first.seen else "may play"
        others = {claim.test for claim in claims} - {first.test}
        more = f" (and {len(others)} more)" if others else ""
        return f"{first.test}{more}, which {first.where}, {plays} {request}, and the new recording has no answer for that"

    def _inside(self, path: Path, lost: Collection[int]) -> Iterator[_Claim]:
        owners = {*self._map.claims.get(path, ()), *(test for test in ("",) if self._uses(test, path))}
        for test in self._idle:
            if any(_speaks_for(owner, test) for owner in owners):
                yield self._claim(test, "did not run", path, lost)

    def _outside(self, path: Path, lost: Collection[int]) -> Iterator[_Claim]:
        for test in self._seen.tests:
            file = test.partition("::")[0]
            if file and file not in self._files and self._uses(test, path) and self._is_there(test):
                yield self._claim(test, "is recorded in another unit", path, lost)

    def _claim(self, test: str, where: str, path: Path, lost: Collection[int]) -> _Claim:
        uses = self._uses(test, path)
        now = observed.stamp(path)
        idle = [use.unplayed for use in uses if use.unplayed is not None and use.stamp == now]
        known = frozenset.intersection(*idle) if idle and len(idle) == len(uses) else frozenset()
        return _Claim(test, where, frozenset(lost) - known, bool(uses))

    def _uses(self, test: str, path: Path) -> list[observed.Opened]:
        return [use for use in self._seen.tests.get(test, ()) if use.cassette == path]

    def _is_there(self, test: str) -> bool:
        """Whether a test of another file is still there, as far as can be told without running it."""
        file, *_, name = test.partition("[")[0].split("::")
        try:
            return name.encode() in (self._root / file).read_bytes()
        except OSError:
            return False


def _speaks_for(owner: str, test: str) -> bool:
    """Whether what is known of `owner` (a test, a test without its parameters, a class, a file, "" for a run) is of `test`.

    >>> _speaks_for("a.py::test_x", "a.py::test_x[1]"), _speaks_for("a.py", "a.py::test_x"), _speaks_for("a", "a.py::test_x")
    (True, True, False)
    """
    return owner in ("", test) or test.startswith((f"{owner}[", f"{owner}::"))


def _asked(cassette: Cassette, place: int) -> str:
    request = cassette.interactions[place].request
    return f"{request.method} {request.url.partition('?')[0]}"
