"""The nouns of a batch, as values: states, kinds, outcomes, and the moves that are legal.

    pending ──claim──▶ running ──▶ done
       ▲                  ├──────▶ skipped
       │                  ├──────▶ failed
       └──retry, later, ──┘
          interrupted
    pending ──▶ cached      (the same fingerprint finished before)
    any     ──▶ cancelled   (asked for, or withdrawn: no longer in the input)
    finished ─▶ pending     (payload changed, retry asked for, fresh generation, output gone)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

MAX_KEY_BYTES = 512


class ItemState(StrEnum):
    """Where an item stands. Withdrawn is `cancelled` with that reason; set aside is `failed` with kind `crashed`."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({ItemState.PENDING, ItemState.RUNNING})

LEGAL_MOVES: dict[ItemState, frozenset[ItemState]] = {
    ItemState.PENDING: frozenset({ItemState.RUNNING, ItemState.CACHED, ItemState.CANCELLED, ItemState.PENDING}),
    ItemState.RUNNING: frozenset(
        {ItemState.DONE, ItemState.SKIPPED, ItemState.FAILED, ItemState.PENDING, ItemState.CANCELLED}
    ),
    ItemState.DONE: frozenset({ItemState.PENDING, ItemState.CANCELLED}),
    ItemState.CACHED: frozenset({ItemState.PENDING, ItemState.CANCELLED}),
    ItemState.SKIPPED: frozenset({ItemState.PENDING, ItemState.CANCELLED}),
    ItemState.FAILED: frozenset({ItemState.PENDING, ItemState.CANCELLED}),
    ItemState.CANCELLED: frozenset({ItemState.PENDING}),
}


class JobState(StrEnum):
    """A job's state is derived from its facts and its items; it is stored nowhere."""

    FILLING = "filling"  # items are still being written; a runner leaves it alone
    PENDING = "pending"
    RUNNING = "running"
    INTERRUPTED = "interrupted"  # rows say running, and nobody holds the spool
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"  # ended, with failed items
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Kind(StrEnum):
    """Why a try failed."""

    RAISED = "raised"  # the task's own error; a command's exit code
    INVALID = "invalid"  # an answer that does not fit what was asked for
    REFUSED = "refused"  # the service declined the content
    TRUNCATED = "truncated"  # the answer was cut
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"  # 5xx, connection refused, name not found
    UNAUTHORISED = "unauthorised"
    QUOTA = "quota"
    TIMEOUT = "timeout"
    CRASHED = "crashed"  # the worker, or the command, was ended by a signal
    NOT_RECORDED = "not_recorded"
    # Of recording again: why the cassettes of a test file were not replaced.
    TESTS_FAILED = "tests_failed"
    NOTHING_RECORDED = "nothing_recorded"
    BAD_STATUS = "bad_status"  # an error that no test declares
    LEAK = "leak"
    NOT_REPLAYABLE = "not_replayable"


