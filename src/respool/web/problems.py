"""Errors as `application/problem+json` (RFC 9457), whoever raises them: our own, the framework's, a mistake of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from respool.errors import (
    JobNotFound,
    RespoolError,
    SpoolBusy,
    SpoolUnreadable,
    SpoolUnwritable,
    TaskNotFound,
    UsageError,
)

MEDIA_TYPE = "application/problem+json"
Told = Callable[[str], None]


class Fault(BaseModel):
    """One thing that is wrong with a request: where (a JSON pointer into the body, or a parameter's name) and what."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class ProblemDocument(BaseModel):
    """The body of every error."""

    type: str = Field(description="about:blank, or a urn:respool:problem:… that names the kind.")
    title: str
    status: int
    detail: str
    where: str | None = None
    why: str | None = None
    next: str | None = Field(default=None, description="What to do about it.")
    errors: list[Fault] | None = None


class Problem(Exception):
    """An answer that is an error. `kind` names it for machines, `errors` holds what is wrong in detail.

    >>> Problem(422, "there is no task 'x'", kind="unknown-task").document()["type"]
    'urn:respool:problem:unknown-task'
    """

    def __init__(
        self, status: int, detail: str, *, kind: str | None = None, errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None, where: str | None = None, why: str | None = None, then: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.status, self.detail, self.kind = status, detail, kind
        self.errors, self.headers = list(errors), dict(headers or {})
        self.where, self.why, self.then = where, why, then

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = f"urn:respool:problem:{self.kind}" if self.kind else "about:blank"
        document = ProblemDocument(
            type=kind, title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail, where=self.where,
            why=self.why, next=self.then, errors=self.errors or None,
        )  # fmt: skip
        return document.model_dump(exclude_none=True)

    def response(self) -> Response:
        """The answer."""
        # What a request quoted back may hold any character, also half a surrogate pair: JSON's escapes can say it.
        content = json.dumps(self.document()).encode("ascii")
        return Response(content, self.status, self.headers, media_type=MEDIA_TYPE)


_STATUS: tuple[tuple[type[RespoolError], int, dict[str, str]], ...] = (
    (JobNotFound, 404, {}),
    (TaskNotFound, 422, {}),
    (UsageError, 422, {}),
    (SpoolBusy, 503, {"Retry-After": "1"}),
    (SpoolUnwritable, 503, {"Retry-After": "10"}),
    (SpoolUnreadable, 503, {"Retry-After": "60"}),
)


def problem_of(error: RespoolError) -> Problem:
    """One of our errors as an answer: what, where, why and what to do."""
    for kind, status, headers in _STATUS:
        if isinstance(error, kind):
            return Problem(status, error.what, headers=headers, where=error.where, why=error.why, then=error.command)
    return Problem(500, error.what, where=error.where, why=error.why, then=error.command)


def answer_problems(
    app: FastAPI, routes: Sequence[BaseRoute], told: Told, page: Callable[[Request, Problem], Response]
) -> None:  # fmt: skip
    """Let `app`, which has these routes, answer every error as a problem, or, to who looks at the page, as `page` shows it.

    `told` hears of what must not happen.
    """

    def answer(request: Request, problem: Problem) -> Response:
        return page(request, problem) if wants_html(request) else problem.response()

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(request, error)

    async def of_the_house(request: Request, error: Exception) -> Response:
        assert isinstance(error, RespoolError)
        return answer(request, problem_of(error))

    async def of_the_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = {"Allow": ", ".join(_methods(routes, request.url.path))} if error.status_code == 405 else error.headers
        return answer(request, Problem(error.status_code, error.detail, headers=headers))

    async def of_the_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [_fault(found) for found in error.errors()]
        return answer(request, Problem(422, "the request does not fit the API's description", errors=faults))

    async def unforeseen(request: Request, error: Exception) -> Response:
        told(f"respool: an error in respool itself while answering {request.url.path}: {type(error).__name__}: {error}")
        return answer(request, Problem(500, "an error in respool itself; what was committed is safe"))

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(RespoolError, of_the_house)
    app.add_exception_handler(HTTPException, of_the_framework)
    app.add_exception_handler(RequestValidationError, of_the_request)
    app.add_exception_handler(Exception, unforeseen)


def _methods(routes: Iterable[BaseRoute], path: str) -> list[str]:
    """What may be asked of a path: the framework knows only the methods of the first route that has it."""
    fitting = [route for route in routes if isinstance(route, Route) and route.path_regex.match(path)]
    return sorted({method for route in fitting for method in route.methods or ()})


def wants_html(request: Request) -> bool:
    """Whether a person with a browser asks: a client of the API does not name text/html."""
    return "text/html" in request.headers.get("accept", "")


def _fault(found: Mapping[str, Any]) -> Fault:
    place, *path = found["loc"]
    if place == "body":
        return Fault(pointer="".join(f"/{escaped(part)}" for part in path), detail=found["msg"])
    return Fault(parameter=str(path[0]) if path else str(place), detail=found["msg"])


def escaped(part: object) -> str:
    """A name or a number as a part of a JSON pointer (RFC 6901).

    >>> escaped("a/b")
    'a~1b'
    """
    return str(part).replace("~", "~0").replace("/", "~1")
