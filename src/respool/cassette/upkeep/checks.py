"""The health of a library of cassettes: one pass over all of them, and what was seen, as Findings.

Nothing is changed here; fixes.py carries the fixes out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from respool.canonical import digest
from respool.cassette import leaks
from respool.cassette.cleaning import cleaned
from respool.cassette.leaks import Leak
from respool.cassette.library import Library
from respool.cassette.mapping import observed
from respool.cassette.mapping.scan import TEST_FILES, TestMap, scan
from respool.cassette.model import Cassette, Failure, Interaction
from respool.cassette.redaction import DEFAULT, Redaction
from respool.cassette.redaction.rules import Env, Form, Header, Json, Query, Rule
from respool.cassette.upkeep.age import Version, lacks_origin, reason_of, recorded_at
from respool.cassette.upkeep.settings import UpkeepSettings
from respool.errors import CassetteError, SecretFound
from respool.findings import Finding, Fix, Severity
from respool.phrases import counted

CHECKS = ("unreadable", "leaks", "statuses", "stale", "orphans", "missing", "unused")
"""What is looked at; each may be asked for alone."""

_OF_TESTS = {"statuses", "orphans", "missing", "unused"}  # these need to know the tests
_KINDS: dict[str, Callable[[str], Rule]] = {
    "redact_headers": Header, "redact_query": Query, "redact_form": Form, "redact_json": Json, "redact_env": Env,
}  # fmt: skip

_DECODE = "install the decoders (pip install 'respool[decode]') and look again, or record it again"
_REDACT = "respool cassettes check --fix --only leaks {} redacts it"
_NO_RULE = "no rule knows this place: add one (redact_json, redact_headers ... in [tool.respool.cassettes]), then check --fix"
_REVOKE = "; what was pushed or shared is to be revoked, too"

Second = Callable[[Cassette], Iterable[Leak]]
"""A second opinion on the leaks of a cassette."""


@dataclass(frozen=True, slots=True)
class Spotted(Finding):
    """A finding about a cassette: `path` is its file (below the root, with /), `key` tells it from others there."""

    path: str = ""
    key: str = ""

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stay the same as long as the finding does."""
        return digest(self.code, self.path, self.key)[:16]


@dataclass(frozen=True)
class Order:
    """What a check is to look at. `paths` (absolute) narrow it down to cassettes and tests in them; empty: everything.

    `now` is in UTC microseconds, `environ` holds the values that must not be found, `version` runs the declared
    commands (None: they are not run), `second` is asked about leaks, too.
    """

    settings: UpkeepSettings
    now: int
    paths: Sequence[Path] = ()
    checks: Collection[str] = CHECKS
    environ: Mapping[str, str] = field(default_factory=dict)
    version: Version | None = None
    second: Second | None = None

    def meant(self, path: Path) -> bool:
        """Whether a file is to be looked at."""
        return not self.paths or any(path == each or path.is_relative_to(each) for each in self.paths)


class Seen(NamedTuple):
    """What a pass saw: findings, by file; `looked_at` cassettes; the map, if it was made."""

    findings: list[Spotted]
    looked_at: tuple[Path, ...]
    map: TestMap


def check(order: Order) -> Seen:
    """One pass. Paths that are not there are passed over.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> check(Order(UpkeepSettings(folder), now=0)).findings
    []
    """
    settings = order.settings
    alone = order.paths and all(path.is_file() for path in order.paths) and not set(order.checks) & _OF_TESTS
    # Files by themselves need no look at the tests: this is what runs before each commit.
    map_ = TestMap.empty(settings.root) if alone else mapped(settings)
    paths = sorted({*(path for path in map_.cassettes if order.meant(path)), *_named(order.paths)})
    redaction = redaction_of(settings, order.environ)
    found: list[Spotted] = []
    looks = [_Look(order, map_, redaction, path) for path in paths]
    for look in looks:
        found += look.all()
    if "missing" in order.checks:
        found += _missing(order, map_)
    if set(order.checks) & _OF_TESTS:
        found += _unread(order, map_)
    if "stale" in order.checks:
        found += _untraced([look.name for look in looks if look.untraced])
        found += _unknown_versions(settings, order.version) if order.version is not None else ()
    return Seen(sorted(found, key=lambda each: (each.path, each.code, each.subject)), tuple(paths), map_)


def mapped(settings: UpkeepSettings) -> TestMap:
    """The map of the project's tests and cassettes."""
    seen = observed.read(settings.root / ".respool", settings.root)
    files = tuple(dict.fromkeys((*settings.test_files, *TEST_FILES)))
    return scan(settings.root, folder=settings.folder, test_files=files, observed=seen)


def redaction_of(settings: UpkeepSettings, environ: Mapping[str, str]) -> Redaction:
    """The rules that hold for every cassette of the project."""
    rules: list[Rule] = [_KINDS[key](name) for key, names in settings.redact.items() if key in _KINDS for name in names]
    return Redaction((*DEFAULT, *rules), without=settings.without, environ=environ)


