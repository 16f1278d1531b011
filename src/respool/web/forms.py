"""The forms of the API's answers: pydantic holds every answer against them, and the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from respool.batch.model import JobState, Kind

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
ItemStateText = Literal["pending", "running", "interrupted", "done", "cached", "skipped", "failed", "cancelled"]
Redacted = Field(description="Redacted: what looks like a secret is replaced by a placeholder.")
Next = Field(description="The cursor of the next page; null on the last one.")


class Counts(BaseModel):
    """How many items there are in each state; `interrupted` ones say that they run, though no runner is alive."""

    pending: int
    running: int
    interrupted: int
    done: int
    cached: int
    skipped: int
    failed: int
    cancelled: int


class Paused(BaseModel):
    """Why a job stands still, and when it goes on by itself (null: when somebody says so)."""

    since: Instant
    reason: str | None
    resume_at: Instant | None


class JobSummary(BaseModel):
    """A job as the command line's `jobs list --json` tells it."""

    id: int
    name: str
    task: str
    version: str
    state: JobState
    total: int
    counts: Counts
    generation: int
    created_at: Instant
    updated_at: Instant
    ended_at: Instant | None
    paused: Paused | None
    skipped_reason: str | None
    parent: int | None = Field(description="The job that this one follows.")


class Progress(BaseModel):
    """How far a job is. The rate is measured over the last half minute, the time left follows from it."""

    message: str
    settled: int
    total: int
    per_second: float | None
    seconds_left: float | None


class JobDocument(JobSummary):
    """A job with its progress and the jobs that follow it."""

    progress: Progress
    children: list[int]


class Jobs(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[JobSummary]
    next: str | None = Next


class ItemDocument(BaseModel):
    """An item. Its payload, result and message are redacted."""

    key: str
    state: ItemStateText
    reason: str | None
    kind: Kind | None
    message: str | None
    attempts: int
    failures: int
    crashes: int
    not_before: Instant | None
    started_at: Instant | None
    ended_at: Instant | None
    payload: Any = Redacted
    result: Any = Redacted


class Items(BaseModel):
    """Some items of a job in input order."""

    job: int
    items: list[ItemDocument]
    next: str | None = Next


class AttemptDocument(BaseModel):
    """One try of one item; `detail` is a traceback or the last lines of a command's output, redacted."""

    key: str
    number: int
    started_at: Instant
    ended_at: Instant | None
    outcome: Literal["running", "done", "skipped", "failed", "later", "interrupted"]
    kind: Kind | None
    message: str | None
    detail: str | None


class Attempts(BaseModel):
    """Of one item all its attempts, the first first; of a job the latest, the newest first."""

    job: int
    attempts: list[AttemptDocument]


class OneResult(BaseModel):
    """What an item gave."""

    key: str
    result: Any = Redacted


class Result(BaseModel):
    """What a job gave. `total` is the sum of the counts; `skipped` are the cache hits and what needed no work, `rejected` the
    summaries that a judge turned down."""

    job: int
    state: JobState
    complete: bool = Field(description="Whether nothing is left to be done.")
    total: int
    succeeded: int
    failed: int
    skipped: int
    rejected: int
    cancelled: int
    remaining: int
    results: list[OneResult]
    next: str | None = Next


class Asked(BaseModel):
    """What came of a request to cancel, retry or go on: how many items, or null if a live runner was asked to do it."""

    job: int
    items: int | None
    asked_live_runner: bool


class RetryBody(BaseModel):
    """Which failed items are tried again: all, those of a kind, those with these keys."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind | None = None
    keys: list[str] | None = None


class TaskDocument(BaseModel):
    """A registered task, with the JSON schema of its payloads."""

    name: str
    version: str
    summary: str | None
    schema_: dict[str, Any] = Field(alias="schema")


class Tasks(BaseModel):
    """All registered tasks."""

    tasks: list[TaskDocument]


class Health(BaseModel):
    """Whether the server answers and can read its spool, and who runs what is due."""

    status: Literal["ok", "degraded"]
    runner: Literal["here", "elsewhere", "idle"]
