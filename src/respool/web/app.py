"""The application: routes, errors and the gate, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from respool.web.api import api
from respool.web.events import events
from respool.web.gate import Gate
from respool.web.office import Office
from respool.web.openapi import describe
from respool.web.page import page, show_problem
from respool.web.problems import answer_problems

DESCRIPTION = """Jobs of a respool spool: submit, look, cancel, retry, follow.

Every error is `application/problem+json` (RFC 9457). Payloads, results and messages are redacted: this is a window, not an
export; `respool jobs items --json` on the server's machine gives what was written.
"""


def application(office: Office, *, hosts: Sequence[str], any_address: bool, told: Callable[[str], None]) -> ASGIApp:
    """The ASGI application of one office, behind its gate. `told` hears of what must not happen."""
    app = FastAPI(
        title="respool", version=version("respool"), description=DESCRIPTION, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.office = office
    routers = (api, events, page)
    for router in routers:
        app.include_router(router)
    answer_problems(app, [route for router in routers for route in router.routes], told, show_problem)
    describe(app, office.tasks)
    return Gate(app, office.keys, hosts, any_address=any_address, page=show_problem)
