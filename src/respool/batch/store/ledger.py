"""Claiming and settling: the writes of the one runner that holds the owner lock.

A beat of the runner is one transaction: outcomes that came in are written (attempt, item, one event each), what ended
with them ends (jobs, follow-ups), and the next attempts are claimed. An item is done when its beat has committed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from respool.batch.model import Attempt, Done, Failed, ItemState, Later, Output, outcome_name
from respool.batch.settle import Settled, Standing, Streak
from respool.batch.store.connection import Database
from respool.batch.store.followups import end_if_finished
from respool.canonical import digest
from respool.clock import MICROSECONDS, STEP
from respool.files import private_folder, write_atomic

INLINE_RESULT = 64 * 1024


class Candidate(NamedTuple):
    """A pending item that is due, with what it has used up."""

    item: int
    key: str
    fingerprint: str
    attempts: int
    payload: str
    failures: int
    crashes: int
    waited: int
    runner_deaths: int

    @property
    def standing(self) -> Standing:
        return Standing(self.failures, self.crashes, self.waited)


class Hit(NamedTuple):
    """A finished try whose fingerprint equals an item's."""

    item: int
    number: int


@dataclass(slots=True)
class Plan:
    """What to do with the candidates of one claim."""

    start: list[Candidate] = field(default_factory=list)
    cached: list[tuple[Candidate, Hit]] = field(default_factory=list)
    follow: list[tuple[Candidate, int]] = field(default_factory=list)


