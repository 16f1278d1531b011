"""The page for people: the jobs, one job with its chain, one item with its attempts. Made here, whole, from templates.

It can be read, and acted with, without a script; static/page.js only puts in the place of what changed what the server
makes of it now. Whatever other programs wrote is text for the templates, never markup.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files as package_files
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from respool.batch.documents import instant
from respool.batch.model import ItemState, Job, JobState, Kind
from respool.batch.store import reading
from respool.clock import MICROSECONDS, local_time
from respool.phrases import counted
from respool.web.api import HIGHEST, JobNumber
from respool.web.office import AnOffice, Office
from respool.web.picture import Lanes, bar, duration, lanes
from respool.web.problems import Problem

JOBS, ITEMS, SHOWN = 40, 50, 200
LONGEST_FORM = 64 * 1024
STATIC = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}

page = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("respool.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    made.filters |= {"moment": local_time, "instant": instant, "duration": duration}
    made.filters |= {"pretty": pretty, "line": line, "title_of": title_of}
    made.globals |= {"bar": bar, "counted": counted, "MICROSECONDS": MICROSECONDS, "address": address}
    return made


def pretty(value: Any) -> str:
    """JSON as people read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def line(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def title_of(result: Any) -> str | None:
    """What a result calls itself: its own `title`, or that of its `summary`.

    >>> title_of({"summary": {"title": "DNA repair"}}), title_of({"answer": 42})
    ('DNA repair', None)
    """
    for named in (result, result.get("summary")) if isinstance(result, dict) else ():
        if isinstance(named, dict) and isinstance(named.get("title"), str):
            return str(named["title"])
    return None


def address(path: str, **query: Any) -> str:
    """An address of ours with what of the query is not empty.

    >>> address("/", state="done", name="")
    '/?state=done'
    """
    words = urlencode({name: value for name, value in query.items() if value not in (None, "")})
    return f"{path}?{words}" if words else path


_TEMPLATES = _environment()


def show(template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A template as an answer."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status)


def show_problem(request: Request, problem: Problem) -> Response:
    """An error, for somebody who looks at the page."""
    title = "Who is there?" if problem.status == 401 else problem.document()["title"]
    response = show("problem.html", problem.status, problem=problem, title=title, office=None)
    response.headers.update(problem.headers)
    return response


@page.get("/static/{name}")
async def static(name: str) -> Response:
    """The page's own style, script and icon."""
    if name not in STATIC:
        raise Problem(404, f"no file {name!r}")
    return Response(package_files("respool.web").joinpath("static", name).read_bytes(), media_type=STATIC[name])


@page.post("/sign-in")
async def sign_in(request: Request, office: AnOffice) -> Response:
    """The token, typed in by hand."""
    form = await _form(request)
    if not office.keys.is_token(form.get("token", "").strip()):
        wrong = Problem(401, "that is not this server's token", then="The server printed it when it was started.")
        return show_problem(request, wrong)
    return office.keys.let_in(RedirectResponse("/", 303))


@page.get("/")
async def jobs_page(
    office: AnOffice, state: str = "", name: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int, Query(ge=1, le=1 << 62)] = 1 << 62,
) -> Response:  # fmt: skip
    """The jobs, the newest first."""
    chosen = _one_of(JobState, state)
    jobs, after = office.looking.jobs(state=chosen, name=name, before=before, limit=JOBS)
    return show(
        "jobs.html", office=office, title="Jobs", jobs=[(job, _summary(office, job)) for job in jobs], after=after,
        state=chosen or "", name=name, states=list(JobState), first=before == 1 << 62,
    )  # fmt: skip


@page.get("/page/{number}")
async def job_page(
    request: Request, office: AnOffice, number: JobNumber, state: str = "", kind: str = "", key: str = "", cursor: str = ""
) -> Response:  # fmt: skip
    """One job: how it stands, its chain, its failures, its lanes, its items."""
    looking = office.looking
    job = looking.job(number)
    chosen = {"state": _one_of(ItemState, state), "kind": _one_of(Kind, kind), "key": key or None}
    items, after = looking.items(job.id, **chosen, cursor=cursor or None, limit=ITEMS)
    document = looking.document(job)
    return show(
        "job.html", office=office, title=document["name"], job=job, doc=document, chain=_chain(office, job),
        failures=looking.failures(job.id), picture=_picture(office, job.id),
        items=items, notes=looking.notes(job.id), after=after, here=f"/page/{job.id}", states=list(ItemState),
        state=chosen["state"] or "", kind=chosen["kind"] or "", key=key, cursor=cursor, back=_here(request),
    )  # fmt: skip


@page.get("/page/{number}/item")
async def item_page(office: AnOffice, number: JobNumber, key: str) -> Response:
    """One item: payload, result, and every attempt."""
    job = office.looking.job(number)
    tried = office.looking.attempts_of(job.id, key)
    (item,), _ = office.looking.items(job.id, key=key)
    return show("item.html", office=office, title=key, job=job, item=item, attempts=tried[::-1], now=office.clock.now())


@page.post("/page/{number}/{act}")
async def act_on_job(
    request: Request, office: AnOffice, number: Annotated[int, Path(ge=1, le=HIGHEST)], act: str
) -> Response:  # fmt: skip
    """What the buttons of the page do; afterwards the browser is back where it was."""
    form = await _form(request)
    office.keys.check_form(form.get("form"))
    job = office.job(number)
    if act == "retry":
        kind = _one_of(Kind, form.get("kind", ""))
        job.retry(kind, [form["key"]] if form.get("key") else None)
    elif act == "cancel":
        job.cancel()
    elif act == "resume":
        office.resume(number)
    else:
        raise Problem(404, f"a job cannot be told to {act!r}")
    back = form.get("back", "")
    return RedirectResponse(back if back.startswith(f"/page/{number}") else f"/page/{number}", 303)


async def _form(request: Request) -> Mapping[str, str]:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LONGEST_FORM:
            raise Problem(413, "this form is too large")
    return {name: values[-1] for name, values in parse_qs(content.decode("utf-8", "replace")).items()}


def _one_of(states: Any, text: str) -> Any:
    """The member that `text` names, None for no text. Raises Problem for a text that names none."""
    try:
        return states(text) if text else None
    except ValueError:
        raise Problem(422, f"{text!r} is none of {', '.join(states)}") from None


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _summary(office: Office, job: Job) -> dict[str, Any]:
    return {**office.looking.summary(job), "message": office.looking.progress(job)["message"]}


def _picture(office: Office, job: int) -> Lanes | None:
    latest = office.looking.latest_attempts(job, SHOWN)
    return lanes(reversed(latest), office.clock.now(), office.looking.workers(job))


def _chain(office: Office, job: Job) -> list[tuple[int, Job, dict[str, Any]]]:
    """All jobs of a chain as (depth, job, document), from the one that began it."""
    database, root = office.looking.database, job
    while root.parent is not None:
        root = office.looking.job(root.parent)
    family = [reading.job(database, number) for number in reading.descendants(database, root.id)]
    chain: list[tuple[int, Job, dict[str, Any]]] = []

    def add(one: Job, depth: int) -> None:
        chain.append((depth, one, _summary(office, one)))
        for child in family:
            if child.parent == one.id:
                add(child, depth + 1)

    add(root, 0)
    return chain
