"""requests_mock: what it lets through is sent by the session of requests, and comes to the hook of urllib3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from respool.cassette.clients.patches import Method, replace
from respool.cassette.hosts import refused

_MOCKER = "respool_mocker"  # on an adapter: whose it is


def patch(requests_mock: Any) -> None:
    """Hear of requests that the mocks refuse."""

    def start(original: Method) -> Method:
        def start(mocker: Any) -> None:
            setattr(mocker._adapter, _MOCKER, mocker)
            original(mocker)

        return start

    def send(original: Method) -> Method:
        def send(adapter: Any, request: Any, **options: Any) -> Any:
            try:
                return original(adapter, request, **options)
            except requests_mock.NoMockAddress:
                mocker = getattr(adapter, _MOCKER, None)
                if mocker is not None and not mocker.real_http:
                    refused("requests_mock", f"{request.method} {request.url}", "requests_mock")
                raise

        return send

    replace(requests_mock.mocker.MockerCore, "start", start)
    replace(requests_mock.Adapter, "send", send)


@contextmanager
def let_through(host: Any) -> Iterator[None]:
    """`host` is a Mocker."""
    before, host.real_http = host.real_http, True
    try:
        yield
    finally:
        host.real_http = before
