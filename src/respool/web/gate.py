"""Who may come in. Everything but /health passes here first.

- The Host header must name this server: a foreign name that was pointed at this address (DNS rebinding) is refused.
- A bearer token, or, to look only, the cookie that the printed address leaves in the browser.
- What changes something is asked with the bearer token, or from the page's own forms, which carry a word that only a page
  of ours can know. SameSite and Origin say the same once more.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, MutableMapping, Sequence
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from respool.web.problems import Problem, wants_html

SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("/health", "/static/page.css", "/sign-in")
FORMS = "/page/"  # where the page's forms are sent to
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", CONTENT_POLICY.encode()), (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"), (b"referrer-policy", b"same-origin"), (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"), (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip

Page = Callable[[Request, Problem], Response]


class Keys:
    """What is derived from the server's token: the cookie's name and value, and the word of the page's forms.

    The cookie is not the token: cookies go to every port of a host, and who reads this one cannot submit anything.

    >>> Keys("secret", 8000).is_token("secret")
    True
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token.encode()
        self.cookie_name = f"respool-{port}"
        self.cookie = self._derived("cookie")
        self.form = self._derived("form")

    def is_token(self, given: str) -> bool:
        """Whether this is the token; takes the same time for each wrong one."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

    def is_cookie(self, given: str) -> bool:
        """Whether this is the cookie's value."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.cookie.encode())

    def check_form(self, given: object) -> None:
        """Raise Problem unless the form that holds this word is one of ours."""
        text = given if isinstance(given, str) else ""
        if not hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.form.encode()):
            raise Problem(403, "this form was not made by this server", then="reload the page and try again")

    def let_in(self, response: Response) -> Response:
        """The response, with the cookie that opens the page."""
        response.set_cookie(self.cookie_name, self.cookie, httponly=True, samesite="strict", path="/")
        return response

    def _derived(self, what: str) -> str:
        return hmac.new(self._token, f"respool:{what}".encode(), sha256).hexdigest()


class Gate:
    """The ASGI application behind a check of Host, token and origin. `hosts` may be named by a request besides loopback;
    with `any_address` also every IP address (one cannot be pointed elsewhere)."""

    def __init__(self, app: ASGIApp, keys: Keys, hosts: Sequence[str], *, any_address: bool, page: Page) -> None:
        self._app, self._keys, self._page = app, keys, page
        self._hosts = {host.lower().strip("[]") for host in (*LOOPBACK, *hosts)}
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._stopped(Request(scope))
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _stopped(self, request: Request) -> Response | None:
        """The answer for who may not pass, or a redirect for who has just shown the token; None: go on."""
        try:
            self._check_host(request.headers.get("host", ""))
            if request.url.path in OPEN:
                return None
            if request.method == "GET" and "token" in request.query_params and wants_html(request):
                return self._enter(request)
            self._check_right(request)
        except Problem as problem:
            return self._page(request, problem) if wants_html(request) else problem.response()
        return None

    def _check_host(self, given: str) -> None:
        name = given.rpartition("]")[0].lstrip("[") if given.startswith("[") else given.partition(":")[0]
        if name.lower() in self._hosts or (self._any_address and _is_address(name)):
            return
        raise Problem(
            400, f"this server does not answer to the name {name!r}", kind="host",
            then="use the printed address, or name the host under hosts in [tool.respool.serve]",
        )  # fmt: skip

    def _enter(self, request: Request) -> Response:
        if not self._keys.is_token(request.query_params["token"]):
            raise _unauthorised("the token in this address is not this server's")
        clean = request.url.remove_query_params("token")
        there = clean.path + (f"?{clean.query}" if clean.query else "")
        return self._keys.let_in(RedirectResponse("/" + there.lstrip("/"), 303))

    def _check_right(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._keys.is_token(token.strip()):
            return
        if not self._keys.is_cookie(request.cookies.get(self._keys.cookie_name, "")):
            raise _unauthorised("this needs the server's token")
        if request.method in SAFE:
            return
        origin = request.headers.get("origin")
        if not request.url.path.startswith(FORMS) or origin not in (None, f"{request.url.scheme}://{request.url.netloc}"):
            raise Problem(403, "a browser may change something from this server's own pages only", kind="cross-site")


def _unauthorised(detail: str) -> Problem:
    return Problem(
        401, detail, kind="unauthorised", headers={"WWW-Authenticate": "Bearer"},
        then="open the address that `respool serve` printed, or send it as Authorization: Bearer TOKEN",
    )  # fmt: skip


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    """Answers as `send` sends them, with what every browser is to be told."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return sending