def _named(paths: Iterable[Path]) -> Iterator[Path]:
    """The cassettes that were named themselves, or lie in folders of data that were: also where no test file names them."""
    for path in paths:
        if path.is_file() and path.suffix.lower() in (".json", ".yaml", ".yml", ".har"):
            yield path
        elif path.is_dir() and (path.name == "cassettes" or not any(path.rglob("*.py"))):  # else most of it is no cassette
            yield from (path / name for name in Library(path).list())


class _Look:
    """One cassette."""

    def __init__(self, order: Order, map_: TestMap, redaction: Redaction, path: Path) -> None:
        self.order, self.map, self.path = order, map_, path
        self.redaction = redaction.fresh()
        self.name = order.settings.named(path)
        self.untraced = False  # it was recorded before it was declared what it depends on

    def all(self) -> Iterator[Spotted]:
        """What is asked for."""
        checks = self.order.checks
        lonely = "orphans" in checks and self.path in self.map.orphans
        try:
            cassette = Library(self.path.parent).load(self.path)
        except CassetteError as error:
            if lonely:  # nobody knows what would be lost, so nothing deletes it unasked
                yield replace(self.orphan(), fix=None)
            if "unreadable" in checks:
                yield self.unreadable(error)
            return
        if lonely:
            yield self.orphan()
        if "leaks" in checks:
            yield from self.leaks(cassette)
        if "statuses" in checks:
            yield from self.statuses(cassette)
        if "stale" in checks:
            yield from self.stale(cassette)
        if "unused" in checks:
            yield from self.unused(cassette)

    def spotted(
        self, code: str, severity: Severity, message: str, advice: str, *, place: str = "", key: str = "",
        fix: Fix | None = None,
    ) -> Spotted:  # fmt: skip
        """A finding about this cassette."""
        subject = f"{self.name}, {place}" if place else self.name
        return Spotted(code, severity, subject, message, advice, fix, self.name, key or place)

    def asked(self, interaction: Interaction) -> str:
        """The request in words that hold no secret: redacted, and without its query."""
        request = self.redaction.fresh().request(interaction.request)
        return f"{request.method} {request.url.partition('?')[0]}"

    def unreadable(self, error: CassetteError) -> Spotted:
        why = f"{error.where.rpartition(', ')[2]}: " if error.where and ", " in error.where else ""
        return self.spotted(
            "CASSETTE_UNREADABLE", Severity.ERROR, f"it cannot be read: {why}{error.why or error.what}",
            f"git log -p -- {self.name} shows what changed; respool cassettes restore {self.name} brings back the one before",
        )  # fmt: skip

    def orphan(self) -> Spotted:
        if self.path in self.map.doubtful:
            return self.spotted(
                "CASSETTE_ORPHAN", Severity.INFO, "no test names it, but some test near it makes its names as it runs",
                "run those tests once: what they open is remembered",
            )  # fmt: skip
        return self.spotted(
            "CASSETTE_ORPHAN", Severity.WARNING, "no test names it", f"respool cassettes delete {self.name} --yes",
            fix=Fix("delete", {"path": str(self.path)}),
        )  # fmt: skip

    def leaks(self, cassette: Cassette) -> Iterator[Spotted]:
        found = leaks.check(cassette, self.redaction.secrets)
        second = list(self.order.second(cassette)) if self.order.second is not None else []
        told = {(leak.interaction, leak.place) for leak in found}
        found += [leak for leak in second if (leak.interaction, leak.place) not in told]
        fix: Fix | None = None
        if any(leak.rule != "undecodable" for leak in found):
            fix = Fix("redact", {"path": str(self.path)}) if self.redactable(cassette) else None
        for leak in found:
            place = f"interaction {leak.interaction + 1}, {leak.place}"
            key = f"{self.asked(cassette.interactions[leak.interaction])}, {leak.place}, {leak.rule}"
            if leak.rule == "undecodable":
                code, message, advice = "CASSETTE_UNDECODABLE", leak.why, _DECODE
            else:
                code, message = "CASSETTE_LEAK", f"{leak.why} ({leak.rule})"
                advice = (_REDACT.format(self.name) if fix else _NO_RULE) + _REVOKE
            repair = None if leak.rule == "undecodable" else fix
            yield self.spotted(code, Severity.ERROR, message, advice, place=place, key=key, fix=repair)

    def redactable(self, cassette: Cassette) -> bool:
        """Whether the rules, used again, would leave no leak."""
        try:
            return cleaned(cassette.interactions, self.redaction.fresh(), self.name) != tuple(cassette.interactions)
        except SecretFound:
            return False

    def statuses(self, cassette: Cassette) -> Iterator[Spotted]:
        allowed = self.order.settings.statuses_of(self.path)
        declared = self.map.allowed.get(self.path, frozenset())
        if allowed is None or declared is None:
            return
        for number, interaction in enumerate(cassette.interactions, 1):
            answer = interaction.response
            if isinstance(answer, Failure) or answer.status < 400 or answer.status in allowed | declared:
                continue
            asked = self.asked(interaction)
            yield self.spotted(
                "CASSETTE_STATUS", Severity.WARNING,
                f"{asked} was answered with {answer.status}, which nobody said to expect",
                f"if the test wants it, say allow_status=[{answer.status}] in its mark, or expected_status in "
                "[tool.respool.cassettes]; else record it again",
                place=f"interaction {number}", key=f"{asked}, {answer.status}",
            )  # fmt: skip

    def stale(self, cassette: Cassette) -> Iterator[Spotted]:
        settings = self.order.settings
        self.untraced = lacks_origin(self.path, cassette, settings)
        reason = reason_of(self.path, cassette, self.order.now, settings, self.order.version)
        if reason is not None:
            yield self.spotted("CASSETTE_STALE", Severity.WARNING, reason, "respool rerecord --stale")
        elif settings.refresh_of(self.path) is not None and cassette.interactions and recorded_at(cassette) is None:
            yield self.spotted(
                "CASSETTE_UNDATED", Severity.INFO, "nothing on it tells when it was recorded, so its age is not known",
                "it will be known once it is recorded again",
            )  # fmt: skip

    def unused(self, cassette: Cassette) -> Iterator[Spotted]:
        places = self.not_needed(len(cassette.interactions))
        if places and len(places) == len(cassette.interactions):
            yield self.spotted(
                "CASSETTE_UNUSED", Severity.WARNING, "its tests pass without playing anything on it",
                "look whether they still ask what they should; if so, delete it",
                fix=Fix("delete", {"path": str(self.path)}),
            )  # fmt: skip
        elif places:
            asked = "; ".join(self.asked(cassette.interactions[place]) for place in places[:3])
            yield self.spotted(
                "CASSETTE_UNUSED", Severity.WARNING,
                f"{counted(len(places), 'interaction is', 'interactions are')} not played by its tests: {asked}",
                f"respool cassettes check --fix --only unused {self.name} takes them out",
                key=",".join(map(str, places)),
                fix=Fix("drop", {"path": str(self.path), "places": places, "stamp": list(observed.stamp(self.path))}),
            )  # fmt: skip

    def not_needed(self, count: int) -> list[int]:
        """The interactions that no test plays; none unless every test that uses the file was seen to, as it is now."""
        uses = [
            (test, use) for test, opened in self.map.seen.tests.items() for use in opened if use.cassette == self.path
        ]  # fmt: skip
        told = {test.partition("[")[0] for test, _ in uses}
        now = observed.stamp(self.path)
        if not uses or any(use.unplayed is None or use.stamp != now or use.interactions < count for _, use in uses):
            return []
        if not all(_told_by(owner, told) for owner in self.map.tests_of(self.path)):
            return []
        left = set(range(count))
        for _, use in uses:
            left &= use.unplayed or frozenset()
        return sorted(left)


