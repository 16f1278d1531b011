"""From the body of a POST to a job: read, checked, named by the one identity, and handed to the spool once.

The identity is a digest of everything that a submission says. It decides whether a job with the same content is open,
whether an Idempotency-Key is used for the same content, and it is what is kept with the new job: one function, so that
the check and the insert cannot disagree.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from respool.batch.model import OPEN_STATES, Job, bad_key
from respool.batch.sources import from_values
from respool.batch.spool import Spool
from respool.batch.store import reading
from respool.canonical import NotCanonical, decode, digest, encode
from respool.errors import JobNotFound
from respool.files import FileLock, private_folder
from respool.web.problems import Fault, Problem, escaped
from respool.web.registered import RegisteredTask, RegisteredTasks

SINGLE = "item"  # the key of the only item of a submission that has a payload instead of items
FIELDS = ("task", "items", "payload", "name", "then", "job_timeout")
LONGEST_NAME = 100  # characters
LONGEST_KEY = 128  # characters of an item's key: so many never have more bytes than a key may have
LONGEST_TIMEOUT = 1e9  # seconds
WAIT = 30  # seconds after which a submission that found no room may come again
MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Submission:
    """What a body asks for, checked."""

    task: RegisteredTask
    items: Mapping[str, Any]
    name: str | None
    then: tuple[tuple[RegisteredTask, str], ...]
    job_timeout: float | None

    @property
    def identity(self) -> str:
        """The same for two submissions that say the same, whatever the order of their names."""
        follows = [[follow.name, follow.task.version, when] for follow, when in self.then]
        said = [self.task.name, self.task.task.version, self.name, follows, self.job_timeout, dict(self.items)]
        return digest("respool:submission:1", encode(said))

    @property
    def label(self) -> str:
        """What the job is called, if nothing else is called so."""
        return self.name or f"{self.task.name.rpartition(':')[2]} {self.identity[:8]}"


def read_body(content: bytes, tasks: RegisteredTasks) -> Submission:
    """What the body of a POST asks for. Raises Problem for what is no JSON, or does not fit the schema of its task."""
    try:
        body = decode(content)
    except (NotCanonical, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}", kind="no-json") from None
    if not isinstance(body, dict):
        raise _unfit([Fault(pointer="", detail="must be an object")])
    faults = [Fault(pointer=f"/{escaped(name)}", detail="is not known here") for name in body if name not in FIELDS]
    if ("items" in body) == ("payload" in body):
        faults.append(Fault(pointer="", detail="needs either items or payload"))
    if "task" not in body:
        faults.append(Fault(pointer="/task", detail="is missing"))
    if faults:
        raise _unfit(faults)
    task = tasks.of(body["task"], "/task")
    items = body["items"] if "items" in body else {SINGLE: body["payload"]}
    faults += [*_faults_of_facts(body), *_faults_of_items(task, items, single="payload" in body)]
    if faults:
        raise _unfit(faults)
    follows = tuple(
        (tasks.of(rule["task"], f"/then/{number}/task"), rule.get("on", "success"))
        for number, rule in enumerate(body.get("then", []))
    )
    timeout = body.get("job_timeout")
    return Submission(task, items, body.get("name"), follows, None if timeout is None else float(timeout))


def _unfit(faults: list[Fault]) -> Problem:
    return Problem(422, "the submission does not fit the API's description", kind="unfit", errors=faults[:MOST_FAULTS])


def _faults_of_facts(body: Mapping[str, Any]) -> Iterator[Fault]:
    name, timeout, then = body.get("name"), body.get("job_timeout"), body.get("then", [])
    if "name" in body and not (isinstance(name, str) and len(name) <= LONGEST_NAME and not bad_key(name)):
        yield Fault(pointer="/name", detail=f"must be a text of 1 to {LONGEST_NAME} characters without control characters")
    if "job_timeout" in body and not (_is_number(timeout) and 0 < timeout <= LONGEST_TIMEOUT):
        yield Fault(pointer="/job_timeout", detail="must be a number of seconds above 0")
    if not isinstance(then, list):
        yield Fault(pointer="/then", detail="must be a list")
        return
    for number, rule in enumerate(then):
        right = isinstance(rule, dict) and "task" in rule and rule.keys() <= {"task", "on"}
        if not right or rule.get("on", "success") not in ("success", "finish"):
            yield Fault(pointer=f"/then/{number}", detail='must be {"task": …, "on": "success" or "finish"}')


def _faults_of_items(task: RegisteredTask, items: Any, *, single: bool) -> Iterator[Fault]:
    if not isinstance(items, dict):
        yield Fault(pointer="/items", detail="must be an object: key → payload")
        return
    for key, payload in items.items():
        problem = bad_key(key) or (f"has more than {LONGEST_KEY} characters" if len(key) > LONGEST_KEY else None)
        if problem is None and key.startswith("@"):
            problem = "begins with @, which is respool's own"
        pointer = "/payload" if single else f"/items/{escaped(key)}"
        if problem is not None:
            yield Fault(pointer=pointer, detail=f"its key {problem}")
        else:
            yield from task.faults(payload, pointer)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Submissions:
    """The way into the spool, which `spool` is for alone. `capacity` is how many jobs may be open at once.

    For any thread, one at a time: a large submission takes seconds, and has to stay off the event loop. Two servers of one
    spool wait for each other here too, so that both cannot find that a content is new.
    """

    def __init__(self, spool: Spool, capacity: int) -> None:
        self._spool, self._capacity = spool, capacity
        self._one = threading.Lock()
        self._turn = FileLock(private_folder(spool.places.files) / "submissions.lock")

    def close(self) -> None:
        """Close the spool, after the submission that is under way."""
        with self._one:
            self._spool.close()

    def submit(self, submission: Submission, key: str | None) -> tuple[Job, bool]:
        """The job for this submission, and whether it is new. `key` is the request's Idempotency-Key.

        Raises Problem: 422 if that key was used for other content, 503 if too many jobs are open.
        """
        identity = submission.identity
        named = digest("respool:idempotency-key", key) if key is not None else None
        with self._one, self._turn.hold():
            known = self._known(identity, named)
            if known is not None:
                return known, False
            database = self._spool.database()
            if len(database.all("open_or_filling_jobs", self._capacity)) >= self._capacity:
                raise Problem(
                    503, f"{self._capacity} jobs are open, and no more are taken in", kind="capacity",
                    headers={"Retry-After": str(WAIT)}, then="send it again later",
                )  # fmt: skip
            return self._insert(submission, identity, named), True

    def _known(self, identity: str, named: str | None) -> Job | None:
        for job, about in self._submitted_as(named) if named is not None else ():
            if about.get("idempotency") != named:
                continue
            if about.get("identity") != identity:
                raise Problem(
                    422, "this Idempotency-Key was used for another submission", kind="idempotency-key-reused",
                    where=f"job {job.id}", then="send the same body again, or use a new key",
                )  # fmt: skip
            return job
        same = (job for job, about in self._submitted_as(identity) if about.get("identity") == identity and is_open(job))
        return next(same, None)

    def _submitted_as(self, digest: str) -> Iterator[tuple[Job, dict[str, Any]]]:
        """The jobs that may have been submitted under this digest, the newest first, with what is kept of that."""
        database = self._spool.database()
        for number, source in database.all("jobs_submitted_as", digest):
            yield reading.job(database, number), json.loads(source)

    def _insert(self, submission: Submission, identity: str, named: str | None) -> Job:
        name = self._free_name(submission.label)
        source = from_values(submission.items, name=name)
        source.about = {"kind": "web", "from": "POST /jobs", "identity": identity, "idempotency": named}
        try:
            handle = self._spool.submit(
                submission.task.task, source=source, name=name, job_timeout=submission.job_timeout,
                then=[(follow.task, when) for follow, when in submission.then],
            )  # fmt: skip
        finally:
            source.close()
        return handle.read()

    def _free_name(self, label: str) -> str:
        """`label`, or "label (2)" and so on: a name that no job has, since a name submitted again changes its job."""
        number, name = 1, label
        while True:
            try:
                reading.job(self._spool.database(), name)
            except JobNotFound:
                return name
            number += 1
            name = f"{label} ({number})"


def is_open(job: Job) -> bool:
    """Whether something of a job is still to be done. What was cancelled, or skipped, is not."""
    if job.cancelled_at is not None or job.skipped_reason is not None:
        return False
    return job.sealed_at is None or any(job.counts.get(state, 0) for state in OPEN_STATES)
