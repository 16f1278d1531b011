"""respx: it mocks httpcore, below our hook of httpx, which therefore steps back as long as a router is active. What its
routes let through comes to the hook of httpcore.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from respool.cassette.clients import layers
from respool.cassette.clients.patches import Method, replace
from respool.cassette.hosts import refused

_letting: list[Any] = []  # routers that let everything through


def patch(respx: Any) -> None:
    """Let the hook of httpx know of active routers, and hear of requests that they refuse."""
    layers.mocks_below_httpx = respx.mocks.HTTPCoreMocker.routers
    refusal = respx.models.AllMockedAssertionError

    def resolve(original: Method) -> Method:
        def resolve(router: Any, request: Any) -> Any:
            try:
                return original(router, request)
            except refusal:
                _hear(request)
                raise

        return resolve

    def aresolve(original: Method) -> Method:
        async def aresolve(router: Any, request: Any) -> Any:
            try:
                return await original(router, request)
            except refusal:
                _hear(request)
                raise

        return aresolve

    replace(respx.router.Router, "resolve", resolve)
    replace(respx.router.Router, "aresolve", aresolve)


def _hear(request: Any) -> None:
    if not _letting:
        refused("respx", f"{request.method} {request.url}", "respx")


@contextmanager
def let_through(host: Any) -> Iterator[None]:
    """`host` is the module or a router: one more router, asked after it, has a route for everything."""
    router = getattr(host, "mock", host)
    with type(router)(assert_all_called=False, using=router.using) as last:
        last.route().pass_through()
        _letting.append(last)
        try:
            yield
        finally:
            _letting.remove(last)