class Output(NamedTuple):
    """A file that a try produced, as it was when the try ended."""

    path: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Done:
    """The try succeeded. `result` is canonical JSON text or None, `outputs` the files it declared and produced."""

    result: str | None = None
    outputs: tuple[Output, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """The task said that there is nothing to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The try failed. `retry_after` is the wait in seconds that the service asked for; `final` forbids a retry."""

    kind: Kind
    message: str
    retry_after: float | None = None
    final: bool = False
    detail: str | None = None  # a traceback, or the last lines of a command's output


@dataclass(frozen=True, slots=True)
class Later:
    """The task asked for a wait of `after` seconds; it costs no attempt."""

    after: float
    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The try was ended by us (stop, cancel, deadline) or died with its runner; free of charge."""

    reason: str


Outcome = Done | Skipped | Failed | Later | Interrupted

_OUTCOMES: dict[str, type[Any]] = {
    "done": Done, "skipped": Skipped, "failed": Failed, "later": Later, "interrupted": Interrupted,
}  # fmt: skip


def outcome_name(outcome: Outcome) -> str:
    """The name under which an attempt stores its outcome."""
    return type(outcome).__name__.lower()


def outcome_to_data(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON-ready data, to cross a process or to lie in a result file.

    >>> outcome_to_data(Skipped("empty"))
    {'outcome': 'skipped', 'reason': 'empty'}
    """
    data: dict[str, Any] = {"outcome": outcome_name(outcome)}
    for name in outcome.__slots__:
        data[name] = getattr(outcome, name)
    return data


def outcome_from_data(data: dict[str, Any]) -> Outcome:
    """The reverse of outcome_to_data. Raises ValueError for anything that it did not write."""
    try:
        fields = dict(data)
        outcome_type = _OUTCOMES[fields.pop("outcome")]
        if outcome_type is Failed:
            fields["kind"] = Kind(fields["kind"])
        if outcome_type is Done:
            fields["outputs"] = tuple(Output(*output) for output in fields.get("outputs", ()))
        result: Outcome = outcome_type(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not an outcome: {error}") from None
    return result


class Attempt(NamedTuple):
    """One try of one item, as it is handed to a worker. (item, number) names it for ever."""

    item: int
    number: int  # 1, 2, 3 ...
    job: int
    key: str
    payload: str  # canonical JSON text
    fingerprint: str
    nonce: str  # of the runner's session; an adopted result must carry it


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of a job, as readers see it. Instants are UTC microseconds."""

    id: int
    job: int
    key: str
    state: ItemState
    reason: str | None
    kind: Kind | None
    message: str | None
    attempts: int
    failures: int
    crashes: int
    not_before: int
    payload: Any
    result: Any
    started_at: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One item as its source gives it, before it is in any spool."""

    key: str
    payload: str  # canonical JSON text
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Job:
    """One named set of items for a task, as the spool holds it. Instants are UTC microseconds.

    `task` is the import path or command as the registry knows it, `settings` its resolved declaration (see
    batch/tasks.py), `counts` the number of items in each state.
    """

    id: int
    name: str
    task: str
    version: str
    settings: dict[str, Any]
    source: dict[str, Any]
    generation: int
    created_at: int
    updated_at: int
    sealed_at: int | None
    ended_at: int | None
    paused_at: int | None
    paused_reason: str | None
    resume_at: int | None
    cancelled_at: int | None
    skipped_reason: str | None
    parent: int | None
    source_digest: str | None = None
    counts: dict[ItemState, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def filling(self) -> bool:
        """Whether its submission has not come to its end: nothing of it may run. (A follow-up makes its own items.)"""
        return self.sealed_at is None and self.parent is None

    def state(self, *, runner_alive: bool = False) -> JobState:
        """The state that facts and items add up to; rows that run without a live runner mean `interrupted`."""
        count = self.counts.get
        if self.skipped_reason is not None:
            return JobState.SKIPPED
        if count(ItemState.RUNNING, 0):
            return JobState.RUNNING if runner_alive else JobState.INTERRUPTED
        if self.cancelled_at is not None:
            return JobState.CANCELLED
        if self.sealed_at is None:
            return JobState.FILLING
        if count(ItemState.PENDING, 0):
            return JobState.PAUSED if self.paused_at is not None else JobState.PENDING
        return JobState.FAILED if count(ItemState.FAILED, 0) else JobState.DONE


def bad_key(key: str) -> str | None:
    """Why `key` cannot be an item's key, or None if it can: text of 1 to 512 bytes without control characters.

    >>> bad_key("a\\nb")
    "has a control character ('\\\\n')"
    """
    if not key:
        return "is empty"
    if not key.isprintable():
        for character in key:
            if ord(character) < 32 or ord(character) == 127 or 0x80 <= ord(character) < 0xA0:
                return f"has a control character ({character!r})"
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        return "is no valid Unicode text"
    if size > MAX_KEY_BYTES:
        return f"has {size} bytes; {MAX_KEY_BYTES} are allowed"
    return None
