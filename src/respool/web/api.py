"""The JSON API. Every route reads what it needs from the spool and answers a form of forms.py, or a problem."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from respool.batch.model import ItemState, Job, JobState, Kind
from respool.errors import RespoolError
from respool.web import forms
from respool.web.looking import attempt_data
from respool.web.office import AnOffice, Office
from respool.web.problems import Problem, ProblemDocument
from respool.web.submissions import read_body

HIGHEST = (1 << 53) - 1  # numbers above are no whole numbers for every reader of JSON
PAGE = 50

JobNumber = Annotated[int, Path(ge=1, le=HIGHEST, description="The job's number.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.", pattern=r"^-?[0-9]{1,19}_[0-9]{1,19}$")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]

PROBLEM: dict[str, Any] = {"model": ProblemDocument, "content": {"application/problem+json": {}}}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {**PROBLEM, "description": "No such job or item."}}
EVERYWHERE: dict[int | str, dict[str, Any]] = {
    400: {**PROBLEM, "description": "The request cannot be read, or its Host is not this server."},
    401: {**PROBLEM, "description": "No token, or a wrong one."},
    422: {**PROBLEM, "description": "The request does not fit this description."},
    503: {**PROBLEM, "description": "No room, or the spool cannot be used now; see Retry-After."},
}

api = APIRouter(responses=EVERYWHERE)


@api.post(
    "/jobs", status_code=202, response_model=forms.JobDocument, summary="Submit a job",
    responses={
        200: {"model": forms.JobDocument, "description": "The job that this content, or this key, already has."},
        202: {"description": "Taken in; Location is the job's address."},
        413: {**PROBLEM, "description": "The body is larger than the server takes."},
        415: {**PROBLEM, "description": "The body is no application/json."},
    },
)  # fmt: skip
async def submit_job(
    request: Request, response: Response, office: AnOffice,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[!-~]+$")] = None,
) -> Any:  # fmt: skip
    """Submit items for a registered task. The same content while its job is open answers with that job."""
    content = await _body(request, office.max_body)

    def take_in() -> tuple[Job, bool]:
        return office.submissions.submit(read_body(content, office.tasks), idempotency_key)

    job, new = await run_in_threadpool(take_in)
    response.status_code = 202 if new else 200
    response.headers["Location"] = f"/jobs/{job.id}"
    return office.looking.document(job)


async def _body(request: Request, most: int) -> bytes:
    """The body of a request, if it is JSON and not larger than `most` bytes."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "the body must be application/json", then="send Content-Type: application/json")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise Problem(413, f"the body is larger than {most} bytes", then="raise max_body in [tool.respool.serve]")
    return bytes(content)