def _told_by(owner: str, told: set[str]) -> bool:
    """Whether a test, or the class, file or run that opens a cassette for it, is among those that told."""
    parts = owner.partition("[")[0].split("::")
    if len(parts) == 1:  # something in a file, nobody knows which test of it
        return any(test.partition("::")[0] == owner for test in told)
    return bool({"", *("::".join(parts[:end]) for end in range(1, len(parts) + 1))} & told)


def _missing(order: Order, map_: TestMap) -> Iterator[Spotted]:
    for gap in map_.missing:
        file = order.settings.root / gap.test.partition("::")[0]
        if order.meant(file) or order.meant(order.settings.root / gap.cassette):
            yield Spotted(
                "CASSETTE_MISSING", Severity.WARNING, gap.test, f"its cassette {gap.cassette} is not there",
                f"pytest --cassettes=fill '{gap.test}'", None, gap.cassette, gap.test,
            )  # fmt: skip


def _unknown_versions(settings: UpkeepSettings, version: Version) -> Iterator[Spotted]:
    for command in sorted(set(settings.upstream.values())):
        if version(command) is None:
            yield Spotted(
                "UPSTREAM_UNKNOWN", Severity.INFO, command, "it did not tell the version of its service",
                "run it by hand; --no-upstream leaves it out", None, "pyproject.toml", command,
            )  # fmt: skip


def _untraced(names: Sequence[str]) -> Iterator[Spotted]:
    """What was recorded before it was declared what it depends on: one finding for all, for there may be hundreds."""
    if names:
        many = counted(len(names), "cassette does not tell what it was", "cassettes do not tell what they were")
        yield Spotted(
            "CASSETTE_UNTRACED", Severity.INFO, names[0] + (" and others" if names[1:] else ""),
            f"{many} recorded from, so a change of their inputs or of their service's version is not seen",
            "it will be, once they are recorded again", None, "pyproject.toml", "inputs",
        )  # fmt: skip


def _unread(order: Order, map_: TestMap) -> Iterator[Spotted]:
    for each in map_.unread:
        name = order.settings.named(each.file)
        yield Spotted(
            "TEST_FILE_UNREADABLE", Severity.WARNING, name, f"what it names is not known: {each.why}",
            "mend it: until then no cassette is called an orphan for certain", None, name,
        )  # fmt: skip
