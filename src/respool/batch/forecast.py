"""The dry run: what a submission and a run of it would do with every item, why, and how long that would take.

Nothing is written. The decisions are those of the real thing: blocks are placed by `place`, rows compared by
`reconcile`, finished work found by `Ledger.plan`; what a seal grants (`intake.grant`) is said again here, item by item,
and a test holds both against each other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from respool.batch.blocks import place
from respool.batch.declaration import Mode, Task
from respool.batch.model import OPEN_STATES, ItemState, Output, Row
from respool.batch.reconcile import REASONS, Change, Existing, reconcile
from respool.batch.sources import Source, basis
from respool.batch.store import reading
from respool.batch.store.connection import Database
from respool.batch.store.intake import Where, Wishes, stored_blocks, twice
from respool.batch.store.ledger import Candidate, Ledger
from respool.clock import MICROSECONDS, local_time
from respool.errors import JobNotFound
from respool.pace import Rate

Intact = Callable[[Sequence[Output]], bool]
FOLLOWS = 1 << 62  # the `not_before` of an item that follows another one
Slots = Callable[[str, Rate, int], float]
"""For how many seconds a rate of a key does not leave so many slots, for what was started before."""
AT_ONCE = 1000  # items looked up together


class Action(StrEnum):
    """What a run would do with an item."""

    RUN = "run"
    CACHED = "cached"
    KEEP = "keep"
    WAIT = "wait"
    WITHDRAW = "withdraw"


class PlannedItem(NamedTuple):
    """One line of the plan."""

    key: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """A plan: every item in input order, those that are no longer in the input at the end.

    `seconds` is the expected duration of the runs, None without finished attempts to judge by; `code_changed` says that
    results are kept which other code has made (`--rerun-changed` makes them again).
    """

    items: list[PlannedItem]
    totals: dict[Action, int]
    seconds: float | None
    code_changed: bool


class _Known(NamedTuple):
    """An item that the spool holds."""

    key: str
    id: int
    fingerprint: str
    state: ItemState
    reason: str | None
    block: int | None
    kind: str | None
    not_before: int
    ended_at: int | None
    attempts: int
    outputs: str | None


class _Open(NamedTuple):
    """An item that will be pending: its place in the plan, and what claiming it goes by."""

    place: int
    key: str
    id: int
    fingerprint: str
    not_before: int
    reason: str

    def turn(self) -> tuple[bool, int, int]:
        """The order of claims: what waited, then the rest as it came (a dead runner's followers among it)."""
        waited = 0 < self.not_before < FOLLOWS
        return (not waited, self.not_before if waited else 0, self.place)


def plan(
    database: Database | None, name: str, task: Task, source: Source, wishes: Wishes, *, only: Sequence[str] = (),
    workers: int, now: int, intact: Intact, standing: Mapping[int, str] | None = None, held: float = 0.0,
    slots: Slots = lambda key, rate, many: 0.0,
) -> Forecast:  # fmt: skip
    """What submitting `source` as the job `name`, and running it, would do at the instant `now` (UTC microseconds).

    `database` may be read-only; None means that there is no spool yet. `only` names the items that would run, `intact`
    tells whether produced files are as they were. `standing` names running items that will not be run again, with the
    reason; `held` is for how many seconds nothing may start, `slots` what is left of the limits. Raises UsageError
    for input that a submission would refuse, and JobNotFound for a key of `only` that is not in the job.

    >>> plan(None, "squares", task, from_values({"a": 1}), Wishes(), workers=1, now=0, intact=bool).items  # doctest: +SKIP
    [PlannedItem(key='a', action=<Action.RUN: 'run'>, reason='new')]
    """
    survey = _Survey(database, name, task, wishes, now, intact, standing or {})
    survey.take_in(source)
    survey.select(frozenset(only))
    survey.claim()
    totals = Counter(item.action for item in survey.items)
    typical = None
    if database is not None:
        typical = reading.typical_seconds(database, survey.job or None, task.name)
    seconds = expected_seconds(task, totals[Action.RUN], typical, workers, held, slots)
    if totals[Action.WAIT]:  # the run does not end before what waits has had its turn
        seconds = None if seconds is None or typical is None else max(seconds, survey.longest_wait + typical)
    return Forecast(survey.items, {action: totals[action] for action in Action}, seconds, survey.code_changed)


def expected_seconds(
    task: Task, runs: int, typical: float | None, workers: int, held: float = 0.0,
    slots: Slots = lambda key, rate, many: 0.0,
) -> float | None:  # fmt: skip
    """How long `runs` attempts of `typical` seconds take with these workers and the task's limits, if nothing may start
    for the first `held` seconds; None if unknown."""
    if not runs:
        return 0.0
    if typical is None:
        return None
    bounds = [typical, typical * runs / max(1, workers)]
    for limit in task.limits:
        for rate in limit.rates:
            periods, last = divmod(runs - 1, rate.count)  # the last one takes the slot that another had so often before it
            bounds.append(slots(limit.key, rate, last + 1) + periods * rate.period / 1e6 + typical)
    return held + max(bounds)


@dataclass(slots=True)
class _Survey:
    """One plan in the making. `job` is 0 for a job that is not there yet."""

    database: Database | None
    name: str
    task: Task
    wishes: Wishes
    now: int
    intact: Intact
    standing: Mapping[int, str] = field(default_factory=dict)
    job: int = 0
    longest_wait: float = 0.0
    items: list[PlannedItem] = field(default_factory=list)
    code_changed: bool = False
    _generation: int = 1
    _since: int | None = None
    _open: list[_Open] = field(default_factory=list)
    _forced: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.wishes.force, bool):
            self._forced = frozenset(self.wishes.force)
        known = self.database.one("job_by_name", self.name) if self.database is not None else None
        if known is None or self.database is None:
            return
        self.job = known[0]
        self._generation = known[6] + (1 if self.wishes.fresh else 0)
        facts = self.database.one("job_facts", self.job)
        self._since = facts[6] if facts is not None else None
        if self.task.source_digest != known[17]:
            self._since = self.now if self.task.version == known[3] else None

    def take_in(self, source: Source) -> None:
        """Compare the input with what the spool holds, as a submission does."""
        ground = basis(self.task, json.dumps(source.about, sort_keys=True))
        spans = source.spans(ground)
        stored = stored_blocks(self.database, self.job) if self.database is not None and self.job else []
        placements = place(stored, [span.digest for span in spans])
        stale = {block.id for block in stored} - {placement.kept for placement in placements}
        taken: set[str] = set()
        for placement in placements:
            if placement.kept is None:
                self._new_block(source.rows(spans[placement.ordinal], self.task), stale, taken, source.where_is)
                continue
            for item in self._stored("forecast_of_block", placement.kept):
                self._judge(item, Change.KEPT, item.fingerprint)
        for block in sorted(stale):
            for item in self._stored("forecast_of_block", block):
                if item.key not in taken:
                    self.items.append(PlannedItem(item.key, Action.WITHDRAW, "no longer in the input"))

    def _stored(self, query: str, *parameters: object) -> list[_Known]:
        rows = self.database.all(query, *parameters) if self.database is not None else []
        return [_Known._make((*row[:3], ItemState(row[3]), *row[4:])) for row in rows]

    def _new_block(self, rows: Sequence[Row], stale: set[int], taken: set[str], where: Where) -> None:
        keys = json.dumps([row.key for row in rows])
        known = {item.key: item for item in (self._stored("forecast_by_key", self.job, keys) if self.job else [])}
        for row in rows:
            item = known.get(row.key)
            if row.key in taken or (item is not None and item.block is not None and item.block not in stale):
                raise twice(row.key, where)
            taken.add(row.key)
            existing = None if item is None else Existing(item.id, item.fingerprint, item.state, item.reason)
            change = reconcile(existing, row.fingerprint)
            if item is None:
                self._pending(row.key, 0, row.fingerprint, 0, REASONS[change])
            else:
                self._judge(item, change, row.fingerprint)

    def _judge(self, item: _Known, change: Change, fingerprint: str) -> None:
        """Put an item that the spool holds into the plan."""
        if change is not Change.KEPT:
            self._pending(item.key, item.id, fingerprint, 0, REASONS[change])
            return
        asked = self._asked(item)
        if asked is not None:
            self._pending(item.key, item.id, fingerprint, 0, asked)
        elif item.state is ItemState.RUNNING and item.id in self.standing:
            self.items.append(PlannedItem(item.key, Action.KEEP, self.standing[item.id]))
        elif item.state is ItemState.RUNNING:
            self._pending(item.key, item.id, fingerprint, 0, "was interrupted")
        elif item.state is ItemState.PENDING:
            again = f"to be tried again after it failed ({item.kind})" if item.kind else "has not run yet"
            self._pending(item.key, item.id, fingerprint, item.not_before, item.reason or again)
        elif item.state is ItemState.FAILED:
            why = f"failed ({item.kind}) and stays failed (use --retry-failed)"
            self.items.append(PlannedItem(item.key, Action.KEEP, why))
        else:
            if item.state is ItemState.DONE and self._by_other_code(item):
                self.code_changed = True
            self.items.append(PlannedItem(item.key, Action.KEEP, "finished"))

    def _asked(self, item: _Known) -> str | None:
        """Why the seal makes this unchanged item pending, or None if it leaves it as it is."""
        wishes, state = self.wishes, item.state
        finished = state not in OPEN_STATES
        if state is ItemState.RUNNING:
            return None
        if wishes.force is True:
            return "forced"
        if wishes.fresh:
            return "a fresh generation"
        if state is ItemState.CANCELLED:
            return "was cancelled"
        if state is ItemState.FAILED and wishes.retry_failed:
            return "retry asked for"
        if finished and item.key in self._forced:
            return "forced"
        if wishes.rerun_changed and finished and state is not ItemState.CACHED and self._by_other_code(item):
            return "the task's code changed"
        if item.outputs is not None and not self.intact([Output(*output) for output in json.loads(item.outputs)]):
            return "a file that it produced is missing or altered"
        return None

    def _by_other_code(self, item: _Known) -> bool:
        return self._since is not None and item.ended_at is not None and item.ended_at < self._since

    def _pending(self, key: str, item: int, fingerprint: str, not_before: int, reason: str) -> None:
        self._open.append(_Open(len(self.items), key, item, fingerprint, not_before, reason))
        self.items.append(PlannedItem(key, Action.RUN, reason))

    def select(self, only: frozenset[str]) -> None:
        """Leave what is not among `only` as it is; an empty `only` means everything."""
        if not only:
            return
        missing = only.difference(item.key for item in self.items if item.action is not Action.WITHDRAW)
        if missing:
            raise JobNotFound(
                f"no item {min(missing)!r} in the job {self.name!r}", why="--only names items by their keys",
                command=f"respool jobs items {self.name!r}",
            )  # fmt: skip
        for entry in self._open:
            if entry.key not in only:
                self.items[entry.place] = PlannedItem(entry.key, Action.KEEP, "not among --only")
        self._open = [entry for entry in self._open if entry.key in only]

    def claim(self) -> None:
        """Decide what of the open items would start, be answered from finished work, follow another one, or wait."""
        shared = cacheable(self.task)
        leaders: dict[str, str] = {}
        turns = sorted(self._open, key=_Open.turn)
        for first in range(0, len(turns), AT_ONCE):
            entries = turns[first : first + AT_ONCE]
            hits = self._hits(entries) if shared else {}
            for entry in entries:
                planned = self._started(entry, hits.get(entry.place), leaders if shared else {})
                self.items[entry.place] = PlannedItem(entry.key, *planned)

    def _started(self, entry: _Open, job: int | None, leaders: dict[str, str]) -> tuple[Action, str]:
        if self.now < entry.not_before < FOLLOWS:
            self.longest_wait = max(self.longest_wait, (entry.not_before - self.now) / MICROSECONDS)
            return Action.WAIT, f"waiting until {local_time(entry.not_before)}"
        if job is not None:
            return Action.CACHED, f"same work finished before in job {job}"
        leader = leaders.setdefault(entry.fingerprint, entry.key)
        if leader != entry.key:
            return Action.CACHED, f"duplicate of {leader} (follows it)"
        return Action.RUN, entry.reason

    def _hits(self, entries: Sequence[_Open]) -> dict[int, int]:
        """Place in the plan → job, of the items whose work was finished before."""
        if self.database is None:
            return {}
        candidates = [
            Candidate(entry.place, entry.key, entry.fingerprint, 0, "", 0, 0, 0, 0) for entry in entries
        ]  # fmt: skip
        claims = Ledger(self.database, "").plan(
            candidates, self.job, self._generation, anew_since=self.now if self.wishes.anew else None, intact=self.intact
        )  # fmt: skip
        items = json.dumps(sorted({hit.item for _, hit in claims.cached}))
        jobs = dict(self.database.all("jobs_of_items", items))
        return {candidate.item: jobs[hit.item] for candidate, hit in claims.cached}


def cacheable(task: Task) -> bool:
    """Whether equal work is done once (see Course.cacheable): commands only if they declare what they produce."""
    return task.cache and (task.mode is not Mode.COMMAND or bool(task.command and task.command.outputs))
