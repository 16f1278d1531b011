"""responses: what it lets through is sent by the adapter of requests, and comes to the hook of urllib3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from respool.cassette.clients.patches import Method, replace
from respool.cassette.hosts import refused

_EVERYTHING = re.compile("")


def patch(responses: Any) -> None:
    """Hear of requests that the mocks refuse."""

    def on_request(original: Method) -> Method:
        def _on_request(mock: Any, adapter: Any, request: Any, **options: Any) -> Any:
            try:
                return original(mock, adapter, request, **options)
            except responses.ConnectionError as error:
                if str(error).startswith("Connection refused by Responses"):
                    refused("responses", f"{request.method} {request.url}", "responses")
                raise

        return _on_request

    replace(responses.RequestsMock, "_on_request", on_request)


@contextmanager
def let_through(host: Any) -> Iterator[None]:
    """`host` is the module or a RequestsMock."""
    mock = getattr(host, "mock", host)
    before = mock.passthru_prefixes
    mock.add_passthru(_EVERYTHING)
    try:
        yield
    finally:
        mock.passthru_prefixes = before