@api.get("/jobs", response_model=forms.Jobs, summary="List jobs")
async def list_jobs(
    office: AnOffice,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    name: Annotated[str | None, Query(max_length=200, description="Only jobs whose name holds this text.")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", pattern=r"^[0-9]{1,18}$")] = None,
    limit: Limit = PAGE,
) -> Any:
    """The jobs, the newest first."""
    before = {} if cursor is None else {"before": int(cursor)}
    jobs, after = office.looking.jobs(state=state, name=name, limit=limit, **before)
    return {"jobs": [office.looking.summary(job) for job in jobs], "next": None if after is None else str(after)}


@api.get("/jobs/{number}", response_model=forms.JobDocument, responses=NOT_FOUND, summary="Look at a job")
async def get_job(office: AnOffice, number: JobNumber) -> Any:
    """How a job stands: state, counts, progress, the jobs that follow it."""
    return office.looking.document(office.looking.job(number))


@api.get("/jobs/{number}/items", response_model=forms.Items, responses=NOT_FOUND, summary="List items")
async def list_items(
    office: AnOffice, number: JobNumber,
    state: Annotated[ItemState | None, Query(description="Only items in this state.")] = None,
    kind: Annotated[Kind | None, Query(description="Only items that failed like this.")] = None,
    key: Annotated[str | None, Query(description="Only this item.")] = None,
    cursor: Cursor = None, limit: Limit = PAGE,
) -> Any:  # fmt: skip
    """The items of a job in input order, with redacted payloads and results."""
    job = office.looking.job(number)
    items, after = office.looking.items(job.id, state=state, kind=kind, key=key, cursor=cursor, limit=limit)
    return {"job": job.id, "items": items, "next": after}


@api.get("/jobs/{number}/attempts", response_model=forms.Attempts, responses=NOT_FOUND, summary="List attempts")
async def list_attempts(
    office: AnOffice, number: JobNumber,
    key: Annotated[str | None, Query(description="The item; without it, the latest attempts of the job.")] = None,
    limit: Limit = PAGE,
) -> Any:  # fmt: skip
    """The attempts of one item, or the latest of a job."""
    job = office.looking.job(number)
    tried = office.looking.latest_attempts(job.id, limit) if key is None else office.looking.attempts_of(job.id, key)
    return {"job": job.id, "attempts": [attempt_data(each) for each in tried[:limit]]}


@api.get("/jobs/{number}/result", response_model=forms.Result, responses=NOT_FOUND, summary="Read the result")
async def get_result(office: AnOffice, number: JobNumber, cursor: Cursor = None, limit: Limit = PAGE) -> Any:
    """The counts of a job, and what its finished items gave; `complete` says if that is all there will be."""
    return office.looking.result(office.looking.job(number), cursor, limit)


def _asked(office: Office, number: int, count: int | None, response: Response) -> dict[str, Any]:
    response.headers["Location"] = f"/jobs/{number}"
    return {"job": number, "items": count, "asked_live_runner": count is None}


@api.post(
    "/jobs/{number}/cancel", status_code=202, response_model=forms.Asked, responses=NOT_FOUND, summary="Cancel a job"
)  # fmt: skip
async def cancel_job(office: AnOffice, number: JobNumber, response: Response) -> Any:
    """Pending items are cancelled, running ones ended."""
    return _asked(office, number, office.job(number).cancel(), response)


@api.post(
    "/jobs/{number}/retry", status_code=202, response_model=forms.Asked, responses=NOT_FOUND, summary="Try failed items again"
)  # fmt: skip
async def retry_job(
    office: AnOffice, number: JobNumber, response: Response, body: forms.RetryBody | None = None
) -> Any:  # fmt: skip
    """Failed items are pending again, with fresh budgets; without a body, all of them."""
    which = body or forms.RetryBody()
    return _asked(office, number, office.job(number).retry(which.kind, which.keys), response)


@api.post(
    "/jobs/{number}/resume", status_code=202, response_model=forms.Asked, responses=NOT_FOUND, summary="Go on with a job"
)  # fmt: skip
async def resume_job(office: AnOffice, number: JobNumber, response: Response) -> Any:
    """A paused job goes on, with a fresh time allowance."""
    return _asked(office, number, office.resume(number), response)


@api.get("/tasks", response_model=forms.Tasks, summary="List registered tasks")
async def list_tasks(office: AnOffice) -> Any:
    """What may be submitted, and what its payloads look like."""
    return {
        "tasks": [
            {"name": each.name, "version": each.task.version, "summary": each.summary, "schema": each.schema()}
            for each in office.tasks
        ]
    }


@api.get(
    "/health", response_model=forms.Health, summary="Is it well?",
    responses={503: {"model": forms.Health, "description": "The spool cannot be read."}},
)  # fmt: skip
async def health(office: AnOffice, response: Response) -> Any:
    """For probes: needs no token and tells nothing of the jobs. 503 if the spool cannot be read."""
    try:
        office.looking.database.one("any_running")
        runner = "here" if office.conductor.running else "elsewhere" if office.looking.alive else "idle"
        return {"status": "degraded" if office.conductor.trouble else "ok", "runner": runner}
    except RespoolError:
        response.status_code = 503
        return {"status": "degraded", "runner": "idle"}