class Ledger:
    """The runner's hand in the store, for one session: `session` is its number, 0 until it has begun."""

    def __init__(self, database: Database, nonce: str) -> None:
        self.database = database
        self.session = 0
        self.nonce = nonce

    def due(self, job: int, want: int, now: int) -> list[Candidate]:
        """Up to `want` pending items that may start now: those that waited first, then in input order."""
        rows = self.database.all("candidates_due", job, now, want)
        if len(rows) < want:
            rows += self.database.all("candidates_fresh", job, want - len(rows))
        return [Candidate._make(row) for row in rows]

    def due_of(self, items: Sequence[int], want: int, now: int) -> list[Candidate]:
        """The same, of the given items only."""
        rows = self.database.all("candidates_selected", json.dumps(list(items)), now, want)
        return [Candidate._make(row) for row in rows]

    def plan(
        self, candidates: Sequence[Candidate], job: int, generation: int, *, anew_since: int | None,
        intact: Callable[[Sequence[Output]], bool], leading: Mapping[str, int] | None = None,
    ) -> Plan:  # fmt: skip
        """Start, answer from the cache, or let follow: one leader runs for each fingerprint.

        `leading`: the items, by fingerprint, that will start in the same transaction before these. A result of this job's
        earlier generations is no hit, nor one whose produced files are not `intact`. With `anew_since` none is that
        ended before that instant: all work is done again, but equal work still once.
        """
        plan = Plan()
        names = json.dumps([candidate.fingerprint for candidate in candidates])
        hits, leaders = self._known(names, job, generation, anew_since, intact)
        leaders.update(leading or {})
        for candidate in candidates:
            fingerprint = candidate.fingerprint
            if fingerprint in hits:
                plan.cached.append((candidate, hits[fingerprint]))
            elif fingerprint in leaders:
                plan.follow.append((candidate, leaders[fingerprint]))
            else:
                leaders[fingerprint] = candidate.item
                plan.start.append(candidate)
        return plan

    def _known(
        self, names: str, job: int, generation: int, anew_since: int | None, intact: Callable[[Sequence[Output]], bool]
    ) -> tuple[dict[str, Hit], dict[str, int]]:
        hits: dict[str, Hit] = {}
        leaders: dict[str, int] = {}
        for name, item, state, result_item, number, its_job, its_generation, ended_at, outputs in self.database.all(
            "same_fingerprint", names
        ):
            if state == ItemState.RUNNING:
                leaders[name] = item
            elif ended_at < (anew_since or 0) or (its_job == job and its_generation < generation):
                continue
            elif _intact(outputs, intact):
                hits[name] = Hit(result_item, number)
        if anew_since is None and (self.database.one("any_archive") or (0,))[0]:
            for name, item, number, its_job, its_generation, outputs in self.database.all("archived_fingerprint", names):
                if not (its_job == job and its_generation < generation) and _intact(outputs, intact):
                    hits.setdefault(name, Hit(item, number))
        return hits, leaders

    def claim(self, job: int, plan: Plan, now: int) -> list[Attempt]:
        """Inside a write: write the plan down and return the attempts to hand out."""
        database = self.database
        attempts = [
            Attempt(c.item, c.attempts + 1, job, c.key, c.payload, c.fingerprint, self.nonce) for c in plan.start
        ]
        if attempts:
            database.many("start_item", [(a.number, a.item) for a in attempts])
            database.many("start_attempt", [(a.item, a.number, self.session, now) for a in attempts])
        if plan.follow:
            database.many("follow_item", [(leader, c.item) for c, leader in plan.follow])
        if plan.cached:
            database.many("cache_item", [(hit.item, hit.number, now, c.item) for c, hit in plan.cached])
            database.many("insert_event", [(now, job, c.item, None, "item_cached", None) for c, _ in plan.cached])
        return attempts

    def settle(self, settled: Iterable[Settled], *, changed: Collection[int] = ()) -> dict[int, int]:
        """Inside a write: write these outcomes down; returns how many followers became cached, by job.

        `changed` are items that were given another payload while they ran: their result goes to the archive, and they
        are pending again.
        """
        attempts: list[tuple[int, int, int]] = []
        results: list[tuple[Any, ...]] = []
        items: list[tuple[int, int]] = []
        events: list[tuple[Any, ...]] = []
        others: list[Settled] = []
        for entry in settled:
            attempt, outcome, _, ended_at, dropped = entry
            item, number, job = attempt.item, attempt.number, attempt.job
            if type(outcome) is not Done or dropped is not None or item in changed:
                others.append(entry)
                continue
            attempts.append((ended_at, item, number))
            items.append((ended_at, item))
            events.append((ended_at, job, item, number, "item_done", None))
            if (row := self._result_row(attempt, outcome)) is not None:
                results.append(row)
        database = self.database
        database.many("close_attempt_done", attempts)
        database.many("insert_result", results)
        database.many("settle_done", items)
        database.many("insert_event", events)
        for entry in others:
            self._settle_other(entry, mismatch=entry.attempt.item in changed)
        return self._release_followers(attempts, others, changed)

    def _settle_other(self, entry: Settled, *, mismatch: bool) -> None:
        attempt, outcome, verdict, ended_at, dropped = entry
        database = self.database
        kind = outcome.kind if isinstance(outcome, Failed) else None
        message = None
        if not isinstance(outcome, Done):
            message = outcome.message if isinstance(outcome, Failed) else outcome.reason
        detail = outcome.detail if isinstance(outcome, Failed) else None
        database.run(
            "close_attempt", ended_at, outcome_name(outcome), kind, message, detail, attempt.item, attempt.number
        )
        if isinstance(outcome, Done) and (row := self._result_row(attempt, outcome)) is not None:
            database.run("insert_result", *row)
        state, standing = verdict.state, verdict.standing
        if mismatch or dropped is not None:
            if isinstance(outcome, Done):
                database.run("archive_attempt", attempt.fingerprint, attempt.number, attempt.item)
            if dropped is None:
                database.run("mismatched_item", attempt.item)
            else:
                state = ItemState.CANCELLED
                database.run("drop_item", dropped, ended_at, attempt.item)
        else:
            database.run(
                "settle_item", state, None, verdict.kind, verdict.message, verdict.not_before, standing.failures,
                standing.crashes, standing.waited, ended_at, attempt.item,
            )  # fmt: skip
        data: dict[str, Any] = {}
        if not isinstance(outcome, Done):
            data = {"kind": verdict.kind, "message": message}
            if state is ItemState.PENDING:
                data["not_before"] = verdict.not_before
        name = "item_retry" if state is ItemState.PENDING else f"item_{state}"
        if isinstance(outcome, Later):
            name = "item_later"
        text = json.dumps(data) if data else None
        database.run("insert_event", ended_at, attempt.job, attempt.item, attempt.number, name, text)

    def _result_row(self, attempt: Attempt, outcome: Done) -> tuple[Any, ...] | None:
        """What is to be kept of this outcome, or None if it says nothing but that it is done."""
        result, file = outcome.result, None
        if result is not None and len(result) > INLINE_RESULT // 4 and len(result.encode()) > INLINE_RESULT:
            file = digest(result)
            path = self.database.places.result(file)
            if not path.exists():
                private_folder(path.parent)
                # Durable before the row that names it: a row may never point at a file that is not there.
                write_atomic(path, result)
            result = None
        outputs = json.dumps([list(output) for output in outcome.outputs]) if outcome.outputs else None
        if result is None and file is None and outputs is None and outcome.note is None:
            return None
        return attempt.item, attempt.number, result, file, outputs, outcome.note

    def _release_followers(
        self, done: Sequence[tuple[int, int, int]], slow: Sequence[Settled], changed: Collection[int]
    ) -> dict[int, int]:
        """Followers of a leader that is done are cached; of any other, free to lead with their own budget.

        So are those of a leader that changed: what they follow may be the payload that was not tried yet.
        """
        released: dict[int, int] = {}
        database = self.database
        if not (database.one("any_followers") or (0,))[0]:
            return released
        leaders = [(item, number, ended_at) for ended_at, item, number in done]
        for entry in slow:
            item, number = entry.attempt.item, entry.attempt.number
            if isinstance(entry.outcome, Done) and item not in changed:
                leaders.append((item, number, entry.ended_at))
            else:
                database.run("followers_freed", item)
        for item, number, ended_at in leaders:
            rows = database.all("followers_cached", item, number, ended_at, item)
            for follower, job in rows:
                database.run("insert_event", ended_at, job, follower, None, "item_cached", None)
                released[job] = released.get(job, 0) + 1
        return released

    def finish(self, jobs: Iterable[int], changed: Iterable[int], now: int) -> list[int]:
        """Inside a write: end the jobs that have nothing left, with their follow-ups; `changed` had new results.

        Returns the jobs that ended now.
        """
        for job in changed:
            self.database.run("bump_revision", now, job)
        return [job for job in jobs if end_if_finished(self.database, job, now)]

    def pause(self, job: int, reason: str, resume_at: int | None, now: int) -> None:
        """Inside a write: pause a job, with the reason that people will read."""
        self.database.run("pause_job", now, reason, resume_at, now, job)
        data = json.dumps({"reason": reason, "resume_at": resume_at})
        self.database.run("insert_event", now, job, None, None, "job_paused", data)

    def trip(self, job: int, streak: Streak, reason: str, now: int) -> int:
        """Inside a write: the breaker opens. The streak's items are given back; returns how many."""
        given_back = self.database.run("give_back_streak", job, streak.kind, streak.since)
        self.database.run("save_streak", None, 0, 0, job)
        self.pause(job, reason, None, now)
        return given_back

    def begin_session(self, workers: str, now: int) -> None:
        """Open this runner's session. `workers` is their number, or the address of the cluster that they are on."""
        with self.database.write():
            session = self.database.insert(
                "insert_session", self.nonce, os.getpid(), socket.gethostname(), workers, now
            )  # fmt: skip
        self.session = session

    def allow_for_a_clock_set_back(self, now: int) -> None:
        """If the last thing that happened lies in the future, the clock was set back since: waits do not grow by that."""
        ahead = (self.database.one("latest_stamp") or (0,))[0] - now
        if ahead > STEP:
            with self.database.write():
                self.database.run("bring_waits_back", now, ahead)
                data = json.dumps({"seconds": round(ahead / MICROSECONDS, 3)})
                self.database.run("insert_event", now, None, None, None, "clock_set_back", data)

    def end_session(self, ending: str, now: int) -> None:
        """Close this runner's session."""
        with self.database.write():
            self.database.run("end_session", now, ending, self.session)


def _intact(outputs: str | None, check: Callable[[Sequence[Output]], bool]) -> bool:
    return outputs is None or check([Output(*output) for output in json.loads(outputs)])
